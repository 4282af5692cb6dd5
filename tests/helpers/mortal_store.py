"""A store that dies at its n-th operation, as the store of a killed process does: nothing that follows reaches it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_awork.files.stores import Store


class Killed(BaseException):
    """The process is gone. No clean-up runs that would touch the storage."""


class Life:
    """
    How many storage operations a run has left.

    :param operations: it dies at this one; None for a long life.
    :param is_done: whether the last operation takes effect.
    :ivar is_over: whether the run is dead.
    """

    def __init__(self, operations: int | None = None, *, is_done: bool = False) -> None:
        self._left = operations
        self._is_done = is_done
        self.is_over = False

    def spend(self, operation: Callable[[], Any]) -> Any:
        if self.is_over:
            raise Killed
        if self._left is None:
            return operation()
        self._left -= 1
        if self._left > 0:
            return operation()
        self.is_over = True
        if self._is_done:
            operation()
        raise Killed


class MortalStore:
    """A store whose operations each take a part of a life."""

    def __init__(self, store: Store, life: Life) -> None:
        self._store = store
        self._life = life

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._store, name)
        if name == "temporary_names":
            return operation
        return lambda *arguments: self._life.spend(lambda: operation(*arguments))
