"""
Requests of triggers: in threads, so that nothing blocks the event loop, and over one session for each key.

Each trigger resolves its connection itself, in its own right; those whose settings come out the same, key included,
then share a session, its pacing and its few threads. So hundreds of triggers need a handful of connections to awork,
and what a trigger may not read it cannot reach through another one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec

from airflow_provider_awork.exceptions import AworkAuthenticationError, AworkPollError
from airflow_provider_awork.hooks.awork import AworkHook

if TYPE_CHECKING:
    from airflow_provider_awork.client.http.config import AworkConfig

T = TypeVar("T")

MOST_THREADS = 8


class Poller:
    """
    Asks awork for one trigger: ``async with Poller(conn_id) as poller: await poller.ask(...)``.

    :param awork_conn_id: Airflow connection of type ``awork``; read at the first question, and again when awork does
        not accept its key any more.
    """

    def __init__(self, awork_conn_id: str) -> None:
        self._awork_conn_id = awork_conn_id
        self._shared: _SharedHook | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._release()

    async def ask(self, question: Callable[[AworkHook], T]) -> T:
        """
        Call a function that asks awork by a hook, in a thread. The hook sends each read once.

        :raises AworkPollError: the key was replaced meanwhile; ask again after a pause.
        """
        if self._shared is None:
            self._shared = await self._connect()
        try:
            return await self._shared.ask(question)
        except AworkAuthenticationError as error:
            refused = self._shared.key
            self._release()
            self._shared = await self._connect()
            if self._shared.key == refused:
                raise
            raise AworkPollError(f"{error}; connection {self._awork_conn_id!r} has another key now") from error

    def forget_connection(self) -> None:
        """Read the connection again before the next question."""
        self._release()

    async def _connect(self) -> _SharedHook:
        hook = AworkHook(self._awork_conn_id, single_try=True)
        key = _key((await hook.aget_conn()).config)
        shared = _in_use.setdefault(key, _SharedHook(key, hook))
        shared.users += 1
        return shared

    def _release(self) -> None:
        shared, self._shared = self._shared, None
        if shared:
            shared.users -= 1
            if not shared.users:
                del _in_use[shared.key]
                shared.close()


class _SharedHook:
    """One session and its threads, for all triggers with the same settings."""

    def __init__(self, key: bytes, hook: AworkHook) -> None:
        self.key = key
        self.users = 0
        self._hook = hook
        threads = min(MOST_THREADS, hook.config.extras.max_concurrent_requests)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"awork-{hook.awork_conn_id}")

    async def ask(self, question: Callable[[AworkHook], T]) -> T:
        # A thread would wait for the rate limit, too, but many triggers wait here without one.
        while (pause := self._hook.client.session.limiter.paused_for()) > 0:
            await asyncio.sleep(pause)
        return await asyncio.get_running_loop().run_in_executor(self._threads, question, self._hook)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._hook.close()


# Sessions that triggers of this process use at the moment, by what their settings are: none outlives its users.
_in_use: dict[bytes, _SharedHook] = {}


def _key(config: AworkConfig) -> bytes:
    return hashlib.sha256(msgspec.json.encode(config)).digest()
