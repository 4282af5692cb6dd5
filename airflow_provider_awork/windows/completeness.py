"""
When a window on instants is complete.

awork stamps ``createdOn`` and ``updatedOn`` before it commits, so entries come into a window until some time after its
end, the lookback. The next window does not have them. So a window is complete once awork's clock is a lookback after
its end. Windows on days change at any time and are complete whenever they are read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_awork.client.http.rate_limit import LONGEST_WAIT_SECONDS
from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.windows.window import Window

if TYPE_CHECKING:
    from airflow_provider_awork.client.key_access import KeyAccess

log = logging.getLogger(__name__)

LOOKBACK = timedelta(minutes=5)


def checked_lookback(lookback: Any) -> timedelta:
    """
    Check how late awork may commit a change, as a DAG author writes it.

    :raises AworkConfigError: it is not a ``timedelta`` of whole seconds, zero or more.
    """
    if isinstance(lookback, timedelta) and lookback >= timedelta(0) and not lookback.microseconds:
        return lookback
    raise AworkConfigError(f"lookback: {lookback!r} is not a timedelta of whole seconds, zero or more")


def complete_from(window: Window | None, lookback: timedelta) -> datetime | None:
    """
    Return the instant from which on a window is complete; None if that does not depend on the clock.

    >>> complete_from(Window.of(field="createdOn", start="2026-11-01", end="2026-11-02"), LOOKBACK).isoformat()
    '2026-11-02T00:05:00+00:00'
    """
    return window.end + lookback if window and isinstance(window.end, datetime) else None


def wait_until_complete(
    window: Window | None,
    *,
    lookback: timedelta,
    may_be_open: bool,
    access: KeyAccess,
    sleep: Callable[[float], object],
) -> bool:
    """
    Wait until a window is complete by awork's clock, at most twice the lookback.

    :param lookback: how late awork may commit an entry; its clock may be as much behind the worker's.
    :param may_be_open: do not wait, and take a window that is not complete.
    :param access: tells awork's clock.
    :param sleep: waits for so many seconds, or ends early.
    :return: whether the window is still open.
    :raises AworkConfigError: it ends later than a lookback from now.
    :raises AworkAssumptionError: awork does not tell its clock.
    """
    complete = complete_from(window, lookback)
    if complete is None or access.has_passed(complete):
        return False
    if may_be_open:
        log.warning("open_window: entries may still come into the window until %s", complete.isoformat())
        return True
    is_logged = False
    while (remaining := (complete - access.server_time()).total_seconds()) > 0:
        if remaining > 2 * lookback.total_seconds():
            raise _ends_too_late(complete - lookback, lookback)
        if not is_logged:
            is_logged = True
            log.info("Waiting %.0f s: awork may commit entries of a window until %s after its end", remaining, lookback)
        sleep(min(remaining, LONGEST_WAIT_SECONDS))
    return False


def _ends_too_late(end: datetime, lookback: timedelta) -> AworkConfigError:
    return AworkConfigError(
        f"window_end: {end.isoformat().replace('+00:00', 'Z')} is still to come by awork's clock\n"
        f"It is more than the lookback of {lookback} away, so the entries until then cannot be known. Run after it, or "
        "pass open_window=True to read what there is by now."
    )
