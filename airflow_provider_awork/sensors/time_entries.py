"""Sensors on time entries."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import msgspec
from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_awork.client.lists.conditions import Condition, check_balanced
from airflow_provider_awork.client.lists.filters import filter_text
from airflow_provider_awork.client.lists.resources import time_entries_path
from airflow_provider_awork.client.selection import SELECTION, refuse_blank, refuse_blank_parameters
from airflow_provider_awork.exceptions import (
    AworkAuthenticationError,
    AworkError,
    AworkPollError,
    AworkPollRefusedError,
)
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.operators.base import WINDOW_PARAMETERS, AworkWindowOperator
from airflow_provider_awork.triggers.waiting import CountRange, checked_interval, is_transient, wait_after, whole_number
from airflow_provider_awork.version_compat import (
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    defers_by_default,
    task_state_of,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_awork.windows.window import Window

VISIBILITY_KEY = "awork_visibility"
RUNNING_TIMERS = "startTimeUtc ne null and endTimeUtc eq null"
UNBILLED = "isBillable eq true and isBilled eq false"


class AworkTimeEntriesSensor(AworkWindowOperator, BaseSensorOperator):
    """
    Wait until the number of matching time entries is within bounds; the XCom is that number.

    Each poke is one request of one row, in all of Airflow's modes: poke, reschedule and deferrable. Before the first
    one, two requests ask what the key may see. For a window on
    ``createdOn`` or ``updatedOn`` each process sends two more, and two for each bound, again after an hour, to prove
    how awork reads instants; in reschedule mode each poke is a process. Transient errors (no connection, 5xx, 429) are
    retried after an interval, then after twice the wait before, up to ten minutes; in reschedule mode without giving
    the slot back. Permanent errors (wrong key, wrong filter) fail the task at once.

    The key must see everybody's entries, see the connection's documentation: a key that sees only its own finds no
    running timers of others. The log then warns at the first poke of each try, and the state of the task (Airflow 3.3)
    has it as ``awork_visibility``.

    Source: https://developers.awork.com/apiv1/time-entries/get-time-entries

    :param filterby: awork expression, such as ``isBillable eq true and isBilled eq false``, or a condition made with
        ``airflow_provider_awork.client.filters``. (templated)
    :param min_count: smallest number that ends the wait. (templated)
    :param max_count: largest number that ends the wait; None for no upper bound. ``min_count=0, max_count=0`` waits
        until nothing is left. (templated)
    :param window_field: ``createdOn``, ``updatedOn`` (instants), ``startDateLocal`` (days in each entry's own zone) or
        ``startDateUtc`` (days in UTC). None counts everything. (templated)
    :param window_start: first instant or day of the window: ``date``, ``YYYY-MM-DD``, aware datetime or ISO text.
        Without both bounds the window is the run's partition or data interval. (templated)
    :param window_end: first instant or day after the window. (templated)
    :param window_length: ISO 8601 duration such as ``P1D``, ``P1M`` or ``PT1H``, counted by the calendar, of a window
        that has only a start: the run's partition, or ``window_start``. None takes the period that the partition's key
        names: a month for ``2026-03``, a day for ``2026-03-29``. (templated)
    :param timezone: IANA zone of the days; where the run's own bounds are used, by default the timetable's, else the
        DAG's. (templated)
    :param project_id: only entries of this project (GUID). (templated)
    :param awork_task_id: only entries of this awork task (GUID). (templated)
    :param tolerated_errors: number of transient errors in a row that are retried; one more fails the try, or skips the
        task with ``soft_fail``.
    :param deferrable: wait in the triggerer, without a worker slot; by default Airflow's setting
        ``[operators] default_deferrable``. ``timeout`` and ``execution_timeout`` then both count from the start of the
        try.
    :param awork_conn_id: Airflow connection of type ``awork``. (templated)
    :raises AworkConfigError: a parameter cannot work, or there is no window where one is needed.
    :raises AworkRequestError: awork refuses the request.

    .. code-block:: python

        something_to_bill = AworkTimeEntriesSensor(
            task_id="something_to_bill",
            filterby="isBillable eq true and isBilled eq false",
            window_field="startDateLocal",
            window_start="2026-11-01",
            window_end="2026-12-01",
            poke_interval=300,
            deferrable=True,
        )
        quiet = AworkTimeEntriesSensor.no_running_timers(task_id="quiet", mode="reschedule")
    """

    _suffix = ""  # what a preset adds to the caller's own filter

    template_fields: Sequence[str] = (
        "filterby",
        "min_count",
        "max_count",
        *WINDOW_PARAMETERS,
        "project_id",
        "awork_task_id",
        "awork_conn_id",
    )
    _started: float | None = None
    _last_count: int | None = None
    _must_check_visibility = True

    def __init__(
        self,
        *,
        filterby: str | Condition | None = None,
        min_count: int | str = 1,
        max_count: int | str | None = None,
        project_id: str | None = None,
        awork_task_id: str | None = None,
        tolerated_errors: int = 5,
        deferrable: bool | None = None,
        awork_conn_id: str = AworkHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filterby = filter_text(filterby)
        self.min_count = min_count
        self.max_count = max_count
        self.project_id = project_id
        self.awork_task_id = awork_task_id
        self.tolerated_errors = tolerated_errors
        self.deferrable = defers_by_default() if deferrable is None else deferrable
        self.awork_conn_id = awork_conn_id

    @classmethod
    def no_running_timers(cls, **parameters: Any) -> Self:
        """
        Wait until no timer runs or is paused.

        :param parameters: as for the class; ``filterby`` narrows it down, for example to a project's timers.
        """
        return cls._none_left(RUNNING_TIMERS, parameters)

    @classmethod
    def nothing_to_bill(cls, **parameters: Any) -> Self:
        """
        Wait until all billable entries are billed.

        :param parameters: as for the class; ``filterby`` narrows it down.
        """
        return cls._none_left(UNBILLED, parameters)

    @classmethod
    def _none_left(cls, condition: str, parameters: dict[str, Any]) -> Self:
        """Wait until nothing matches a condition and the filter of the parameters."""
        own = filter_text(parameters.get("filterby"))
        if own is None:
            return cls(**{**parameters, "filterby": condition}, min_count=0, max_count=0)
        refuse_blank("filterby", own)
        sensor = cls(**{**parameters, "filterby": f"({own}){_and(condition)}"}, min_count=0, max_count=0)
        sensor._suffix = _and(condition)
        return sensor

    @cached_property
    def hook(self) -> AworkHook:
        return AworkHook(self.awork_conn_id, single_try=True)

    def execute(self, context: Context) -> Any:
        # As Airflow counts: in reschedule mode the processes of a wait share one timeout.
        first = context["ti"].get_first_reschedule_date(context) if self.reschedule else None
        earlier = datetime.now(UTC) - first if first else timedelta(0)
        self._started = time.monotonic() - earlier.total_seconds()
        self._must_check_visibility = first is None
        try:
            return super().execute(context)
        except AirflowSensorTimeout:
            raise AirflowSensorTimeout(self._missed(self._last_count)) from None
        except AirflowTaskTimeout as error:  # Airflow skips for it during a poke, but not between two
            raise self._skipping(error) from None

    def poke(self, context: Context) -> PokeReturnValue:
        """Ask awork once, and again after transient errors. In deferrable mode the trigger retries instead."""
        wanted = CountRange.checked(min_count=self.min_count, max_count=self.max_count)
        checked_interval(self.poke_interval)
        self.tolerated_errors = whole_number("tolerated_errors", self.tolerated_errors)
        window = self.window(context)
        refuse_blank_parameters(self, *SELECTION)
        if self._suffix and self.filterby:  # a template may have rendered to what reaches out of its parentheses
            own = self.filterby.removesuffix(self._suffix)[1:-1]
            refuse_blank("filterby", own)
            check_balanced(own)
        time_entries_path(project_id=self.project_id, task_id=self.awork_task_id, name_of_task_id="awork_task_id")
        errors = 0
        while True:
            try:
                return self._poke_once(context, wanted, window)
            except AworkError as error:
                errors += 1
                if not (isinstance(error, AworkAuthenticationError) and self._has_another_key()):
                    self._give_up_after(errors, error)
                self.log.warning("Error %d in a row, asking again: %s", errors, error)
            if self.deferrable:
                self._defer(wanted, window, errors=errors)
            wait = wait_after(errors, interval=self.poke_interval)
            if self._elapsed + wait > self.timeout:
                return PokeReturnValue(is_done=False)
            time.sleep(wait)

    def _poke_once(self, context: Context, wanted: CountRange, window: Window | None) -> PokeReturnValue:
        if self._must_check_visibility:
            self._check_visibility(context)
        count = self.hook.count_window(
            filterby=self.filterby, window=window, project_id=self.project_id, task_id=self.awork_task_id
        )
        self._last_count = count
        self.log.info("%d time entries match, waiting for %s", count, wanted)
        if self.deferrable and count not in wanted:
            self._defer(wanted, window)
        return PokeReturnValue(is_done=count in wanted, xcom_value=count)

    def _check_visibility(self, context: Context) -> None:
        """Warn once per try if the key sees only its own entries, and keep that in the state of the task."""
        self.hook.warn_if_entries_are_hidden()
        self._must_check_visibility = False
        state, visibility = task_state_of(context), self.hook.identity.visibility
        if state is not None and (visibility.sees_all_entries is False or state.get(VISIBILITY_KEY)):
            state.set(VISIBILITY_KEY, msgspec.to_builtins(visibility))

    def _has_another_key(self) -> bool:
        """Whether the connection has changed since it was read; a poke may come days later."""
        refused, self.hook = self.hook, AworkHook(self.awork_conn_id, single_try=True)
        return self.hook.config != refused.config

    def _give_up_after(self, errors: int, error: AworkError) -> None:
        if not is_transient(error):
            raise error
        if errors > self.tolerated_errors:
            # With soft_fail Airflow skips for such an error of a trigger; all modes do the same.
            if self.soft_fail:
                raise AirflowSkipException("Skipping due to soft_fail is set to True.") from error
            raise error

    def _defer(self, wanted: CountRange, window: Window | None, *, errors: int = 0) -> None:
        from airflow_provider_awork.triggers.time_entries import AworkTimeEntriesTrigger  # loads Airflow's triggers

        left = max(0.0, self._time_limit - self._elapsed)
        bounds = window.to_dict() if window else {}
        self.defer(
            trigger=AworkTimeEntriesTrigger(
                filterby=self.filterby,
                window_field=bounds.get("field"),
                window_start=bounds.get("start"),
                window_end=bounds.get("end"),
                timezone=bounds.get("timezone"),
                project_id=self.project_id,
                awork_task_id=self.awork_task_id,
                min_count=wanted.least,
                max_count=wanted.most,
                poke_interval=self.poke_interval,
                tolerated_errors=None if self.silent_fail else self.tolerated_errors,
                errors=errors,
                deadline=datetime.now(UTC) + timedelta(seconds=left),
                awork_conn_id=self.awork_conn_id,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(0.0, self.timeout - self._elapsed)),
        )

    @property
    def _elapsed(self) -> float:
        """Seconds of ``timeout`` that have passed."""
        return 0.0 if self._started is None else time.monotonic() - self._started

    @property
    def _time_limit(self) -> float:
        """Seconds until the earlier of both time-outs. Airflow does not watch ``execution_timeout`` while deferred."""
        running = self.execution_timeout
        return min(self.timeout, running.total_seconds()) if running else self.timeout

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> int:
        """
        Return the count of the trigger's event.

        :raises AirflowSensorTimeout: ``timeout`` is over.
        :raises AirflowTaskTimeout: ``execution_timeout`` is over.
        :raises AirflowSkipException: ``execution_timeout`` is over, and ``soft_fail`` or ``never_fail`` is set.
        :raises AworkPollError: awork could not be asked, or the event is not understood.
        :raises AworkPollRefusedError: awork refuses the request.
        """
        status = event.get("status") if isinstance(event, Mapping) else None
        if event and status == "success" and isinstance(event.get("count"), int):
            self.log.info("%d time entries match", event["count"])
            return int(event["count"])
        if event and status == "error":
            raise (AworkPollRefusedError if event.get("permanent") else AworkPollError)(event.get("message"))
        if status == "timeout" and self._time_limit < self.timeout:
            raise self._skipping(AirflowTaskTimeout(f"Time-out after execution_timeout={self.execution_timeout}"))
        if status == "timeout":
            raise AirflowSensorTimeout(self._missed(event.get("count") if event else None))
        raise AworkPollError(f"The trigger's event is not understood: {event!r}")

    def _missed(self, count: int | None) -> str:
        wanted = CountRange.checked(min_count=self.min_count, max_count=self.max_count)
        return wanted.missed(count, seconds=self.timeout)

    def _skipping(self, error: AirflowTaskTimeout) -> BaseException:
        """The error, or one that skips the task if ``soft_fail`` or ``never_fail`` is set."""
        return AirflowSkipException(f"Skipping: {error}") if self.soft_fail or self.never_fail else error


def _and(condition: str) -> str:
    return f" and {condition}"
