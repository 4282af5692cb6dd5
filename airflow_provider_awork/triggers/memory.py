"""What a watcher remembers across restarts of the triggerer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_awork.triggers.watermark import Watermark
from airflow_provider_awork.version_compat import asset_state_stores, in_thread

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger

    from airflow_provider_awork.version_compat import StateStore


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
        stored = [value for store in self._stores if (value := await self._get(store))]
        return max(map(Watermark.from_json, stored), key=lambda watermark: watermark.at, default=None)

    async def save(self, watermark: Watermark) -> None:
        value = watermark.to_json()
        for store in self._stores:
            await self._set(store, value)

    async def _get(self, store: StateStore) -> Any:
        return await in_thread(lambda: store.get(self._key))

    async def _set(self, store: StateStore, value: dict[str, Any]) -> None:
        await in_thread(lambda: store.set(self._key, value))
