"""What awork reports at ``/me``: the identity behind a key, its permissions, and awork's clock."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.client.http.answer import Answer, decode_body, decode_json
from airflow_provider_awork.client.http.rate_limit import http_date
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.client.identity import Identity, Permissions
from airflow_provider_awork.exceptions import AworkRequestError

log = logging.getLogger(__name__)


class _Workspace(msgspec.Struct):
    id: str | None = None
    name: str | None = None
    url: str | None = None


class _Me(msgspec.Struct):
    id: str | None = None
    firstName: str | None = None
    lastName: str | None = None
    workspace: _Workspace | None = None


_decode_me = json_text.decoder(_Me)


class _Permission(msgspec.Struct):
    feature: str | None = None
    accessLevels: list[str] | None = None

    @property
    def levels(self) -> frozenset[str]:
        return frozenset(level.lower() for level in self.accessLevels or ())


class _ProjectRole(msgspec.Struct):
    projectRoleId: str | None = None
    permissions: list[_Permission] | None = None


class _Rights(msgspec.Struct):
    isAdmin: bool | None = None
    permissions: list[_Permission] | None = None
    projectRolesPermissions: list[_ProjectRole] | None = None


class _UserPermission(msgspec.Struct):
    userPermission: _Rights | None = None


@dataclass(frozen=True, kw_only=True)
class ClockReading:
    """
    awork's clock when an answer was sent, to the second below, and when the answer came.

    :param at: the time on awork's clock.
    :param read: ``time.monotonic()`` when the answer was there.
    """

    at: datetime
    read: float

    @property
    def now(self) -> datetime:
        """The earliest time that awork's clock shows now."""
        return self.at + timedelta(seconds=time.monotonic() - self.read)


def read_me(session: AworkSession) -> tuple[Identity, ClockReading | None]:
    """
    Read ``/me``: the identity behind the key without its permissions, and awork's clock if the answer has it.

    :raises AworkAuthenticationError: the key is not valid.
    """
    me, at = session.get("me", parse=lambda answer: (decode_body(_decode_me, answer), _date_of(answer)))
    workspace = me.workspace or _Workspace()
    identity = Identity(
        workspace_id=workspace.id,
        workspace_name=workspace.name,
        user_id=me.id,
        name=" ".join(filter(None, (me.firstName, me.lastName))) or "without a name",
        sees_all_entries=None,
        workspace_url=workspace.url,
    )
    return identity, ClockReading(at=at, read=time.monotonic()) if at else None


def read_permissions(session: AworkSession) -> Permissions | None:
    """Read ``/me/permissions``; None if awork does not report them."""
    try:
        answer = msgspec.convert(session.get("me/permissions", parse=decode_json), _UserPermission)
    except (AworkRequestError, msgspec.ValidationError) as error:
        log.warning("awork does not report what this key may see: %s", error)
        return None
    rights = answer.userPermission or _Rights()
    if rights.isAdmin is None and rights.permissions is None:
        return None
    levels = {each.feature or "": each.levels for each in rights.permissions or ()}
    # awork's document shows a feature's key as ``pmd`` in one place and as ``project-master-data`` in others.
    if levels and not rights.isAdmin and not any("-" in feature for feature in levels):
        return None
    in_projects = frozenset(
        f"{each.feature}:{level} in project role {role.projectRoleId}"
        for role in rights.projectRolesPermissions or ()
        for each in role.permissions or ()
        for level in each.levels
    )
    return Permissions(is_admin=bool(rights.isAdmin), levels=levels, in_projects=in_projects)


def read_identity(session: AworkSession) -> Identity:
    """
    Read ``/me`` and ``/me/permissions``.

    :raises AworkAuthenticationError: the key is not valid.
    """
    identity, _ = read_me(session)
    return identity.with_permissions(read_permissions(session))


def _date_of(answer: Answer) -> datetime | None:
    date = http_date(answer.headers.get("date"))
    return date and date.astimezone(UTC)
