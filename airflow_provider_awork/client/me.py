"""What awork reports at ``/me``: the identity behind a key, its permissions, and awork's clock."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import partial

import msgspec

from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.client.http.answer import decode_body, decode_json
from airflow_provider_awork.client.http.rate_limit import http_date
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.client.identity import Identity, Permissions
from airflow_provider_awork.exceptions import AworkAssumptionError, AworkRequestError

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
        log.warning("awork does not report what this key may see: %s", error)
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
