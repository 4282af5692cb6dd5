"""What exact reading assumes of awork where its documentation leaves it open."""

from __future__ import annotations

import msgspec


class AworkBehaviour(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    How one awork behaves. The defaults hold for awork.com; each other value is a fallback for a server that differs.

    Every field is an extra of the connection, by the same name. Runs check what they rely on, and their errors name
    the field to change.

    :param order_by_id: lists can be ordered by ``createdOn,id``. If false, they are ordered by ``createdOn`` alone, and
        a group of rows with the same ``createdOn`` must fit into one page.
    :param anchor_on_created_on: lists can be filtered on ``createdOn``. If false, pages are found by offset alone:
        still exact, with more requests when entries change.
    :param literal_timezone: IANA zone in which awork reads datetime literals.
    :param accept_short_pages: go on after a page that lacks rows although more match, instead of failing. awork sent
        such pages in 2023 for entries of deleted users (https://github.com/awork-io/awork/issues/120).

    >>> AworkBehaviour(order_by_id=False, literal_timezone="Europe/Berlin").extras_json()
    '{"order_by_id": false, "literal_timezone": "Europe/Berlin"}'
    """

    order_by_id: bool = True
    anchor_on_created_on: bool = True
    literal_timezone: str = "UTC"
    accept_short_pages: bool = False

    def extras_json(self) -> str:
        """Return the extras that differ from the defaults, as JSON to paste into the connection."""
        return msgspec.json.format(msgspec.json.encode(self), indent=0).decode()


DEFAULT_BEHAVIOUR = AworkBehaviour()
