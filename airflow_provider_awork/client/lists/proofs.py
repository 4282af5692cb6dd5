"""Proofs that awork reads datetime literals as assumed, each valid for an hour."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from threading import Lock

from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.client.lists.literal_checks import Probe, check_bound, check_literals
from airflow_provider_awork.client.lists.refusals import not_filterable
from airflow_provider_awork.client.lists.resources import TIME_ENTRIES
from airflow_provider_awork.exceptions import AworkFilterError

# Clients of triggers live for weeks, and a zone may differ from the assumed one for a part of the year only.
PROOF_HOLDS_SECONDS = 3600.0


class LiteralProofs:
    """
    What has been proven in a workspace. Threads that share it wait for one proof instead of repeating it.

    :param session: sends the requests.
    :param zone: IANA zone in which literals are assumed to be read.
    """

    def __init__(self, session: AworkSession, *, zone: str) -> None:
        self._session = session
        self._zone = zone
        self._lock = Lock()
        # When each was proven, by field and bound; the proof at the newest entry has no bound.
        self._proven: dict[tuple[str, datetime | None], float] = {}

    def require(self, field: str, bounds: Iterable[datetime] = ()) -> None:
        """
        Prove what is not proven yet: that awork filters on a field at the newest entry, and at the bounds of a window.

        :param field: ``createdOn`` or ``updatedOn``.
        :param bounds: aware, of whole seconds.
        :raises AworkAssumptionError: awork does not; the message names the way out.
        """
        with self._lock:
            if not self._holds(field, None) and self._check_newest(field):
                self._proven[field, None] = time.monotonic()
            for bound in bounds:
                if not self._holds(field, bound):
                    check_bound(self._session, TIME_ENTRIES, zone=self._zone, field=field, bound=bound)
                    self._proven[field, bound] = time.monotonic()

    def _holds(self, field: str, bound: datetime | None) -> bool:
        proven = self._proven.get((field, bound))
        return proven is not None and time.monotonic() - proven < PROOF_HOLDS_SECONDS

    def _check_newest(self, field: str) -> Probe | None:
        """Return the entry that proves it; None in an empty workspace, where nothing is proven."""
        try:
            return check_literals(self._session, zone=self._zone, field=field)
        except AworkFilterError as error:
            raise not_filterable(field, error) from error
