"""The time entries that a watcher watches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_awork.client.lists.changes import read_changes, read_newest_change
from airflow_provider_awork.client.lists.resources import time_entries_path
from airflow_provider_awork.triggers.position import instant_text, newest_of

if TYPE_CHECKING:
    from airflow_provider_awork.client.lists.changes import EntryChange
    from airflow_provider_awork.hooks.awork import AworkHook


@dataclass(frozen=True, kw_only=True)
class WatchedEntries:
    """
    The time entries that a watcher watches, and how to read their changes.

    :param filterby: awork expression; None for all entries.
    :param project_id: only entries of this project.
    :param awork_task_id: only entries of this awork task.
    """

    filterby: str | None
    project_id: str | None
    awork_task_id: str | None

    def to_dict(self) -> dict[str, str | None]:
        return {"filterby": self.filterby, "project_id": self.project_id, "awork_task_id": self.awork_task_id}

    def read_newest(self, hook: AworkHook) -> str:
        """Read the instant of the newest change; empty if there is no entry."""
        changes = read_newest_change(hook.client, self._path(), filterby=self.filterby)
        return newest_of(changes) or (instant_text(datetime.now(UTC)) if changes else "")

    def read_changes(self, since: str, hook: AworkHook) -> list[EntryChange]:
        """Read the entries that were changed from an instant on; empty for all."""
        return read_changes(hook.client, self._path(), filterby=self.filterby, since=since)

    def _path(self) -> str:
        return time_entries_path(
            project_id=self.project_id, task_id=self.awork_task_id, name_of_task_id="awork_task_id"
        )


def digest(watched: Mapping[str, Any]) -> str:
    """Digest what identifies a watcher, for the key of its state."""
    return hashlib.sha256(json.dumps(watched, sort_keys=True).encode()).hexdigest()[:32]
