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
* A watermark holds for the entries that the key could see. A run whose key sees more, fewer or other entries is
  refused: changes that only one of both keys sees would be missed for good. If awork does not report what a key can
  see, that counts as a distinct value; changing to or from it is an error.

State of version 0.1 has a sentence in the place of a :class:`.Visibility`; it is converted when it is read.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec
from airflow.sdk import Asset

from airflow_provider_awork.client.identity import Visibility
from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.version_compat import AirflowSkipException, StateStore, asset_state_of, task_state_of
from airflow_provider_awork.windows.resolution import explicit_window
from airflow_provider_awork.windows.window import Window, before_repeated_hour

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_awork.hooks.awork import AworkHook

log = logging.getLogger(__name__)

WATERMARK_KEY = "awork_watermark"
WINDOW_KEY = "awork_window"
FIELD = "updatedOn"
_COMPACT = "%Y%m%dT%H%M%SZ"

# Keys of version 0.1.
_SENTENCE = "visible_entries"
_LOAD = "of"


class LoadScope(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the watermark of a load holds for.

    :param destination: URI of the prefix of all runs, without a connection id.
    :param workspace_id: awork's workspace.
    :param visibility: which of its entries the key sees.
    """

    destination: str
    workspace_id: str | None
    visibility: Visibility


class StoredWatermark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The watermark as the state of an asset holds it. People may have written it: what is unset matches any run."""

    watermark: datetime
    destination: str | msgspec.UnsetType = msgspec.UNSET
    workspace_id: str | msgspec.UnsetType | None = msgspec.UNSET
    visibility: Visibility | msgspec.UnsetType = msgspec.UNSET


class LoadParameters(msgspec.Struct, frozen=True, kw_only=True):
    """What two tries must have in common for the later one to continue the window of the earlier one."""

    scope: LoadScope
    asset: str
    initial_window_start: str | None


class StoredWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The window that a task instance chose, as its state holds it."""

    start: datetime | None
    end: datetime
    load: LoadParameters


@dataclass(frozen=True, kw_only=True)
class IncrementalLoad:
    """
    The changes that one run takes.

    :param window: the changes.
    :param watermark: where to note that they are delivered; None if the window was given, not chosen.
    """

    window: Window
    watermark: AssetWatermark | None = None

    @property
    def folder(self) -> str:
        """The name of the run's own prefix, without characters that Hadoop's paths do not take."""
        start = f"{self.window.start:{_COMPACT}}" if self.window.start else "beginning"
        return f"from={start}_to={self.window.end:{_COMPACT}}"

    def finish(self) -> None:
        """Move the watermark, after the manifest is written."""
        if self.watermark:
            self.watermark.move_to(_end_of(self.window))


class AssetWatermark:
    """
    The instant up to which all changes of a workspace have been delivered to a destination, in the state of an asset.

    :param state: the state of the asset.
    :param name: of the asset.
    :param scope: what the watermark holds for; stored beside it.
    :raises AworkConfigError: the state has a watermark of another scope, or cannot be read.
    """

    def __init__(self, state: StateStore, *, name: str, scope: LoadScope) -> None:
        self._state = state
        self._name = name
        self._scope = scope
        stored = self._read()
        if stored:
            self._require_scope(stored)

    @property
    def at(self) -> datetime | None:
        """The instant; None before the first run has finished."""
        stored = self._read()
        return stored.watermark if stored else None

    def move_to(self, instant: datetime) -> None:
        """Move the watermark forwards; a later one stays."""
        before = self.at
        if before is not None and before >= instant:
            log.info("The watermark of %r stays at %s", self._name, before.isoformat())
            return
        self._state.set(WATERMARK_KEY, {"watermark": instant.isoformat(), **msgspec.to_builtins(self._scope)})
        log.info(
            "The watermark of %r moved from %s to %s", self._name, before and before.isoformat(), instant.isoformat()
        )

    def _read(self) -> StoredWatermark | None:
        return read_watermark(self._state.get(WATERMARK_KEY), asset=self._name)

    def _require_scope(self, stored: StoredWatermark) -> None:
        for name in ("destination", "workspace_id"):
            then, now = getattr(stored, name), getattr(self._scope, name)
            if then is not msgspec.UNSET and then != now:
                raise AworkConfigError(
                    f"asset {self._name!r} has the watermark of {name} {then!r}, but this run is for {now!r}, "
                    "where earlier changes are missing. Give this export an asset of its own, or delete the key "
                    f"{WATERMARK_KEY!r} of the asset's state to start from the beginning"
                )
        if stored.visibility is not msgspec.UNSET and stored.visibility != self._scope.visibility:
            raise AworkConfigError(_other_visibility(self._name, then=stored.visibility, now=self._scope.visibility))


def _other_visibility(asset: str, *, then: Visibility, now: Visibility) -> str:
    problem = f"asset {asset!r} has the watermark of a key that sees {then}, this key sees {now}. "
    if then.sees_all_entries:
        return (
            f"{problem}Changes of the others would be missed for good. Give the key's role write permission on project "
            "time tracking, or use an administrator's API key; then the next run takes all since the watermark"
        )
    return (
        f"{problem}Earlier changes of the others are missing. Delete the key {WATERMARK_KEY!r} of the asset's state to "
        "start from the beginning"
    )


def read_watermark(stored: Mapping[str, Any] | None, *, asset: str) -> StoredWatermark | None:
    """
    Read a watermark from the state of an asset; None if there is none.

    :param asset: its name, for messages.
    :raises AworkConfigError: it cannot be read.
    """
    if not stored or stored.get("watermark") is None:
        return None
    try:
        return msgspec.convert(_with_visibility(stored), StoredWatermark)
    except msgspec.ValidationError as error:
        raise AworkConfigError(
            f"asset {asset!r}: the key {WATERMARK_KEY!r} of its state cannot be read ({error}). Correct it, or delete "
            "it to start from the beginning"
        ) from None


def read_window(stored: Mapping[str, Any] | None) -> StoredWindow | None:
    """Read the window that an earlier try chose from the state of a task; None if there is none that can be read."""
    if not stored:
        return None
    if _LOAD in stored:
        load = _with_visibility(stored[_LOAD])
        stored = {**stored, "load": {**load, "scope": load}}
    try:
        return msgspec.convert(stored, StoredWindow)
    except msgspec.ValidationError as error:
        log.warning("The window of an earlier try cannot be read, so this try chooses its own: %s", error)
        return None


def _with_visibility(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """Replace the sentence of version 0.1 by the visibility that it describes."""
    if _SENTENCE not in stored:
        return stored
    return {**stored, "visibility": _visibility_in(stored[_SENTENCE])}


def _visibility_in(sentence: str) -> Visibility:
    if sentence == "all":
        return Visibility.of_key(user_id=None, sees_all_entries=True)
    start, _, user_id = sentence.rpartition(" user ")
    sees_all = False if start == "only those of" else None  # else: an unknown part, as
    return Visibility.of_key(user_id=None if user_id == "None" else user_id, sees_all_entries=sees_all)


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
    if window_start or window_end:
        window = explicit_window(
            field=FIELD, start=window_start, end=window_end, length=window_length, timezone=timezone
        )
        return IncrementalLoad(window=window)
    first = None
    if initial_window_start:
        first = Window.of(field=FIELD, start=initial_window_start, timezone=timezone).to_dict()["start"]
    task_state, asset_state, asset = _states(context, outlets)
    scope = LoadScope(
        destination=f"{destination.protocol}://{destination.path.rstrip('/')}",
        workspace_id=hook.identity.workspace_id,
        visibility=hook.identity.visibility,
    )
    watermark = AssetWatermark(asset_state, name=asset, scope=scope)
    load = LoadParameters(scope=scope, asset=asset, initial_window_start=first)
    earlier = read_window(task_state.get(WINDOW_KEY))
    if earlier and not (earlier.load == load and _continues(earlier.start, watermark.at, first)):
        earlier = None
    window = _choose_window(hook, watermark.at, lookback, first, earlier)
    task_state.set(WINDOW_KEY, {**window.to_dict(), "load": msgspec.to_builtins(load)})
    return IncrementalLoad(window=window, watermark=watermark)


def _continues(start: datetime | None, watermark: datetime | None, first: str | None) -> bool:
    """Whether a window that starts there leaves no gap; it would if somebody set the watermark back."""
    if start is None or watermark is None:
        return start is None or start == _instant(first)
    return start <= watermark


def _choose_window(
    hook: AworkHook, watermark: datetime | None, lookback: timedelta, first: str | None, earlier: StoredWindow | None
) -> Window:
    """
    Choose the window of a run.

    :param first: where the first run starts.
    :param earlier: the window that an earlier try of this task instance chose, if it did.
    """
    if earlier and (watermark is None or watermark < earlier.end):
        log.info("An earlier try chose the window")
        return Window.of(field=FIELD, start=earlier.start, end=earlier.end)
    now = hook.client.server_time()
    end = before_repeated_hour(now - lookback, hook.config.extras.behaviour.literal_timezone)
    if earlier:
        return Window.of(field=FIELD, start=earlier.start, end=max(end, earlier.end))
    if watermark and watermark > now + lookback:
        raise AworkConfigError(
            f"the watermark {watermark.isoformat()} is after awork's clock, {now.isoformat()}: changes until then "
            f"would be missed. Set the key {WATERMARK_KEY!r} of the asset's state to an earlier instant, or delete it"
        )
    start = watermark or _instant(first)
    if start and start >= end:
        raise AirflowSkipException(
            f"Nothing can be new yet: the next window starts at {start.isoformat()}, and changes after "
            f"{end.isoformat()} (awork's clock, less the lookback of {lookback}) may still be on their way"
        )
    return Window.of(field=FIELD, start=start, end=end)


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


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


def _end_of(window: Window) -> datetime:
    return cast("datetime", window.end)  # a window on instants with both bounds
