"""A list whose rows were all read with the same permissions."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from airflow_provider_awork.client.key_access import KeyAccess
from airflow_provider_awork.client.lists.rows import RowReader


class CheckedReader:
    """
    Reads a list, and fails at its end if the key's permissions changed meanwhile; iterate once.

    A caller that stops before the end asks for nothing more.

    :param reader: reads the list.
    :param access: of the key that reads.
    :param limit: at most so many rows; None for all.
    :raises AworkConfigError: the key lost permissions.
    :raises AworkPagingError: it gained some, or it is unknown what it may see.
    """

    def __init__(self, reader: RowReader, access: KeyAccess, *, limit: int | None = None) -> None:
        self._reader = reader
        self._access = access
        self._limit = limit

    @property
    def rows(self) -> int:
        return self._reader.rows

    @property
    def expected(self) -> int | None:
        return self._reader.expected

    @property
    def frontier(self) -> str | None:
        return self._reader.frontier

    @property
    def rereads(self) -> int:
        return self._reader.rereads

    def __iter__(self) -> Iterator[list[msgspec.Raw]]:
        return self._access.checked(self._reader if self._limit is None else self._first_rows(self._limit))

    def _first_rows(self, limit: int) -> Iterator[list[msgspec.Raw]]:
        left = limit
        for rows in self._reader:
            yield rows[:left]
            left -= len(rows)
            if left <= 0:
                return
