"""awork's operations on single time entries and on batches, as methods of the hook."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Unpack

if TYPE_CHECKING:
    from airflow_provider_awork.client.client import AworkClient
    from airflow_provider_awork.client.entries.models import (
        BatchOperation,
        BatchResult,
        NewTimeEntry,
        TimeEntryChanges,
        TimeEntryReplacement,
    )


class EntryOperationsMixin:
    """
    Reads one time entry, or changes some, through the client of the hook that it is mixed into.

    A change is sent once, and again after a 429 only if it does not rest on the present state of entries: else
    ``AworkRateLimitError`` says that nothing was done. ``AworkTransportError`` and
    ``AworkServerError`` leave open whether awork carried it out: a retry of the task may do it twice.
    """

    client: AworkClient

    def get_time_entry(self, time_entry_id: str) -> dict[str, Any]:
        """
        One time entry. Source: https://developers.awork.com/apiv1/time-entries/get-time-entry-by-id

        :param time_entry_id: GUID.
        :raises AworkNotFoundError: there is none, or not for this key.
        """
        return self.client.get_time_entry(time_entry_id)

    def get_my_last_time_entry(self, *, user_id: str | None = None) -> dict[str, Any] | None:
        """
        The time entry that the key's own user started last; starts in the future do not count.

        Source: https://developers.awork.com/apiv1/time-entries/get-my-last-time-entries

        :param user_id: another user (GUID); that needs an administrator's key.
        :return: None if there is none.
        """
        return self.client.get_my_last_time_entry(user_id=user_id)

    def get_last_time_entry(self, user_id: str) -> dict[str, Any] | None:
        """
        The time entry that a user started last; starts in the future do not count.

        Source: https://developers.awork.com/apiv1/time-entries/get-last-time-entries-by-user-id

        :param user_id: GUID; another user than the key's own needs an administrator's key.
        :return: None if there is none; awork is reported to answer so for unknown users too.
        """
        return self.client.get_last_time_entry(user_id)

    def create_time_entry(self, **fields: Unpack[NewTimeEntry]) -> dict[str, Any]:
        """
        Create a time entry; called twice, it is there twice.

        Source: https://developers.awork.com/apiv1/time-entries/post-time-entry

        .. code-block:: python

            hook.create_time_entry(
                userId=user_id,
                typeOfWorkId=type_of_work_id,
                projectId=project_id,
                timezone="Europe/Berlin",
                startDateLocal="2026-11-02",
                duration=2 * 3600,
                note="Workshop",
            )

        :param fields: awork's names: ``userId``, ``typeOfWorkId``, ``timezone`` (IANA) and the day of the start are
            needed. Times are UTC (``startDateUtc`` ..., or aware datetimes as ``started_at``, ``ended_at``) or local
            (``startDateLocal`` ...), not both; ``duration`` is in seconds. See
            :class:`~airflow_provider_awork.client.entries.models.NewTimeEntry`.
        :return: the entry as awork stored it.
        :raises AworkConfigError: a field is missing or cannot work; nothing was sent.
        :raises AworkValidationError: awork refuses a field.
        :raises AworkTransportError: the answer is lost; whether the entry was created is unknown.
        """
        return self.client.create_time_entry(**fields)

    def replace_time_entry(self, time_entry_id: str, **fields: Unpack[TimeEntryReplacement]) -> dict[str, Any]:
        """
        Replace all fields of a time entry: what is not passed is cleared. To change some, see
        :meth:`update_time_entry`.

        Source: https://developers.awork.com/apiv1/time-entries/put-time-entry-by-id

        :param time_entry_id: GUID.
        :param fields: as for :meth:`create_time_entry`, without ``userId`` if the user was deleted.
        :return: the entry as awork stored it.
        :raises AworkConfigError: a field is missing or cannot work; nothing was sent.
        :raises AworkNotFoundError: there is none, or not for this key.
        """
        return self.client.replace_time_entry(time_entry_id, **fields)

    def update_time_entry(self, time_entry_id: str, **changes: Unpack[TimeEntryChanges]) -> dict[str, Any]:
        """
        Change some fields of a time entry and keep the others: read, modify, write.

        Read-only fields are not sent back. awork has no conditional writes: what somebody else changes between the read
        and the write is overwritten. Another ``projectId`` drops the task, and another ``taskId`` lets awork take the
        task's project.

        The time stays as it is unless its change is asked for: a changed time of the start keeps the end; a start on
        another day keeps the duration and moves the end, unless a date of the end is passed; a changed ``duration``
        keeps the start and moves the end.

        :param time_entry_id: GUID.
        :param changes: awork's names, as for :meth:`create_time_entry`; None clears a field.
        :return: the entry as awork stored it.
        :raises AworkConfigError: a field cannot work, or a finished entry would be left with a start time alone, as a
            running timer; nothing was changed.
        :raises AworkNotFoundError: there is none, or not for this key.
        """
        return self.client.update_time_entry(time_entry_id, **changes)

    def delete_time_entry(self, time_entry_id: str) -> None:
        """
        Delete a time entry for good; a billed one needs an administrator's key.

        Source: https://developers.awork.com/apiv1/time-entries/delete-time-entry-by-id

        :param time_entry_id: GUID.
        :raises AworkNotFoundError: there is none, or not for this key.
        """
        self.client.delete_time_entry(time_entry_id)

    def remove_breaks(self, time_entry_id: str) -> dict[str, Any]:
        """
        Remove all breaks of a time entry; a paused timer runs on.

        Source: https://developers.awork.com/apiv1/time-entries/post-time-entry-remove-breaks

        :param time_entry_id: GUID.
        :return: the entry as awork stored it.
        """
        return self.client.remove_breaks(time_entry_id)

    def batch_time_entries(
        self,
        operation: BatchOperation,
        time_entry_ids: Iterable[str],
        *,
        value: bool | str | None = None,
        require_all: bool = False,
    ) -> BatchResult:
        """
        Change many time entries in one request, with a result for each.

        Source: https://developers.awork.com/apiv1/time-entries/post-time-entries-batch-by-operation

        .. code-block:: python

            hook.batch_time_entries("setIsBilled", ids, value=True).raise_for_failures()

        :param operation: ``delete``, ``setTypeOfWork``, ``setIsBillable`` (False also clears *billed*),
            ``setIsBilled``, ``setProject`` (drops the task), ``setTask`` (sets the project of a project task) or
            ``setUser``.
        :param time_entry_ids: GUIDs, sent in one request; awork states no limit, keep to some hundreds.
        :param value: what the operation sets: True or False, a GUID, or None for ``delete``.
        :param require_all: awork leaves every entry unchanged if one cannot be changed.
        :return: the ids by outcome. Ids that failed raise nothing here: look at it, or call its
            ``raise_for_failures()``.
        :raises AworkConfigError: an argument cannot work; nothing was sent.
        :raises AworkTransportError: the answer is lost; what was changed is unknown.
        """
        return self.client.batch_time_entries(operation, time_entry_ids, value=value, require_all=require_all)

    def delete_time_entries(self, time_entry_ids: Iterable[str]) -> None:
        """
        Delete time entries. Deprecated by awork: :meth:`batch_time_entries` with ``delete`` says what became of each.

        Source: https://developers.awork.com/apiv1/time-entries/post-time-entries-delete
        """
        self.client.delete_time_entries(time_entry_ids)

    def set_time_entries_billable(self, time_entry_ids: Iterable[str]) -> None:
        """
        Make time entries billable. Deprecated by awork for :meth:`batch_time_entries` with ``setIsBillable``.

        Source: https://developers.awork.com/apiv1/time-entries/post-time-entries-set-billable
        """
        self.client.set_time_entries_billable(time_entry_ids)

    def set_time_entries_unbillable(self, time_entry_ids: Iterable[str]) -> None:
        """
        Make time entries unbillable; awork refuses if one is billed. Deprecated by awork for :meth:`batch_time_entries`
        with ``setIsBillable``.

        Source: https://developers.awork.com/apiv1/time-entries/post-time-entries-set-unbillable
        """
        self.client.set_time_entries_unbillable(time_entry_ids)

    def set_time_entries_billed(self, time_entry_ids: Iterable[str]) -> None:
        """
        Mark time entries as billed. Deprecated by awork for :meth:`batch_time_entries` with ``setIsBilled``.

        Source: https://developers.awork.com/apiv1/time-entries/post-time-entries-set-billed
        """
        self.client.set_time_entries_billed(time_entry_ids)

    def set_time_entries_unbilled(self, time_entry_ids: Iterable[str]) -> None:
        """
        Mark time entries as not billed; needs an administrator's key. Deprecated by awork for
        :meth:`batch_time_entries` with ``setIsBilled``.

        Source: https://developers.awork.com/apiv1/time-entries/post-time-entries-set-un-billed
        """
        self.client.set_time_entries_unbilled(time_entry_ids)

    def set_time_entries_type_of_work(self, time_entry_ids: Iterable[str], *, type_of_work_id: str) -> None:
        """
        Give time entries another type of work. Deprecated by awork for :meth:`batch_time_entries` with
        ``setTypeOfWork``.

        Source: https://developers.awork.com/apiv1/time-entries/post-time-entries-set-type-of-work
        """
        self.client.set_time_entries_type_of_work(time_entry_ids, type_of_work_id=type_of_work_id)
