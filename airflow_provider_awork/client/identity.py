"""Who asks, and what it may see; :mod:`.me` reads it from awork."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import msgspec

from airflow_provider_awork.exceptions import AworkConfigError, AworkPagingError


@dataclass(frozen=True, kw_only=True)
class Permissions:
    """
    What a user may do in the workspace.

    :param is_admin: may do everything.
    :param levels: ``read`` and ``write`` by feature, such as ``project-timetracking``.
    :param in_projects: what project roles add: role, feature and level in one text.
    """

    is_admin: bool
    levels: Mapping[str, frozenset[str]]
    in_projects: frozenset[str] = frozenset()

    def allow(self, feature: str, level: str) -> bool:
        return self.is_admin or level in self.levels.get(feature, ())

    @property
    def granted(self) -> frozenset[str]:
        """
        All permissions as awork writes them; an administrator has all without them.

        >>> sorted(Permissions(is_admin=False, levels={"project-timetracking": frozenset({"write"})}).granted)
        ['project-timetracking:write']
        """
        if self.is_admin:
            return frozenset({"administrator"})
        own = frozenset(f"{feature}:{level}" for feature, levels in self.levels.items() for level in levels)
        return own | self.in_projects


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


def require_same_permissions(before: Permissions | None, after: Permissions | None) -> None:
    """
    Fail if a key's permissions changed while it read: some rows were read with other permissions than the rest.

    :param before: its permissions before the first page; None if awork does not report them.
    :param after: its permissions after the last page.
    :raises AworkConfigError: it lost permissions, which another try would not see either.
    :raises AworkPagingError: it gained some, or awork reports them only at one of both times.
    """
    if before is None or after is None:
        if before is not after:
            raise AworkPagingError(
                "awork_conn_id: awork reported the key's permissions only for a part of the read\n"
                "Whether it saw the same rows all along is unknown. Try again."
            )
        return
    lost = frozenset() if after.is_admin else before.granted - after.granted
    if lost:
        raise AworkConfigError(
            "awork_conn_id: the key's permissions changed while it read\n"
            f"It lost {', '.join(sorted(lost))}, so rows may be missing. Restore its permissions and clear the task."
        )
    if gained := after.granted - before.granted:
        raise AworkPagingError(
            "awork_conn_id: the key's permissions changed while it read\n"
            f"It gained {', '.join(sorted(gained))}, so rows that were read before may lack others. Try again."
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

    def with_permissions(self, permissions: Permissions | None) -> Self:
        """Return the identity with other permissions, and what follows from them."""
        sees_all = None if permissions is None else permissions.allow("project-timetracking", "write")
        return replace(self, permissions=permissions, sees_all_entries=sees_all)

    def warn_of_hidden_entries(self, consequence: str) -> str | None:
        """
        Return a warning if it may not list other people's entries.

        :param consequence: what follows for the reader of the log.
        """
        if self.sees_all_entries is not False:
            return None
        return (
            f"{self.name} may not see other people's time entries in {self.workspace_name!r}: {consequence}. Give it a "
            "role with write permission on project time tracking, or use an administrator's API key."
        )

    @property
    def visibility(self) -> Visibility:
        return Visibility.of_key(user_id=self.user_id, sees_all_entries=self.sees_all_entries)
