"""What a workspace held at each moment: the model that published sets are compared with. Pure Python, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

Entry = dict[str, Any]

#: What a filter of a run means.
FILTERS: dict[str | None, Callable[[Entry], bool]] = {
    None: lambda entry: True,
    "isBillable eq true": lambda entry: bool(entry["isBillable"]),
    "isBilled eq false": lambda entry: not entry["isBilled"],
}


def stamp(at: datetime) -> str:
    """An instant as awork writes it; texts are in the order of the instants."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """
    The entries that a set claims to hold.

    :param window_field: field of the half-open window; None for everything.
    :param start: its first day or instant; None for none.
    :param end: its first day or instant after it.
    :param filterby: one of ``FILTERS``.
    """

    window_field: str | None = None
    start: date | None = None
    end: date | None = None
    filterby: str | None = None

    def has(self, entry: Entry) -> bool:
        return FILTERS[self.filterby](entry) and self._is_inside(entry)

    @property
    def is_on_instants(self) -> bool:
        return isinstance(self.end, datetime)

    def _is_inside(self, entry: Entry) -> bool:
        if self.window_field is None:
            return True
        value = entry[self.window_field]
        return (self.start is None or _text(self.start) <= value) and (self.end is None or value < _text(self.end))


def _text(bound: date) -> str:
    return stamp(bound) if isinstance(bound, datetime) else bound.isoformat()


@dataclass(frozen=True)
class Period:
    """From one moment of a history to another, both included."""

    begin: int
    end: int


@dataclass
class History:
    """
    Each state of each entry, numbered by the changes of the workspace.

    :ivar moment: number of the last change.
    """

    moment: int = 0
    _versions: dict[str, list[tuple[int, Entry | None]]] = field(default_factory=dict)

    def record(self, entry_id: str, entry: Entry | None) -> None:
        """Note an entry as it is from now on; None if it is deleted."""
        self.moment += 1
        self._versions.setdefault(entry_id, []).append((self.moment, entry))

    def standing(self) -> dict[str, Entry]:
        """The entries that exist now, by id."""
        return {entry_id: last for entry_id, versions in self._versions.items() if (last := versions[-1][1])}

    def versions(self, entry_id: str, period: Period) -> list[Entry | None]:
        """The states that an entry had in a period; None where it did not exist."""
        return list(self._during(self._versions.get(entry_id, []), period))

    def must_have(self, has: Callable[[Entry], bool], period: Period) -> set[str]:
        """The entries that existed and matched in the whole period."""
        return {
            entry_id
            for entry_id in self._versions
            if all(each and has(each) for each in self.versions(entry_id, period))
        }

    def may_have(self, has: Callable[[Entry], bool], period: Period) -> set[str]:
        """The entries that existed and matched at some moment of the period."""
        return {
            entry_id
            for entry_id in self._versions
            if any(each and has(each) for each in self.versions(entry_id, period))
        }

    def came_after(self, has: Callable[[Entry], bool], moment: int) -> set[str]:
        """The entries that match and did not exist before a moment."""
        return {
            entry_id
            for entry_id, versions in self._versions.items()
            if versions[0][0] > moment and versions[0][1] and has(versions[0][1])
        }

    @staticmethod
    def _during(versions: list[tuple[int, Entry | None]], period: Period) -> Iterator[Entry | None]:
        if not versions or versions[0][0] > period.begin:
            yield None
        for number, (since, entry) in enumerate(versions):
            until = versions[number + 1][0] if number + 1 < len(versions) else None
            if since <= period.end and (until is None or until > period.begin):
                yield entry


def whole_seconds(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def covered(windows: list[tuple[datetime | None, datetime]], text: str) -> bool:
    """Whether an instant, as awork writes it, lies in one of several windows."""
    return any((start is None or stamp(start) <= text) and text < stamp(end) for start, end in windows)


def whole_hour(at: datetime, *, hours: int = 0) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=hours)
