"""What the time-entry operations take and give, with awork's own names for awork's fields."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Literal, NotRequired, TypedDict, get_args

import msgspec

from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.exceptions import AworkBatchError

BatchOperation = Literal["delete", "setTypeOfWork", "setIsBillable", "setIsBilled", "setProject", "setTask", "setUser"]
BATCH_OPERATIONS: tuple[str, ...] = get_args(BatchOperation)
"""What ``POST /timeentries/batch/{operation}`` can do."""


class _CommonFields(TypedDict, total=False):
    projectId: str | None
    taskId: str | None
    note: str | None
    isBillable: bool | None
    isBilled: bool | None
    duration: int | None
    started_at: datetime | str | None
    ended_at: datetime | str | None
    startDateUtc: date | str | None
    startTimeUtc: time | str | None
    endDateUtc: date | str | None
    endTimeUtc: time | str | None
    startDateLocal: date | str | None
    startTimeLocal: time | str | None
    endDateLocal: date | str | None
    endTimeLocal: time | str | None


class NewTimeEntry(_CommonFields):
    """
    The fields of a new time entry (awork's ``TimeEntryPostForm``). None and absent are the same.

    Ids are GUIDs. ``timezone`` is an IANA name. ``duration`` is in seconds, without breaks. ``isBillable`` left out is
    what the project has by default.

    Times come in one of two groups, never both: ``...Utc`` or ``...Local`` (wall clock in ``timezone``). awork
    splits an instant into a date and a time of day; without a start time the entry has a day and a duration only.
    ``started_at`` and ``ended_at`` are aware datetimes, or ISO text with an offset, and are sent as the UTC group.
    Dates are ``date`` or ``YYYY-MM-DD``; times are ``time`` or ``HH:MM[:SS[.fffffff]]``.

    A finished entry has a start, and a ``duration`` or an end (the end wins); a start time alone starts a timer.
    """

    userId: str
    typeOfWorkId: str
    timezone: str


class TimeEntryReplacement(_CommonFields):
    """All fields of an entry (awork's ``TimeTrackingPutForm``), as in :class:`NewTimeEntry`; left out means cleared."""

    typeOfWorkId: str
    timezone: str
    userId: NotRequired[str | None]


class TimeEntryChanges(_CommonFields, total=False):
    """Fields of an entry that are to change, as in :class:`NewTimeEntry`; None clears a field."""

    typeOfWorkId: str
    timezone: str
    userId: str | None


class BatchResult(msgspec.Struct, frozen=True, kw_only=True):
    """
    What awork did with each id of a batch (its ``MultiStatusResult``; the answer's status is 207 also when all failed).

    :param operation: what was asked for.
    :param ok: ids of entries that are now as asked; with ``require_all`` only if nothing failed.
    :param not_found: ids without an entry.
    :param unauthorized: ids of entries that the key may not change so.
    :param bad_request: ids of entries for which the change is not valid.
    :param unreported: ids that were asked for and are in none of awork's lists, such as those that
        ``require_all`` left alone.
    """

    operation: str
    ok: tuple[str, ...] = ()
    not_found: tuple[str, ...] = ()
    unauthorized: tuple[str, ...] = ()
    bad_request: tuple[str, ...] = ()
    unreported: tuple[str, ...] = ()

    def failures(self, *, tolerate_not_found: bool = False) -> dict[str, tuple[str, ...]]:
        """The ids that are not as asked, by kind, without empty kinds."""
        kinds = {
            "not found": () if tolerate_not_found else self.not_found,
            "unauthorized": self.unauthorized,
            "bad request": self.bad_request,
            "unreported": self.unreported,
        }
        return {kind: ids for kind, ids in kinds.items() if ids}

    def raise_for_failures(self, *, tolerate_not_found: bool = False) -> None:
        """
        Make sure that every entry is as asked.

        :param tolerate_not_found: entries that are gone do not count as failures.
        :raises AworkBatchError: some are not; the message has counts and the first ids of each kind.
        """
        failures = self.failures(tolerate_not_found=tolerate_not_found)
        if failures:
            failed = sum(map(len, failures.values()))
            raise AworkBatchError(
                f"{self.operation}: {failed} time entries are not as asked, {len(self.ok)} are",
                failures=failures,
                result=self,
            )


class _Ids(msgspec.Struct):
    ids: list[str] | None = None


class _MultiStatus(msgspec.Struct, rename="camel"):
    ok: _Ids | None = None
    not_found: _Ids | None = None
    unauthorized: _Ids | None = None
    bad_request: _Ids | None = None


decode_multi_status = json_text.decoder(_MultiStatus)


# The first list that has an id counts: a failure outweighs ``ok``.
_BY_WEIGHT = ("unauthorized", "bad_request", "not_found", "ok")


def batch_result(status: _MultiStatus, *, operation: str, asked: Sequence[str]) -> BatchResult:
    """
    Return the result of a batch: each id that was asked for, once, in the first of awork's lists that has it.

    awork's ids are compared without case. Ids that nobody asked for are left out.
    """
    left = dict.fromkeys(asked)
    found: dict[str, tuple[str, ...]] = {}
    for name in _BY_WEIGHT:
        reported = getattr(status, name)
        listed = {each.lower() for each in (reported.ids if reported else None) or ()}
        found[name] = tuple(each for each in left if each in listed)
        left = {each: None for each in left if each not in listed}
    return BatchResult(operation=operation, unreported=tuple(left), **found)
