"""The rows delivered so far: how many, the last one, and those that a later page may bring again."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import islice

import msgspec

from airflow_provider_awork.client.lists.pages import PAGE_SIZE, Page

REMEMBERED_ROWS = 2 * PAGE_SIZE


class Delivered:
    """
    The delivered rows, in order of ``createdOn``.

    :ivar rows: how many have been delivered.
    :ivar frontier: ``createdOn`` of the last one, as :func:`.instant_key`; None before the first.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.frontier: str | None = None
        self._recent: dict[str, str] = {}  # key by id, oldest first

    def __len__(self) -> int:
        """How many rows are remembered."""
        return len(self._recent)

    def __contains__(self, row_id: str) -> bool:
        """Whether a row is remembered."""
        return row_id in self._recent

    def take(self, page: Page) -> list[msgspec.Raw]:
        """Return the rows of a page after the frontier, and move the frontier to the page's last row."""
        recent, ids, keys = self._recent, page.ids, page.keys
        start = 0 if self.frontier is None else bisect_left(keys, self.frontier)
        taken = [index for index in range(start, len(ids)) if ids[index] not in recent]
        if not taken:
            return []
        recent.update((ids[index], keys[index]) for index in taken)
        self.frontier = keys[-1]
        self.rows += len(taken)
        return [page.rows[index] for index in taken]

    def tied_ids(self, page: Page) -> list[str]:
        """Return the ids of a page's rows with the frontier's ``createdOn``; the page may not start before it."""
        return page.ids[: bisect_right(page.keys, self.frontier or "")]

    def ids_at_frontier(self) -> list[str]:
        """Return the remembered rows with the frontier's ``createdOn``, as they were delivered."""
        return [row_id for row_id, key in self._recent.items() if key == self.frontier]

    def key_back(self, rows: int) -> str:
        """Return ``createdOn`` of the remembered row so many rows back; 1 is the frontier."""
        back = min(rows, len(self._recent))
        return next(islice(reversed(self._recent.values()), back - 1, None))

    def count_from(self, anchor: str | None) -> int:
        """Count the remembered rows from an anchor on."""
        return sum(key >= (anchor or "") for key in self._recent.values())

    def forget(self, anchor: str | None) -> None:
        """
        Forget the oldest rows.

        Rows from the anchor on are kept, as they can come back; so are the last :data:`REMEMBERED_ROWS`, to reach back
        to, and the frontier.
        """
        keys = list(self._recent.values())
        from_anchor = bisect_left(keys, anchor) if anchor else len(keys)
        forgotten = min(from_anchor, bisect_left(keys, self.frontier or ""), max(0, len(keys) - REMEMBERED_ROWS))
        self._recent = dict(islice(self._recent.items(), forgotten, None))
