"""What tests can make the sandbox do that a real awork might do."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal


@dataclass(frozen=True)
class Workspace:
    """The workspace that the token belongs to."""

    name: str = "Studio Größenwahn"
    id: str = "5b0d1f5e-3c1a-4a53-9d0b-2f6c3e1d7a90"


@dataclass(slots=True, kw_only=True)
class Settings:
    """
    Switches of a running sandbox; change the attributes at any time, the next request sees them.

    The defaults are awork as documented, with rate limits off.

    :param max_page_size: cap of ``pageSize``; ``aw-pagesize`` says the cap.
    :param total_header: whether ``aw-totalitems`` is sent.
    :param page_size_header: whether ``aw-pagesize`` is sent.
    :param literal_timezone: IANA name of the zone in which date-time literals and date words are read.
    :param literal_seconds: ``read``; ``dropped``: literals count as whole minutes; ``refused``: 400 for a literal that
        has seconds.
    :param shifted_days: whether a date-time literal that is compared with a date such as ``startDateLocal`` is read in
        ``literal_timezone``, too, instead of as that day.
    :param clock_offset: seconds that the clock is ahead of this machine's: of the ``Date`` header, of the stamps of
        changes, and of ``now`` in filters.
    :param now: aware; what ``now`` and ``today`` mean in filters; None: the clock.
    :param unfilterable: paths such as ``createdOn`` or ``project/name`` that ``filterby`` refuses with 400.
    :param unorderable: paths that ``orderby`` refuses with 400.
    :param ignore_orderby: True: rows come in order of insertion, whatever was asked; ``random``: in a new random order
        on each request.
    :param tie_break: ``id``: every order term counts. ``refused``: 400 for a second term. ``random``: only the first
        term counts, and its ties come in a new random order on each request.
    :param past_end: what a page after the last one is: ``empty``, ``refused`` (400) or ``repeated``, the last one
        again.
    :param holes: so many rows are left out of every full page although more match.
    :param latency: seconds that each answer waits.
    :param rate_limit_per_minute: requests in a minute window, for all clients together; None: no limit.
    :param rate_limit_per_second: requests in a second window; None: no limit.
    :param minute: seconds that a minute window lasts.
    :param second: seconds that a second window lasts.
    :param missing_permissions: the token sees its own entries only, and ``/me/permissions`` says so.
    :param admin: False: the token may see and change all entries, but what needs an administrator is refused, and
        ``/me/permissions`` says so.
    :param lists_unchanged_as_ok: with ``requireAllTimeEntries`` and a failure, ``ok`` lists the entries that could have
        been changed, though none was; otherwise they are in none of the lists. awork does not document it.
    :param knows_require_all: False: ``requireAllTimeEntries`` is ignored, as by a server from before 2026-08-19.
    :param access_token_seconds: how long an access token is valid.
    :param refresh_token_seconds: how long an unused refresh token is valid.
    :param gzip: answers are compressed when the client accepts it.
    :param workspace: what ``/me`` says.
    """

    max_page_size: int = 1000
    total_header: bool = True
    page_size_header: bool = True
    literal_timezone: str = "UTC"
    literal_seconds: Literal["read", "dropped", "refused"] = "read"
    shifted_days: bool = False
    clock_offset: float = 0.0
    now: datetime | None = None
    unfilterable: Set[str] = frozenset()
    unorderable: Set[str] = frozenset()
    ignore_orderby: bool | Literal["random"] = False
    tie_break: Literal["id", "refused", "random"] = "id"
    past_end: Literal["empty", "refused", "repeated"] = "empty"
    holes: int = 0
    latency: float = 0.0
    rate_limit_per_minute: int | None = None
    rate_limit_per_second: int | None = None
    minute: float = 60.0
    second: float = 1.0
    missing_permissions: bool = False
    admin: bool = True
    lists_unchanged_as_ok: bool = False
    knows_require_all: bool = True
    access_token_seconds: float = 86400.0
    refresh_token_seconds: float = 30 * 86400.0
    gzip: bool = False
    workspace: Workspace = Workspace()

    @property
    def clock(self) -> datetime:
        """The time on the sandbox's clock."""
        return datetime.now(UTC) + timedelta(seconds=self.clock_offset)
