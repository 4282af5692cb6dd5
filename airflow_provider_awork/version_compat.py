"""
Every difference between the supported Airflow versions (3.1, 3.2, 3.3); no other module asks for the version.

Airflow's exceptions live in ``airflow.sdk.exceptions`` from 3.2 on; 3.1 has only ``AirflowException`` there, and
``airflow.exceptions`` warns about deprecation from 3.3 on. Retry policies came with 3.3.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Protocol, TypeVar

import pendulum
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowException
from asgiref.sync import sync_to_async

try:
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowOptionalProviderFeatureException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
    )
except ImportError:  # Airflow 3.1
    from airflow.exceptions import (  # type: ignore[no-redef, attr-defined]  # the same classes
        AirflowFailException,
        AirflowNotFoundException,
        AirflowOptionalProviderFeatureException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
    )

try:
    from airflow.sdk import conf
except ImportError:  # Airflow 3.1
    from airflow.configuration import conf  # type: ignore[assignment]  # has getboolean, too

try:
    from airflow.sdk import RetryDecision, RetryPolicy
except ImportError:  # Airflow 3.1 and 3.2, where nothing asks a policy
    HAS_RETRY_POLICIES = False
    RetryDecision = RetryPolicy = object  # type: ignore[assignment, misc]  # never used there
else:
    HAS_RETRY_POLICIES = True

__all__ = [
    "HAS_RETRY_POLICIES",
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowOptionalProviderFeatureException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "Partition",
    "RetryDecision",
    "RetryPolicy",
    "Schedule",
    "StateStore",
    "asset_state_of",
    "asset_state_stores",
    "defers_by_default",
    "in_thread",
    "partition_of",
    "schedule_of",
    "task_state_of",
]

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Partition:
    """
    What a task sees of its run's partition.

    :param key: the partition key.
    :param date: the instant that the partition begins; None where Airflow does not tell.
    :param key_in_utc: whether Airflow wrote the key in UTC (else: in the timetable's zone); None where that is open.
    """

    key: str
    date: datetime | None
    key_in_utc: bool | None


def connection_id_of(path: Any) -> str | None:
    """Return the id of the connection that an ``ObjectStoragePath`` names; Airflow 3.1 has it in the options alone."""
    conn_id: str | None = getattr(path, "conn_id", None) or path.storage_options.get("conn_id")
    return conn_id


def partition_of(context: Mapping[str, Any]) -> Partition | None:
    """
    The partition of a task's run; None if it has none.

    Airflow 3.1 has no partitions. 3.2 tells tasks only the key, which schedules write in UTC, and people and upstream
    DAGs in whatever zone; 3.3 tells the date, too, and writes keys in the timetable's zone.
    """
    run = context.get("dag_run")
    key = getattr(run, "partition_key", None)
    if not key:
        return None
    if "partition_date" in context:
        return Partition(key=key, date=context["partition_date"], key_in_utc=False)
    scheduled = getattr(run, "run_type", None) in ("scheduled", "backfill")
    return Partition(key=key, date=None, key_in_utc=scheduled or None)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """
    What a DAG's timetable tells.

    :param cron: its one cron expression; None if it has none.
    :param zone: its own time zone; None if it has none, as where assets, people or a timedelta start the runs.
    :param is_partitioned: whether its runs have partitions.
    """

    cron: str | None = None
    zone: tzinfo | None = None
    is_partitioned: bool = False


def schedule_of(context: Mapping[str, Any]) -> Schedule:
    """
    What the timetable of the task's DAG tells, whichever class it is of.

    The timetables of ``airflow.sdk`` (3.2 on) have ``expression`` and ``timezone``, those of ``airflow.timetables``
    the same with an underscore; ``AssetOrTimeSchedule`` and ``MultipleCronTriggerTimetable`` have timetables inside.
    """
    timetable = getattr(context.get("dag"), "timetable", None)
    timetable = getattr(timetable, "timetable", timetable)
    several = _either(timetable, "timetables")
    zone = _either(several[0] if several else timetable, "timezone")
    if isinstance(zone, str):
        zone = pendulum.timezone(zone)
    is_partitioned = "Partition" in type(timetable).__name__  # the classes have no common base
    return Schedule(cron=_either(timetable, "expression"), zone=zone, is_partitioned=is_partitioned)


def _either(timetable: Any, name: str) -> Any:
    return getattr(timetable, name, None) or getattr(timetable, f"_{name}", None)


class StateStore(Protocol):
    """Values by key that outlive a try: of a task instance, or of an asset."""

    def get(self, key: str) -> Any:
        """The value; None if there is none."""

    def set(self, key: str, value: Any) -> None:
        """Keep a value of JSON types."""


def task_state_of(context: Mapping[str, Any]) -> StateStore | None:
    """The state of the task instance, which its tries share; None before Airflow 3.3."""
    return context.get("task_state_store")


def asset_state_of(context: Mapping[str, Any], asset: Any) -> StateStore:
    """The state of an outlet asset, from Airflow 3.3 on."""
    state: StateStore = context["asset_state_store"][asset]
    return state


def defers_by_default() -> bool:
    """Airflow's setting ``[operators] default_deferrable``."""
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


async def in_thread(function: Callable[[], T]) -> T:
    """
    Call what asks Airflow for connections, variables or stored state, without blocking the event loop of a trigger.

    Airflow's own asynchronous accessors talk synchronously to the supervisor up to 3.3.1 (masking of secrets), and 3.1
    answers only threads that ``asgiref`` started. From such a thread the plain accessors work in all versions.
    """
    return await sync_to_async(function)()


def asset_state_stores(trigger: Any) -> list[StateStore]:
    """
    Where a watcher's trigger can keep state: a store for each asset that it watches for.

    Airflow 3.3 gives them to triggers before they run; before 3.3 there are none.
    """
    stores: Any = getattr(trigger, "asset_state_store", None)
    if stores is None:
        log.info("Airflow keeps no state for this watcher: a restart of the triggerer forgets the watermark")
        return []
    # The mapping does not tell its keys otherwise; without a key it serves triggers of one asset alone.
    names = getattr(stores, "_by_name", None)
    if names is None:
        log.warning(
            "This Airflow keeps state for assets in a way that this version of airflow-provider-awork cannot read (%s "
            "has no _by_name): a restart of the triggerer forgets the watermark, and changes meanwhile are not told. "
            "Set initial_watermark, or install a version of the provider that is made for this Airflow.",
            type(stores).__name__,
        )
        return []
    return [stores[Asset.ref(name=name)] for name in sorted(names)]
