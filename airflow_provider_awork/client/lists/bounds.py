"""
The bounds of a window on one field, and the proof that awork applied them.

Each row carries the field, so a row outside the bounds shows that awork ignores the filter, or reads its literals in
another zone. Rows that were left out for that reason lie outside the bounds as awork reads them: in the hours before
the start, or after the end. So these hours are requested, too, and a row of theirs that belongs inside is the proof.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import compress
from operator import not_

from airflow_provider_awork.client.instants import instant_key
from airflow_provider_awork.client.lists.conditions import Condition, check_balanced
from airflow_provider_awork.client.lists.filters import all_of
from airflow_provider_awork.client.lists.literals import compare_instant, day_literal
from airflow_provider_awork.exceptions import AworkAssumptionError, AworkPagingError

ZONES_APART = timedelta(hours=26)  # from UTC-12 to UTC+14
FROM_UTC = timedelta(hours=14)

_DAY = re.compile(r"(\d{4}-\d\d-\d\d)(?:T.*)?")


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """
    The half-open window ``[start, end)`` on a field of rows.

    :param field: ``createdOn`` or ``updatedOn``, which are instants; ``startDateLocal`` or ``startDateUtc``, days.
    :param start: first day or aware instant inside; None for an open start.
    :param end: first day or aware instant after the window; None for an open end.
    :param zone: IANA zone in which awork is assumed to read literals of instants.
    """

    field: str
    start: date | datetime | None
    end: date | datetime | None
    zone: str

    def filterby(self) -> str:
        """
        Write the window as awork's expression.

        >>> print(Bounds(field="startDateUtc", start=date(2026, 11, 1), end=date(2026, 11, 2), zone="UTC").filterby())
        startDateUtc ge datetime'2026-11-01T00:00' and startDateUtc lt datetime'2026-11-02T00:00'
        """
        sides = (("ge", self.start), ("lt", self.end))
        return " and ".join(self._compare(operator, bound) for operator, bound in sides if bound is not None)

    def restrict(self, filterby: str | Condition | None) -> str:
        """
        Write a filter within the window.

        :param filterby: awork expression or a condition; None or blank for none.
        :raises AworkConfigError: its quotes or parentheses do not match, so it could reach out of the window.
        """
        own = all_of(filterby)
        if not own:
            return self.filterby()
        check_balanced(own)
        return f"({own}) and {self.filterby()}"

    def check_inside(self, values: Sequence[str | None]) -> None:
        """
        Require that all rows are inside.

        :param values: the field of each row, as awork sent it.
        :raises AworkAssumptionError: a row is outside.
        :raises AworkPagingError: a row lacks the field.
        """
        outside = next(compress(values, map(not_, self._contain(values))), None)
        if outside:
            raise AworkAssumptionError(
                f"{self.field}: awork sent a row of {outside}, outside the window\n"
                f"The window is {self}. awork ignores the filter, or does not read datetime literals in {self.zone}. "
                "The doctor shows which; set the connection extra literal_timezone to the zone that it names."
            )

    def check_outside(self, values: Sequence[str | None]) -> None:
        """
        Require that all rows that awork takes for rows outside are outside.

        :param values: the field of each row, as awork sent it.
        :raises AworkAssumptionError: a row is inside, so the window lacks it.
        :raises AworkPagingError: a row lacks the field.
        """
        inside = next(compress(values, self._contain(values)), None)
        if inside:
            raise AworkAssumptionError(
                f"{self.field}: awork omits a row of {inside}, inside the window\n"
                f"The window is {self}. awork does not read datetime literals in {self.zone}: set the connection extra "
                "literal_timezone to its zone. The doctor shows which it is."
            )

    def flanks(self) -> str:
        """
        Write the filter on the hours, or the day, before the start and after the end.

        >>> print(Bounds(field="startDateUtc", start=date(2026, 11, 1), end=None, zone="UTC").flanks())
        (startDateUtc ge datetime'2026-10-31T00:00' and startDateUtc lt datetime'2026-11-01T00:00')
        """
        sides = []
        if self.start is not None:
            sides.append((self._moved(self.start, -1), self.start))
        if self.end is not None:
            sides.append((self.end, self._moved(self.end, 1)))
        return " or ".join(f"({self._compare('ge', start)} and {self._compare('lt', end)})" for start, end in sides)

    def neighbours(self) -> Iterator[tuple[str, str]]:
        """Give the filter and the direction of the order that find the row next to each bound, outside."""
        if self.start is not None:
            yield self._compare("lt", self.start), "desc"
        if self.end is not None:
            yield self._compare("ge", self.end), "asc"

    def __str__(self) -> str:
        start, end = (str(bound).replace("+00:00", "Z") if bound else "..." for bound in (self.start, self.end))
        return f"[{start}, {end})"

    def _contain(self, values: Sequence[str | None]) -> list[bool]:
        """Whether each value is inside."""
        first = "" if self.start is None else _bound_key(self.start)
        after = "~" if self.end is None else _bound_key(self.end)
        return [first <= self._key(value) < after for value in values]

    def _key(self, value: str | None) -> str:
        """Return a value as text that sorts in order of time."""
        if value is None:
            raise AworkPagingError(f"{self.field}: a row lacks it, so the window cannot be checked")
        if isinstance(self.start or self.end, datetime):
            return instant_key(value, self.field)
        day = _DAY.fullmatch(value)
        if day is None:
            raise AworkPagingError(f"{self.field}: {value[:40]!r} is not a day as awork documents it")
        return day[1]

    def _moved(self, bound: date | datetime, direction: int) -> date | datetime:
        if isinstance(bound, datetime):
            return bound + direction * (FROM_UTC if self.zone == "UTC" else ZONES_APART)
        return bound + timedelta(days=direction)

    def _compare(self, operator: str, bound: date | datetime) -> str:
        if isinstance(bound, datetime):
            return compare_instant(self.field, operator, bound, zone=self.zone)
        return f"{self.field} {operator} {day_literal(bound)}"


def _bound_key(bound: date | datetime) -> str:
    return instant_key(bound.isoformat()) if isinstance(bound, datetime) else bound.isoformat()
