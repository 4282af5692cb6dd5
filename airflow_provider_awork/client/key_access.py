"""Who asks, what the key may see, and awork's clock: read once for all reads of a process, and checked after each."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from threading import Lock
from typing import TypeVar

from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.client.identity import Identity, Permissions, require_same_permissions
from airflow_provider_awork.client.me import ClockReading, read_me, read_permissions
from airflow_provider_awork.exceptions import AworkAssumptionError

log = logging.getLogger(__name__)

T = TypeVar("T")


class KeyAccess:
    """
    The identity and the permissions of a key, and awork's clock; threads may share it.

    :param session: sends the requests.
    """

    def __init__(self, session: AworkSession) -> None:
        self._session = session
        self._lock = Lock()
        self._identity: Identity | None = None
        self._permissions_read = 0.0  # time.monotonic()
        self._clock: ClockReading | None = None

    @property
    def identity(self) -> Identity:
        """
        Who asks and what it may see, from two requests at first use.

        :raises AworkAuthenticationError: the key is not valid.
        """
        with self._lock:
            if self._identity:
                return self._identity
            who = self._keep(self._read_me().with_permissions(read_permissions(self._session)))
            log.info("awork workspace %r (%s), as %s", who.workspace_name, who.workspace_id, who.name)
            return who

    def identity_within(self, seconds: float) -> Identity:
        """
        Return the identity with permissions that were read no longer ago than that, for processes that live for weeks.

        :raises AworkAuthenticationError: the key is not valid.
        """
        identity = self.identity
        if time.monotonic() - self._permissions_read > seconds:
            identity = self._keep(identity.with_permissions(read_permissions(self._session)))
        return identity

    def require_unchanged(self, before: Permissions | None) -> None:
        """
        Read the permissions again, and fail if they are not those from before a read.

        :raises AworkConfigError: the key lost permissions.
        :raises AworkPagingError: it gained some, or it is unknown what it may see.
        """
        identity = self._keep(self.identity.with_permissions(read_permissions(self._session)))
        require_same_permissions(before, identity.permissions)

    def checked(self, batches: Iterable[T]) -> Iterator[T]:
        """
        Yield what a read brings, and fail at its end if the permissions changed meanwhile.

        A caller that stops early asks for nothing more.

        :raises AworkConfigError: the key lost permissions.
        :raises AworkPagingError: it gained some, or it is unknown what it may see.
        """
        before = self.identity.permissions
        yield from batches
        self.require_unchanged(before)

    def server_time(self) -> datetime:
        """
        Read awork's clock, to the second below: the ``Date`` header of ``/me``.

        :raises AworkAssumptionError: the answer has none.
        """
        self._read_me()
        if self._clock is None:
            raise AworkAssumptionError(
                "awork's answers have no Date header, so its clock cannot be read\n"
                "The worker's clock may be wrong. Pass explicit windows on another field than updatedOn, and "
                "open_window=True for windows on createdOn."
            )
        return self._clock.at

    def has_passed(self, instant: datetime) -> bool:
        """Whether awork's clock has surely passed an instant, by the last answer of ``/me``; no request is sent."""
        _ = self.identity
        return self._clock is not None and self._clock.now >= instant

    def _keep(self, identity: Identity) -> Identity:
        self._identity, self._permissions_read = identity, time.monotonic()
        return identity

    def _read_me(self) -> Identity:
        identity, self._clock = read_me(self._session)
        return identity
