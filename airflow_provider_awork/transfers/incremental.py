"""
Incremental loads: which changes a run takes, and how far all changes have been delivered.

The windows on ``updatedOn`` are half-open and follow one another without a gap. Their common bound, the *watermark*, is
kept in the state of the outlet asset:

* A window ends ``lookback`` before the start of the run by awork's clock; the worker's clock plays no part. What awork
  commits up to ``lookback`` late is there when the window is read.
* The watermark moves once the manifest stands, and never back. A run that fails before leaves it where it was, so that
  the next run takes the same changes again.
* An entry that is edited leaves a window that is over, and comes again in a later one: its ``updatedOn`` is then after
  the start of every run that may have missed it.
* A window is chosen before the first entry is asked for and kept in the state of the task, so that another try fills
  the same folder; if an earlier try has published it, only the watermark is left to move. Airflow keeps the state when
  a user clears the task, too. If the watermark has passed the window by then, the task takes everything from the same
  start until now. A window that is given finds its set published, too. So a folder is never replaced by what is left
  of its changes later.
* A watermark is true of the entries that the key could see. One whose key sees more, less or others than the key of a
  run is refused: changes that only one of them sees would be missed for good, without a trace. Where awork does not
  tell what a key sees, that is a thing of its own, so a key of which it no longer tells is refused, too.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import Asset

from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.version_compat import AirflowSkipException, StateStore, asset_state_of, task_state_of
from airflow_provider_awork.windows.run_window import explicit_window

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_awork.hooks.awork import AworkHook
    from airflow_provider_awork.windows.window import Window

log = logging.getLogger(__name__)

WATERMARK_KEY = "awork_watermark"
WINDOW_KEY = "awork_window"
VISIBLE = "visible_entries"
FIELD = "updatedOn"
_COMPACT = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, kw_only=True)
class IncrementalLoad:
    """
    What one run takes.

    :param window: the changes.
    :param watermark: where to note that they are delivered; None if the window was given, not chosen.
    """

    window: Window
    watermark: Watermark | None = None

    @property
    def folder(self) -> str:
        """The name of the run's own prefix, without characters that Hadoop's paths do not take."""
        start = f"{self.window.start:{_COMPACT}}" if self.window.start else "beginning"
        return f"from={start}_to={self.window.end:{_COMPACT}}"

    def finish(self) -> None:
        """The manifest stands: move the watermark."""
        if self.watermark:
            self.watermark.move_to(_end_of(self.window))


class Watermark:
    """
    Up to when all changes of a workspace have been delivered to a destination.

    :param state: the state of the asset that it belongs to.
    :param name: of that asset.
    :param belongs_to: what it is true of; kept beside it.
    :raises AworkConfigError: the state has a watermark of another workspace or destination, or of other entries.
    """

    def __init__(self, state: StateStore, *, name: str, belongs_to: Mapping[str, str | None]) -> None:
        self._state = state
        self._name = name
        self._belongs_to = dict(belongs_to)
        kept = self._kept()
        for what, value in self._belongs_to.items():
            if kept.get(what, value) == value:
                continue
            if what == VISIBLE:
                raise AworkConfigError(_other_entries(name, then=kept[what], now=value))
            raise AworkConfigError(
                f"asset {name!r} has the watermark of {what} {kept[what]!r}, but this run is for {value!r}, "
                f"where earlier changes are missing. Give this export an asset of its own, or delete the key "
                f"{WATERMARK_KEY!r} of the asset's state to start from the beginning"
            )

    @property
    def at(self) -> datetime | None:
        """The instant; None before the first run has finished."""
        text = self._kept().get("watermark")
        return None if text is None else datetime.fromisoformat(text)

    def move_to(self, instant: datetime) -> None:
        """Move it forwards; a later one stays."""
        before = self.at
        if before is not None and before >= instant:
            log.info("The watermark of %r stays at %s", self._name, before.isoformat())
            return
        self._state.set(WATERMARK_KEY, {"watermark": instant.isoformat(), **self._belongs_to})
        log.info(
            "The watermark of %r moved from %s to %s", self._name, before and before.isoformat(), instant.isoformat()
        )

    def _kept(self) -> dict[str, Any]:
        return self._state.get(WATERMARK_KEY) or {}


def _other_entries(asset: str, *, then: str | None, now: str | None) -> str:
    problem = f"asset {asset!r} has the watermark of a key that sees {then!r} of the time entries, this one {now!r}. "
    if then == "all":
        return (
            f"{problem}Changes of the others would be missed for good. Give the key's role write permission on project "
            "time tracking, or use an administrator's API key; then the next run takes all since the watermark"
        )
    return (
        f"{problem}Earlier changes of the others are missing. Delete the key {WATERMARK_KEY!r} of the asset's state to "
        "start from the beginning"
    )


def begin_load(
    context: Mapping[str, Any],
    *,
    hook: AworkHook,
    destination: ObjectStoragePath,
    outlets: Sequence[Any],
    lookback: timedelta,
    initial_window_start: date | datetime | str | None = None,
    window_start: date | datetime | str | None = None,
    window_end: date | datetime | str | None = None,
    window_length: str | None = None,
    timezone: str | None = None,
) -> IncrementalLoad:
    """
    Choose the window of a run, or take up the one that an earlier try of it chose.

    :param context: Airflow's context of the running task.
    :param destination: the prefix of all runs.
    :param outlets: the task's outlets; the one asset among them has the watermark.
    :param lookback: how late awork may commit a change.
    :param initial_window_start: where the first run starts; None: everything.
    :param window_start: with ``window_end`` or ``window_length``: an explicit window, which needs no watermark and
        moves none.
    :param timezone: IANA zone in which dates are midnight.
    :raises AworkConfigError: there is nowhere to keep a watermark, or it is of something else than this run.
    :raises AirflowSkipException: nothing can be new yet.
    """
    from airflow_provider_awork.client.identity import visible_entries
    from airflow_provider_awork.windows.window import Window

    if window_start or window_end:
        window = explicit_window(FIELD, window_start, window_end, window_length, timezone)
        _wait_until_over(_end_of(window), hook, lookback)
        return IncrementalLoad(window=window)
    first = None
    if initial_window_start:
        first = Window.of(field=FIELD, start=initial_window_start, timezone=timezone).to_dict()["start"]
    task_state, asset_state, asset = _states(context, outlets)
    belongs_to = {
        "destination": f"{destination.protocol}://{destination.path.rstrip('/')}",
        "workspace_id": hook.identity.workspace_id,
        VISIBLE: visible_entries(hook.identity.to_dict()),
    }
    watermark = Watermark(asset_state, name=asset, belongs_to=belongs_to)
    fingerprint = {**belongs_to, "asset": asset, "initial_window_start": first}
    kept = task_state.get(WINDOW_KEY) or {}
    if kept.get("of") != fingerprint or not _continues(kept["start"], watermark.at, first):
        kept = {}
    window = _choose_window(hook, watermark.at, lookback, first, kept)
    task_state.set(WINDOW_KEY, {**window.to_dict(), "of": fingerprint})
    return IncrementalLoad(window=window, watermark=watermark)


def _continues(start: str | None, watermark: datetime | None, first: str | None) -> bool:
    """Whether a window that starts there leaves no gap; it would if somebody set the watermark back."""
    if start is None or watermark is None:
        return start is None or start == first
    return datetime.fromisoformat(start) <= watermark


def _choose_window(
    hook: AworkHook, watermark: datetime | None, lookback: timedelta, first: str | None, kept: Mapping[str, Any]
) -> Window:
    """
    The window of a run.

    :param first: where the first run starts.
    :param kept: the window that this task instance chose earlier, if it did.
    """
    from airflow_provider_awork.windows.window import Window, before_repeated_hour

    kept_end = datetime.fromisoformat(kept["end"]) if kept else None
    if kept_end and (watermark is None or watermark < kept_end):
        log.info("An earlier try chose the window")
        return Window.of(field=FIELD, start=kept["start"], end=kept_end)
    now = hook.client.server_time()
    end = before_repeated_hour(now - lookback, hook.config.extras.behaviour.literal_timezone)
    if kept_end:
        return Window.of(field=FIELD, start=kept["start"], end=max(end, kept_end))
    if watermark and watermark > now + lookback:
        raise AworkConfigError(
            f"the watermark {watermark.isoformat()} is after awork's clock, {now.isoformat()}: changes until then "
            f"would be missed. Set the key {WATERMARK_KEY!r} of the asset's state to an earlier instant, or delete it"
        )
    start = watermark or (datetime.fromisoformat(first) if first else None)
    if start and start >= end:
        raise AirflowSkipException(
            f"Nothing can be new yet: the next window starts at {start.isoformat()}, and changes after "
            f"{end.isoformat()} (awork's clock, less the lookback of {lookback}) may still be on their way"
        )
    return Window.of(field=FIELD, start=start, end=end)


def _states(context: Mapping[str, Any], outlets: Sequence[Any]) -> tuple[StateStore, StateStore, str]:
    """The states of the task and of its one outlet asset, and the asset's name."""
    task_state = task_state_of(context)
    if task_state is None:
        raise AworkConfigError(
            "incremental: the watermark needs the asset state store of Airflow 3.3. On this version pass window_start "
            "and window_end, such as the run's data interval; each window then has its own folder, too"
        )
    assets = [outlet for outlet in outlets if isinstance(outlet, Asset)]
    if len(assets) != 1:
        raise AworkConfigError(
            f"outlets: {len(assets)} assets; incremental needs one that keeps the watermark, such as "
            "outlets=[Asset('awork_time_entries')]"
        )
    return task_state, asset_state_of(context, assets[0]), assets[0].name


def _wait_until_over(end: datetime, hook: AworkHook, lookback: timedelta) -> None:
    """Changes may come into a window until ``lookback`` after its end: wait for that, but not for the end itself."""
    while (remaining := end + lookback - hook.client.server_time()) > timedelta(0):
        if remaining > lookback:
            raise AworkConfigError(
                f"window_end: {end.isoformat()} is still to come by awork's clock, so the changes until then cannot be "
                "known; run after it"
            )
        log.info("Waiting %s: awork may commit changes of the window until %s after its end", remaining, lookback)
        hook.client.session.limiter.sleep(remaining.total_seconds())


def _end_of(window: Window) -> datetime:
    return cast("datetime", window.end)  # a window on instants with both bounds
