"""Where the position of a watcher is kept across restarts of the triggerer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_awork.triggers.position import WatcherPosition
from airflow_provider_awork.version_compat import asset_state_stores, in_thread

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger


class PositionStore:
    """
    Keeps a position in Airflow's asset store (3.3+); older versions have none, and nothing is kept.

    :param trigger: the watcher's trigger; its position is kept with each asset that it watches for.
    :param key: identifies the watched entries, since an asset may have several watchers.
    """

    def __init__(self, trigger: BaseEventTrigger, key: str) -> None:
        self._stores = asset_state_stores(trigger)
        self._key = key

    async def load(self) -> WatcherPosition | None:
        """Load the position that was saved last; None if there is none."""
        return await in_thread(self._load)

    async def save(self, position: WatcherPosition) -> None:
        await in_thread(partial(self._save, position))

    def _load(self) -> WatcherPosition | None:
        stored = [value for store in self._stores if (value := store.get(self._key))]
        return max(map(WatcherPosition.from_json, stored), key=lambda position: position.at, default=None)

    def _save(self, position: WatcherPosition) -> None:
        for store in self._stores:
            store.set(self._key, position.to_json())
