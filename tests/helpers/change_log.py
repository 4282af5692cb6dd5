"""What is changed in a local awork, which awork itself does not show."""

from __future__ import annotations

from typing import Any

from airflow_provider_awork.sandbox import Sandbox


class ChangeLog:
    """
    The entries that were changed in the store from now on.

    :ivar ids: their ids in the order of the changes, as often as each was changed.
    """

    def __init__(self, awork: Sandbox) -> None:
        self.ids: list[str] = []
        edit = awork.store.edit

        def edit_and_note(entry_id: str, **changes: Any) -> dict[str, Any]:
            self.ids.append(entry_id)
            return edit(entry_id, **changes)

        awork.store.edit = edit_and_note  # type: ignore[method-assign]
