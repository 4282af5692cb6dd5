"""What a watcher remembers across restarts of the triggerer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_awork.triggers.watermark import Watermark
from airflow_provider_awork.version_compat import asset_state_stores, in_thread

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger


class WatermarkMemory:
    """
    Keeps a watermark in Airflow's asset store (3.3+); before, there is none.

    :param trigger: the watcher's trigger; its watermark is kept with each asset that it watches for.
    :param key: tells what is watched, since an asset may have several watchers.
    """

    def __init__(self, trigger: BaseEventTrigger, key: str) -> None:
        self._stores = asset_state_stores(trigger)
        self._key = key

    async def load(self) -> Watermark | None:
        """The watermark that was saved last; None if there is none."""
        return await in_thread(self._load)

    async def save(self, watermark: Watermark) -> None:
        await in_thread(partial(self._save, watermark))

    def _load(self) -> Watermark | None:
        stored = [value for store in self._stores if (value := store.get(self._key))]
        return max(map(Watermark.from_json, stored), key=lambda watermark: watermark.at, default=None)

    def _save(self, watermark: Watermark) -> None:
        for store in self._stores:
            store.set(self._key, watermark.to_json())
