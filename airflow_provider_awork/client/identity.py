"""Who asks, what it may see, and what time it is there: what awork says of itself at ``/me``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from airflow_provider_awork.client.http import surrogates
from airflow_provider_awork.client.http.rate_limit import http_date
from airflow_provider_awork.client.http.session import AworkSession, decode_body, decode_json
from airflow_provider_awork.exceptions import AworkAssumptionError, AworkRequestError

log = logging.getLogger(__name__)


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


@dataclass(frozen=True, kw_only=True)
class Identity:
    """
    Who asks, and what it may see: missing rights shrink awork's lists in silence.

    :param workspace_id: id of the workspace that the key belongs to.
    :param workspace_name: its name.
    :param user_id: id of the user or API user.
    :param name: its name.
    :param sees_all_entries: whether it may list other people's entries (administrator, or *write* on the feature
        ``project-timetracking``); None where awork does not tell.
    :param workspace_url: where people find the workspace.
    :param permissions: its rights; None where awork does not tell.
    """

    workspace_id: str | None
    workspace_name: str | None
    user_id: str | None
    name: str
    sees_all_entries: bool | None
    workspace_url: str | None = None
    permissions: Permissions | None = None

    def to_dict(self) -> dict[str, Any]:
        """What a manifest says of the source."""
        return {name: value for name, value in asdict(self).items() if name not in ("workspace_url", "permissions")}


def visible_entries(source: Mapping[str, Any]) -> str:
    """
    Which time entries a key may list: where it says the same of two keys, none sees less than the other.

    :param source: what :meth:`Identity.to_dict` gives, maybe kept in a manifest.

    >>> visible_entries({"user_id": "5b0d1f5e", "sees_all_entries": False})
    'only those of user 5b0d1f5e'
    """
    sees_all = source["sees_all_entries"]
    if sees_all:
        return "all"
    return f"{'an unknown part, as' if sees_all is None else 'only those of'} user {source['user_id']}"


class _Workspace(msgspec.Struct):
    id: str | None = None
    name: str | None = None
    url: str | None = None


class _Me(msgspec.Struct):
    id: str | None = None
    firstName: str | None = None
    lastName: str | None = None
    workspace: _Workspace | None = None


_decode_me = surrogates.tolerant(msgspec.json.Decoder(_Me).decode)


class _Permission(msgspec.Struct):
    feature: str | None = None
    accessLevels: list[str] | None = None


class _Rights(msgspec.Struct):
    isAdmin: bool | None = None
    permissions: list[_Permission] | None = None


class _UserPermission(msgspec.Struct):
    userPermission: _Rights | None = None


def read_identity(session: AworkSession) -> Identity:
    """
    Read ``/me`` and ``/me/permissions``.

    :raises AworkAuthenticationError: the key is not valid.
    """
    me = session.get("me", parse=partial(decode_body, _decode_me))
    workspace = me.workspace or _Workspace()
    permissions = _permissions(session)
    return Identity(
        workspace_id=workspace.id,
        workspace_name=workspace.name,
        user_id=me.id,
        name=" ".join(filter(None, (me.firstName, me.lastName))) or "without a name",
        sees_all_entries=None if permissions is None else permissions.allow("project-timetracking", "write"),
        workspace_url=workspace.url,
        permissions=permissions,
    )


def _permissions(session: AworkSession) -> Permissions | None:
    try:
        answer = msgspec.convert(session.get("me/permissions", parse=decode_json), _UserPermission)
    except (AworkRequestError, msgspec.ValidationError) as error:
        log.warning("What this key may see is unknown: %s", error)
        return None
    rights = answer.userPermission or _Rights()
    if rights.isAdmin is None and rights.permissions is None:
        return None
    levels = {
        each.feature or "": frozenset(level.lower() for level in each.accessLevels or ())
        for each in rights.permissions or ()
    }
    # awork's document shows a feature's key as ``pmd`` in one place and as ``project-master-data`` in others.
    if levels and not rights.isAdmin and not any("-" in feature for feature in levels):
        return None
    return Permissions(is_admin=bool(rights.isAdmin), levels=levels)


def server_time(session: AworkSession) -> datetime:
    """
    awork's clock, to the second below: the ``Date`` header of an answer.

    :raises AworkAssumptionError: the answer has none.
    """
    at = session.get("me", parse=lambda answer: http_date(answer.headers.get("date")))
    if at is None:
        raise AworkAssumptionError(
            "awork's answers have no Date header, so its clock cannot be read, and the worker's may be wrong. Pass "
            "explicit windows on another field than updatedOn."
        )
    return at.astimezone(UTC)
