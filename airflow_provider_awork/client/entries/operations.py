"""
The operations that read one time entry or change some. Source: https://developers.awork.com/apiv1/time-entries

A change is sent once. If its answer is lost, nobody knows whether awork carried it out, and the error says so. A 429
means that nothing was done: only what does not depend on the present state of an entry waits and is sent again.

awork's rules for who may change an entry: its owner always; others need *write* on ``project-timetracking`` if it has
a project; if it has a task, one must be its assignee or have ``project-planning-data``. What was billed only
administrators may un-bill, delete or re-assign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, Unpack

from airflow_provider_awork.client.entries.arguments import (
    Body,
    batch_body,
    changed_entry,
    checked_id,
    checked_ids,
    entry_fields,
    new_entry,
    replaced_entry,
)
from airflow_provider_awork.client.entries.models import (
    BatchOperation,
    BatchResult,
    NewTimeEntry,
    TimeEntryChanges,
    TimeEntryReplacement,
    batch_result,
    decode_multi_status,
)
from airflow_provider_awork.client.http.answer import Answer, decode_body, decode_json, decode_raw_json
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.client.lists.resources import TIME_ENTRIES
from airflow_provider_awork.exceptions import AworkConfigError, AworkTransportError

T = TypeVar("T")
Entry = dict[str, Any]


class TimeEntryOperations:
    """
    Time entries one by one, and changes of many.

    Every method raises ``AworkConfigError`` for arguments that cannot work, before anything is sent, and
    ``AworkRequestError`` where awork refuses. Every change raises ``AworkTransportError`` if the answer is lost, and
    ``AworkServerError`` for 5xx: in both cases it is unknown whether awork carried it out.
    ``AworkRateLimitError`` (429) means that nothing was done: look at the entries before you send the change again.

    :param session: sends the requests.
    """

    def __init__(self, session: AworkSession) -> None:
        self.session = session

    # -- read ----------------------------------------------------------------------------------------------------

    def get_time_entry(self, time_entry_id: str) -> Entry:
        """One entry by its id. Source: .../time-entries/get-time-entry-by-id"""
        entry: Entry = self.session.get(f"{TIME_ENTRIES}/{checked_id(time_entry_id)}", parse=decode_json)
        return entry

    def get_my_last_time_entry(self, *, user_id: str | None = None) -> Entry | None:
        """
        The entry that was started last, by the key's own user. Source: .../time-entries/get-my-last-time-entries

        :param user_id: another user; that needs an administrator's key.
        :return: None if there is none.
        """
        params = {"userId": checked_id(user_id, "user_id")} if user_id is not None else None
        entry: Entry | None = self.session.get(f"me/{TIME_ENTRIES}/last", params, parse=decode_json)
        return entry

    def get_last_time_entry(self, user_id: str) -> Entry | None:
        """
        The entry that a user started last. Source: .../time-entries/get-last-time-entries-by-user-id

        :return: None if there is none; awork is reported to answer so for unknown users too.
        """
        path = f"users/{checked_id(user_id, 'user_id')}/{TIME_ENTRIES}/last"
        entry: Entry | None = self.session.get(path, parse=decode_json)
        return entry

    # -- change one ----------------------------------------------------------------------------------------------

    def create_time_entry(self, **fields: Unpack[NewTimeEntry]) -> Entry:
        """
        Create an entry; sent twice, it is there twice. Source: .../time-entries/post-time-entry

        :param fields: see :class:`.NewTimeEntry`.
        :return: the entry as awork stored it.
        """
        return self._change_entry("POST", TIME_ENTRIES, new_entry(fields), waits=True)

    def replace_time_entry(self, time_entry_id: str, **fields: Unpack[TimeEntryReplacement]) -> Entry:
        """
        Replace all fields of an entry: what is not passed is cleared. Source: .../time-entries/put-time-entry-by-id

        Breaks stay. Of a running entry only the start can change.

        :param fields: see :class:`.TimeEntryReplacement`.
        :return: the entry as awork stored it.
        """
        path = f"{TIME_ENTRIES}/{checked_id(time_entry_id)}"
        return self._change_entry("PUT", path, replaced_entry(fields), waits=True)

    def update_time_entry(self, time_entry_id: str, **changes: Unpack[TimeEntryChanges]) -> Entry:
        """
        Change some fields of an entry and keep the others: read, modify, write.

        Read-only fields (``id``, audit, ``resourceVersion``, breaks, nested objects) are not sent back. awork has no
        conditional writes, so what somebody else changes between the read and the write is overwritten.

        A changed time of the start keeps the end; a start on another day keeps the duration and moves the end, unless
        a date of the end is passed. A changed ``duration`` keeps the start and moves the end. Another ``projectId``
        drops the task, and another ``taskId`` lets awork take the task's project, unless both are passed.

        :param changes: see :class:`.TimeEntryChanges`.
        :return: the entry as awork stored it.
        :raises AworkConfigError: also if a finished entry would be left with a start time alone, as a running timer.
        :raises AworkNotFoundError: there is none, or not for this key.
        """
        if not changes:
            raise AworkConfigError("changes: pass at least one field that is to change")
        checked = entry_fields(changes)
        _refuse_cleared(checked, "typeOfWorkId", "timezone")
        path = f"{TIME_ENTRIES}/{checked_id(time_entry_id)}"
        entry: Entry = self.session.get(path, parse=decode_raw_json)  # a note that was cut goes back as it is
        return self._change_entry("PUT", path, changed_entry(entry, checked), waits=True)

    def delete_time_entry(self, time_entry_id: str) -> None:
        """Delete an entry for good; billed ones need an administrator. Source: .../delete-time-entry-by-id"""
        self._change("DELETE", f"{TIME_ENTRIES}/{checked_id(time_entry_id)}")

    def remove_breaks(self, time_entry_id: str) -> Entry:
        """
        Remove all breaks of an entry; a paused timer runs on. Source: .../time-entries/post-time-entry-remove-breaks

        :return: the entry as awork stored it.
        """
        return self._change_entry("POST", f"{TIME_ENTRIES}/{checked_id(time_entry_id)}/removebreaks")

    # -- change many ---------------------------------------------------------------------------------------------

    def batch_time_entries(
        self,
        operation: BatchOperation,
        time_entry_ids: Iterable[str],
        *,
        value: bool | str | None = None,
        require_all: bool = False,
    ) -> BatchResult:
        """
        Change many entries in one request. Source: .../time-entries/post-time-entries-batch-by-operation

        ``setIsBillable`` False also clears *billed*; ``setProject`` drops the task; ``setTask`` sets the project of a
        project task. awork states no limit for the number of ids: keep to some hundreds.

        :param operation: ``delete``, ``setTypeOfWork``, ``setIsBillable``, ``setIsBilled``, ``setProject``, ``setTask``
            or ``setUser``.
        :param time_entry_ids: GUIDs; each is sent once.
        :param value: what the operation sets: True or False for ``setIsBillable`` and ``setIsBilled``, a GUID for the
            others, None for ``delete``.
        :param require_all: awork leaves every entry unchanged if one cannot be changed. How it reports the unchanged
            ones then is not documented, and a server that does not know the option ignores it: with any failure read
            the entries again.
        :return: what happened with each id. Nothing is raised for ids that failed: see
            :meth:`.BatchResult.raise_for_failures`.
        """
        return send_batch(self.session, operation, time_entry_ids, value=value, require_all=require_all)

    def delete_time_entries(self, time_entry_ids: Iterable[str]) -> None:
        """
        Delete entries without a word on each: deprecated by awork for the batch operation ``delete``.

        Source: .../time-entries/post-time-entries-delete
        """
        self._set("delete", time_entry_ids)

    def set_time_entries_billable(self, time_entry_ids: Iterable[str]) -> None:
        """
        Make entries billable: deprecated by awork for ``setIsBillable``.

        Source: .../time-entries/post-time-entries-set-billable
        """
        self._set("setbillable", time_entry_ids)

    def set_time_entries_unbillable(self, time_entry_ids: Iterable[str]) -> None:
        """
        Make entries unbillable; refused if one is billed. Deprecated by awork for ``setIsBillable``.

        Source: .../time-entries/post-time-entries-set-unbillable
        """
        self._set("setunbillable", time_entry_ids)

    def set_time_entries_billed(self, time_entry_ids: Iterable[str]) -> None:
        """
        Mark entries as billed: deprecated by awork for ``setIsBilled``.

        Source: .../time-entries/post-time-entries-set-billed
        """
        self._set("setbilled", time_entry_ids)

    def set_time_entries_unbilled(self, time_entry_ids: Iterable[str]) -> None:
        """
        Mark entries as not billed; needs an administrator. Deprecated by awork for ``setIsBilled``.

        Source: .../time-entries/post-time-entries-set-un-billed
        """
        self._set("setunbilled", time_entry_ids)

    def set_time_entries_type_of_work(self, time_entry_ids: Iterable[str], *, type_of_work_id: str) -> None:
        """
        Give entries another type of work: deprecated by awork for ``setTypeOfWork``.

        Source: .../time-entries/post-time-entries-set-type-of-work
        """
        type_of_work_id = checked_id(type_of_work_id, "type_of_work_id")
        self._set("settypeofwork", time_entry_ids, typeOfWorkId=type_of_work_id)

    def _set(self, action: str, time_entry_ids: Iterable[str], **fields: str) -> None:
        """The old setters answer 204 for all; whether they change all or none is not documented."""
        self._change("POST", f"{TIME_ENTRIES}/{action}", {"ids": checked_ids(time_entry_ids), **fields})

    def _change_entry(self, method: str, path: str, body: Body | None = None, *, waits: bool = False) -> Entry:
        return self._change(method, path, body, parse=decode_entry, waits=waits)

    def _change(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        parse: Callable[[Answer], T] = decode_json,
        waits: bool = False,
    ) -> T:
        with _explained(f"{method} {path}"):
            return parse(self.session.send(method, path, json=body, waits=waits))


@contextmanager
def _explained(request: str) -> Iterator[None]:
    try:
        yield
    except AworkTransportError as error:
        raise AworkTransportError(
            f"{request}: no readable answer, so it is unknown whether awork did it; look before you send it again "
            f"({error})"
        ) from None


def send_batch(
    session: AworkSession,
    operation: BatchOperation,
    time_entry_ids: Iterable[str],
    *,
    value: bool | str | None,
    require_all: bool,
    slot: float | None = None,
) -> BatchResult:
    """
    Send :meth:`.TimeEntryOperations.batch_time_entries`.

    :param slot: the right to send the request, as in :meth:`.AworkSession.send`.
    """
    body = batch_body(operation, time_entry_ids, value, require_all=require_all)
    path = f"{TIME_ENTRIES}/batch/{operation}"
    with _explained(f"POST {path}"):
        status = decode_body(decode_multi_status, session.send("POST", path, json=body, slot=slot))
    return batch_result(status, operation=operation, asked=body["timeEntryIds"])


def _refuse_cleared(changes: Body, *names: str) -> None:
    for name in names:
        if name in changes and changes[name] is None:
            raise AworkConfigError(f"{name}: cannot be cleared; awork needs it")


def decode_entry(answer: Answer) -> Entry:
    """
    The entry that awork answers a change with.

    :raises AworkTransportError: the body is none.
    """
    entry = decode_json(answer)
    if not isinstance(entry, dict):
        raise AworkTransportError(f"status {answer.status} without a time entry")
    return entry
