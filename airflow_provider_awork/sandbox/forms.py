"""
The bodies of requests that change time entries. Facts: sections 8.1 to 8.3 of the API facts.

Where they are thin: a field that awork's schema does not have is refused, as its ``additionalProperties: false`` says.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from airflow_provider_awork.sandbox.errors import ApiError

Seconds = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Text = Annotated[str, Meta(min_length=1)]
Ids = Annotated[list[UUID], Meta(min_length=1)]

_PLACE = re.compile(r"(.*?)(?: - at `\$\.?(.*)`)?", re.DOTALL)
_FIELD = re.compile(r".*field `(\w+)`", re.DOTALL)


class EntryForm(Struct, kw_only=True, forbid_unknown_fields=True):
    """What an entry can be given: awork's ``TimeTrackingPutForm``."""

    timezone: Text
    typeOfWorkId: UUID
    userId: UUID | None = None
    projectId: UUID | None = None
    taskId: UUID | None = None
    note: str | None = None
    isBillable: bool | None = None
    isBilled: bool = False
    duration: Seconds | None = None
    breakDuration: Seconds | None = None
    startDateUtc: str | None = None
    startTimeUtc: str | None = None
    endDateUtc: str | None = None
    endTimeUtc: str | None = None
    startDateLocal: str | None = None
    startTimeLocal: str | None = None
    endDateLocal: str | None = None
    endTimeLocal: str | None = None


class NewEntryForm(EntryForm, kw_only=True, forbid_unknown_fields=True):
    """awork's ``TimeEntryPostForm``."""

    userId: UUID


class BatchForm(Struct, kw_only=True, forbid_unknown_fields=True):
    """awork's ``TimeEntryBatchOperationForm``."""

    timeEntryIds: Ids
    newTypeOfWorkId: UUID | None = None
    isBillable: bool | None = None
    isBilled: bool | None = None
    newProjectId: UUID | None = None
    newTaskId: UUID | None = None
    newUserId: UUID | None = None
    requireAllTimeEntries: bool = False


class IdsForm(Struct, kw_only=True, forbid_unknown_fields=True):
    """awork's forms of the old setters."""

    ids: Ids


class TypeOfWorkForm(IdsForm, kw_only=True, forbid_unknown_fields=True):
    """awork's ``SetTimeEntryTypeOfWork``."""

    typeOfWorkId: UUID


Form = TypeVar("Form", bound=Struct)


def read_form(body: bytes, form: type[Form]) -> Form:
    """
    A body as a form; ids are in lower case.

    :raises ApiError: ``invalid-model`` for what is no JSON object, ``validation-failed`` with the field for the rest.
    """
    try:
        return msgspec.convert(_decoded(body), form)
    except msgspec.ValidationError as error:
        message, place = _message_and_place(str(error))
        raise ApiError(400, "validation-failed", f"The request is not valid: {message}.", field=place) from error
    except msgspec.DecodeError as error:
        raise ApiError(400, "invalid-model", f"The body is empty or malformed: {error}.") from error


def _decoded(body: bytes) -> Any:
    """Also texts with halves of surrogate pairs, which JSON has as escapes."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        try:
            return json.loads(body)
        except ValueError:
            raise error from None


def _message_and_place(text: str) -> tuple[str, str]:
    found = _PLACE.fullmatch(text)
    message, place = (found[1], found[2]) if found else (text, None)
    field: Any = _FIELD.match(message)
    return message, place or (field[1] if field else "body")
