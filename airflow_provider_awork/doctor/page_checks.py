"""Checks of how awork cuts the list of time entries into pages, and in which order."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, TypeVar

from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.client.instants import instant_key, second_of
from airflow_provider_awork.client.lists.literal_checks import own_second
from airflow_provider_awork.client.lists.literals import day_literal
from airflow_provider_awork.client.lists.pages import PAGE_SIZE
from airflow_provider_awork.doctor.report import Finding, Outcome, failed, ok, warning
from airflow_provider_awork.doctor.samples import NotCheckedError, NotProvenError, Sample
from airflow_provider_awork.doctor.workspace import Workspace
from airflow_provider_awork.exceptions import AworkFilterError, AworkRequestError

T = TypeVar("T")

FAR_PAGE = 1_000_000
NOTHING_TO_SET = "nothing in the connection; ask awork's support"


def entries(workspace: Workspace) -> Finding:
    """Time entries come, with what an export needs of them."""
    samples = workspace.samples
    if not samples.first.page.rows:
        if samples.total:
            return failed(f"{samples.total} match, but none comes", "exports fail", NOTHING_TO_SET)
        return Finding(
            outcome=Outcome.UNPROVEN,
            found="no time entry is visible",
            meaning="what shows in entries alone stays unproven",
            setting="run the doctor again when there are entries",
        )
    if not samples.first.page.keys:
        return failed("entries have no createdOn", "they cannot be read in pages; exports fail", NOTHING_TO_SET)
    of_total = "" if samples.first.page.total is None else f"{samples.total:,} in all, "
    return ok(f"{of_total}{len(samples.entries):,} looked at")


def page_headers(workspace: Workspace) -> Finding:
    """The headers that say which page came and how many rows match."""
    samples = workspace.samples.all
    wanted = ("aw-page", "aw-pagesize", "aw-items", "aw-totalitems")
    missing = [name for name in wanted if any(name not in sample.headers for sample in samples)]
    if "aw-totalitems" in missing:
        return failed(
            f"{' and '.join(missing)} missing",
            "counts and sensors fail, and an export cannot notice a page that lacks entries",
            "nothing in the connection; look for a proxy that drops headers, or ask awork's support",
        )
    wrong = next(filter(None, map(_wrong_count, samples)), None)
    if wrong:
        return failed(wrong, "an export cannot trust what it counts", NOTHING_TO_SET)
    if missing:
        return warning(
            f"{' and '.join(missing)} missing",
            "a lower cap of pages takes some more requests to be noticed",
            "nothing; look for a proxy that drops headers",
        )
    odd = next(filter(None, map(_odd_header, samples)), None)
    if odd:
        return warning(odd, "exports do not rely on that", "nothing; ask awork's support")
    return ok("all there, and they fit the entries")


def _wrong_count(sample: Sample) -> str | None:
    """What the headers that exports rest on get wrong."""
    rows, total = len(sample.page.rows), sample.page.total
    reached = (sample.number - 1) * sample.size_used + rows
    if rows > sample.size:
        return f"asked for {sample.size} entries, but {rows} came"
    if rows and total is not None and total < reached:
        return f"aw-totalitems says {total}, but there are at least {reached}"
    return None


def _odd_header(sample: Sample) -> str | None:
    """What the other headers get wrong."""
    page, items = sample.headers["aw-page"], sample.headers["aw-items"]
    if page != str(sample.number):
        return f"asked for page {sample.number}, aw-page says {page}"
    if items != str(len(sample.page.rows)):
        return f"aw-items says {items}, but {len(sample.page.rows)} entries came"
    if (sample.page.size or 0) > sample.size:
        return f"asked for {sample.size} entries, aw-pagesize says {sample.page.size}"
    return None


def page_size(workspace: Workspace) -> Finding:
    """Pages of 1000 entries."""
    samples = workspace.samples
    if samples.page_size < PAGE_SIZE:
        return warning(
            f"capped at {samples.page_size} entries",
            f"exports are exact, with {math.ceil(PAGE_SIZE / samples.page_size)} times as many requests",
            "nothing; exports learn the cap",
        )
    if samples.first.page.size is None and len(samples.first.page.rows) < PAGE_SIZE:
        raise NotProvenError(f"only {len(samples.first.page.rows)} entries came, and aw-pagesize is missing")
    return ok(f"{PAGE_SIZE:,} honoured")


def short_pages(workspace: Workspace) -> Finding:
    """A page has fewer entries than asked for only at the end."""
    samples = workspace.samples
    if samples.first.page.total is None:
        raise NotProvenError("without aw-totalitems it does not show")
    short = next((sample for sample in samples.all if _is_short(workspace, sample)), None)
    if short is None:
        return ok(f"none among {len(samples.all)}")
    found = f"page {short.number} has {len(short.page.rows)} of {short.size_used} entries, although more match"
    if workspace.behaviour.accept_short_pages:
        return warning(found, "exports go on without the missing ones: accept_short_pages is true", NOTHING_TO_SET)
    return failed(
        found,
        "entries may be missing in between; exports notice and fail",
        "accept_short_pages: true, to go on without them; ask awork's support",
    )


def _is_short(workspace: Workspace, sample: Sample) -> bool:
    samples = workspace.samples
    if sample.page.size is None and len(sample.page.rows) == samples.page_size:
        return False  # a cap that awork does not report
    # Rows and total may have been counted apart, so a short page has to come twice.
    return sample.lacks_rows and samples.read(sample.number, sample.size, orderby=samples.orderby).lacks_rows


def past_the_end(workspace: Workspace) -> Finding:
    """A page after the last one is empty."""
    samples = workspace.samples
    # One page further than the next, as entries may come meanwhile.
    known = samples.first.page.total is not None
    number = samples.total // samples.page_size + 3 if known else FAR_PAGE
    try:
        sample = samples.read(number, samples.page_size, orderby=samples.orderby)
    except AworkRequestError as error:
        return failed(f"refused: {error}", "an export that asks for a page too many fails", NOTHING_TO_SET)
    if sample.page.rows:
        return failed(f"{len(sample.page.rows)} entries come again", "exports do not find the end", NOTHING_TO_SET)
    return ok("an empty page")


def order_by_created_on(workspace: Workspace) -> Finding:
    """The order that paging rests on."""
    samples = workspace.samples
    if samples.first and samples.orderby is None:
        return failed("refused", "the list cannot be read exactly; exports fail", NOTHING_TO_SET)
    if len(samples.entries) < 2:
        raise NotProvenError("accepted, but there are not two entries")
    pages = [sample.page for sample in samples.all if sample.page.rows]
    if not all(page.keys for page in pages):
        raise NotCheckedError("entries have no createdOn")
    if all(page.in_order for page in pages) and all(one.keys[-1] <= two.keys[0] for one, two in pairwise(pages)):
        return ok("kept")
    return failed("accepted, but not kept", "the list cannot be read exactly; exports notice and fail", NOTHING_TO_SET)


def order_of_ties(workspace: Workspace) -> Finding:
    """The order by id of entries that are equal in the first term."""
    samples, by_id = workspace.samples, workspace.behaviour.order_by_id
    if samples.first and samples.orderby is None:
        raise NotCheckedError("needs the order by createdOn")
    fallback = "a group of entries with the same createdOn must fit into a page"
    if samples.orderby == "createdOn":
        if not by_id:
            return ok("a second term is refused", f"{fallback}: order_by_id is false")
        setting = f"order_by_id: false; {fallback}"
        return failed("a second term is refused", "exports fail", setting, order_by_id=False)
    kept = next((kept for kept in _ties_kept(workspace) if kept is not None), None)
    if kept is None:
        raise NotProvenError("accepted, but no two entries are equal in the first term")
    if kept:
        return ok("kept", "" if by_id else "order_by_id may be true", order_by_id=True)
    if not by_id:
        return ok("accepted, but not kept", f"{fallback}: order_by_id is false")
    return failed(
        "accepted, but not kept",
        "where a group of entries with the same createdOn crosses a page, entries could be lost",
        f"order_by_id: false; {fallback}",
        order_by_id=False,
    )


def _ties_kept(workspace: Workspace) -> Iterator[bool | None]:
    """Whether the second term counts: for entries with the same ``createdOn``, then for those of the same day."""
    entries = workspace.samples.entries
    zone = workspace.behaviour.literal_timezone
    for instant in _commonest(instant_key(entry["createdOn"]) for entry in entries if entry.get("createdOn")):
        yield _is_reversed(workspace, "createdOn", own_second("createdOn", second_of(instant, "createdOn"), zone=zone))
    for day in _commonest(day for entry in entries if (day := day_of(entry))):
        yield _is_reversed(workspace, "startDateLocal", own_day(day))


def day_of(entry: dict[str, Any]) -> date | None:
    """An entry's own day; None if it has none."""
    try:
        return date.fromisoformat(str(entry.get("startDateLocal"))[:10])
    except ValueError:
        return None


def own_day(day: date) -> str:
    """The expression for the entries of one day."""
    return f"startDateLocal ge {day_literal(day)} and startDateLocal lt {day_literal(day + timedelta(days=1))}"


def _commonest(values: Iterator[T]) -> list[T]:
    """The commonest value, if it comes twice at all."""
    return [value for value, times in Counter(values).most_common(1) if times > 1]


def _is_reversed(workspace: Workspace, field: str, filterby: str) -> bool | None:
    """Whether descending ids come in the reverse order of ascending ones; None if that cannot be told."""
    samples = workspace.samples
    try:
        ascending, descending = (
            samples.read(1, samples.page_size, orderby=f"{field},id{suffix}", filterby=filterby)
            for suffix in ("", " desc")
        )
    except AworkFilterError:
        return None
    groups = [_ids_by_value(sample, field) for sample in (ascending, descending)]
    told = []
    for value, ids in groups[0].items():
        opposite = groups[1].get(value, [])
        # Entries that came or went between the two answers, or lie beyond the page, tell nothing.
        pair = [each for each in ids if each in opposite], [each for each in opposite if each in ids]
        if len(pair[0]) > 1:
            told.append(pair[0] == pair[1][::-1])
    return all(told) if told else None


def _ids_by_value(sample: Sample, field: str) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for row, entry_id in zip(sample.page.rows, sample.page.ids, strict=True):
        entry: dict[str, Any] = json_text.decode(row)
        groups.setdefault(str(entry.get(field)), []).append(entry_id)
    return groups
