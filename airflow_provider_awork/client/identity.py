"""Who asks, and what it may see; :mod:`.me` reads it from awork."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import msgspec

from airflow_provider_awork.exceptions import AworkConfigError


@dataclass(frozen=True, kw_only=True)
class Permissions:
    """
    What a user may do in the workspace.

    :param is_admin: may do everything.
    :param levels: ``read`` and ``write`` by feature, such as ``project-timetracking``.
    """

    is_admin: bool
    levels: Mapping[str, frozenset[str]]

    def allow(self, feature: str, level: str) -> bool:
        return self.is_admin or level in self.levels.get(feature, ())


class Visibility(msgspec.Struct, frozen=True, kw_only=True):
    """
    Which time entries a key may list; made by :meth:`of_key`.

    Keys of equal visibility list the same entries. It is kept with watermarks, and manifests hold its parts.

    :param sees_all_entries: whether the key lists everybody's entries; None if awork does not report it, which is
        distinct from both.
    :param user_id: whose key it is; None if it lists everybody's entries.
    """

    sees_all_entries: bool | None
    user_id: str | None

    @classmethod
    def of_key(cls, *, user_id: str | None, sees_all_entries: bool | None) -> Self:
        """
        Create the visibility of a user's key.

        >>> str(Visibility.of_key(user_id="5b0d1f5e", sees_all_entries=False))
        'only the time entries of user 5b0d1f5e'
        """
        return cls(sees_all_entries=sees_all_entries, user_id=None if sees_all_entries else user_id)

    def __str__(self) -> str:
        if self.sees_all_entries:
            return "all time entries"
        if self.sees_all_entries is None:
            return f"an unknown part of the time entries, as user {self.user_id}"
        return f"only the time entries of user {self.user_id}"


def require_same_visibility(before: Visibility, after: Visibility) -> None:
    """
    Fail if a key gained or lost permissions while it read: hidden entries would be missing from the set for good.

    :raises AworkConfigError: both differ.
    """
    if before != after:
        raise AworkConfigError(
            f"awork_conn_id: the key's permissions changed while it read\n"
            f"It first saw {before}, then {after}. Nothing is published. Give its rights back and clear the task."
        )


@dataclass(frozen=True, kw_only=True)
class Identity:
    """
    Who asks, and what it may see: awork leaves out of its lists, without an error, what a key may not see.

    :param workspace_id: id of the workspace that the key belongs to.
    :param workspace_name: its name.
    :param user_id: id of the user or API user.
    :param name: its name.
    :param sees_all_entries: whether it may list other people's entries (administrator, or *write* on the feature
        ``project-timetracking``); None if awork does not report it.
    :param workspace_url: where people find the workspace.
    :param permissions: its permissions; None if awork does not report them.
    """

    workspace_id: str | None
    workspace_name: str | None
    user_id: str | None
    name: str
    sees_all_entries: bool | None
    workspace_url: str | None = None
    permissions: Permissions | None = None

    @property
    def visibility(self) -> Visibility:
        return Visibility.of_key(user_id=self.user_id, sees_all_entries=self.sees_all_entries)
