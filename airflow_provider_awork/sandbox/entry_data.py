"""
Seeded time entries, and single ones made to measure.

People work on weekdays in their own zone; some run timers, others write their times down later. The mix holds what
real workspaces hold: running and paused timers, entries without a time of day, breaks, work across midnight, entries
of deleted people and of external projects, billed work. No entry is created or changed after now, as in a real
workspace: a client that remembers the newest change would miss all changes until then. Facts: section 9 of the API
facts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby, pairwise
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_awork.sandbox import vocabulary
from airflow_provider_awork.sandbox.instants import (
    TICKS_PER_DAY,
    TICKS_PER_SECOND,
    format_instant,
    from_ticks,
    parse_ticks,
    split,
    to_ticks,
)
from airflow_provider_awork.sandbox.master_data import MasterData, Person, Project, Row, Task, make_guid

ENTRIES_PER_DAY = 5
DAYS = 90

_MINUTE = 60 * TICKS_PER_SECOND
_HOUR = 60 * _MINUTE
_NOON = 12 * 3600
_LUNCH = 45 * 60


@dataclass(frozen=True)
class _Work:
    """
    What a person did: ``start`` and ``end`` in ticks; no ``end`` while the timer runs.

    :param breaks: seconds of work before a break, and seconds of the break (None: it lasts still).
    """

    person: Person
    start: int
    end: int | None
    breaks: tuple[tuple[int, int | None], ...] = ()
    times: bool = True


def default_end(seed: int) -> date:
    """The first day without entries if nobody says which: a day of summer 2026 that depends on the seed only."""
    return date(2026, 7, 1) + timedelta(days=seed % 28)


def working_days(start: date, end: date, *, weekends: bool = False) -> list[date]:
    """The days from Monday to Friday in ``[start, end)``, or all."""
    days = (start + timedelta(days=number) for number in range((end - start).days))
    return [day for day in days if weekends or day.weekday() < 5]


def people_for(entries: int, start: date, end: date, *, weekends: bool = False) -> int:
    """How many people it takes to track so many entries in that time."""
    return max(8, round(entries / (max(1, len(working_days(start, end, weekends=weekends))) * ENTRIES_PER_DAY)))


def generate_entries(
    random: Random,
    data: MasterData,
    *,
    count: int,
    start: date,
    end: date,
    now: datetime,
    weekends: bool = False,
) -> Iterator[Row]:
    """
    That many entries with start days in ``[start, end)``, in order of the start day.

    :param now: aware; nothing is created or changed later, and no timer starts later.
    :param weekends: whether people work on Saturdays and Sundays, too.
    :raises ValueError: there is no working day in that time.
    """
    days = working_days(start, end, weekends=weekends)
    if count == 0:
        return
    if not days:
        raise ValueError(f"no weekday between start {start} and end {end}: nobody works")
    slots = [
        (day, number)
        for day in days
        for number, person in enumerate(data.people)
        if not person.deleted or day < days[len(days) // 2]
    ]
    weights = [0.1 if data.people[number] is data.api_user else 1.0 for _, number in slots]
    chosen = sorted(random.choices(slots, weights, k=count))
    last_day = {number: day for day, number in chosen}
    maker = EntryMaker(random, data, now=now)
    for (day, number), group in groupby(chosen):
        works = _day(random, data.people[number], day, len(list(group)))
        if last_day[number] == day and not data.people[number].deleted and works[-1].start < to_ticks(now):
            works[-1] = _open_timer(works[-1], number)
        yield from (maker.entry(work, billed_before=end - timedelta(days=30)) for work in works)


def _day(random: Random, person: Person, day: date, count: int) -> list[_Work]:
    """A person's working day in ``count`` pieces, with a lunch break after noon."""
    begin = 8 * 3600 + random.randrange(0, 5400, 300)
    length = random.randrange(7 * 3600, 9 * 3600 + 1, 900)
    minutes = range(60, length, 60)
    edges = [0, *sorted(random.sample(minutes, min(count - 1, len(minutes)))), length]
    midnight = datetime.combine(day, time())
    works = []
    for before, after in pairwise(edges):
        first = begin + before + (_LUNCH if begin + before >= _NOON else 0)
        moment = (midnight + timedelta(seconds=first)).replace(tzinfo=ZoneInfo(person.zone))
        works.append(_piece(random, person, to_ticks(moment), (after - before) * TICKS_PER_SECOND))
    if random.random() < 0.006:
        late = to_ticks((midnight + timedelta(hours=22, minutes=15)).replace(tzinfo=ZoneInfo(person.zone)))
        works[-1] = _Work(person, late, late + random.randrange(2 * _HOUR, 4 * _HOUR, _MINUTE))
    return works


def _piece(random: Random, person: Person, start: int, length: int) -> _Work:
    if not person.timer:
        return _Work(person, start, start + length, times=random.random() > 0.25)
    start += random.randrange(20 * TICKS_PER_SECOND)
    length -= random.randrange(20 * TICKS_PER_SECOND, 40 * TICKS_PER_SECOND)
    breaks: tuple[tuple[int, int | None], ...] = ()
    if length > _HOUR and random.random() < 0.25:
        breaks = ((random.randrange(600, 1800), random.randrange(120, 1200)),)
    return _Work(person, start, start + length, breaks)


def _open_timer(work: _Work, number: int) -> _Work:
    """The last thing some people did is not over: every sixth person's timer runs, another sixth paused theirs."""
    if number % 6 == 1:
        return _Work(work.person, work.start, None)
    if number % 6 == 3:
        return _Work(work.person, work.start, None, breaks=((1800, None),))
    return work


class EntryMaker:
    """
    Turns work into time entries as awork sends them.

    :param now: aware; nothing is created or changed later; None: the clock.
    """

    def __init__(self, random: Random, data: MasterData, *, now: datetime | None = None) -> None:
        self._random = random
        self._data = data
        self._now = now

    def make(
        self,
        *,
        started_at: datetime | None = None,
        ended_at: datetime | None = None,
        timezone: str = "Europe/Berlin",
        **fields: Any,
    ) -> Row:
        """
        A finished entry of a random person on a random project, not stored yet.

        :param started_at: aware; default: an hour before ``ended_at``, or else before now.
        :param ended_at: aware; default: an hour after ``started_at``.
        :param timezone: IANA name of the zone in which the dates and times count as local.
        :param fields: top-level fields that replace those made up; None leaves one out. ``createdOn`` is the end of
            the work by default, or now if that is earlier; ``updatedOn`` is ``createdOn``.
        :raises ValueError: ``createdOn`` is no UTC date-time.
        """
        start = started_at or (ended_at or datetime.now(UTC)) - timedelta(hours=1)
        end = ended_at or start + timedelta(hours=1)
        person = self._random.choice([person for person in self._data.people if not person.deleted])
        entry = self.entry(_Work(person, to_ticks(start), to_ticks(end)), timezone=timezone)
        created = fields.get("createdOn", format_instant(min(to_ticks(end), self._latest)))
        stamps = {"createdOn": created, "updatedOn": created, "resourceVersion": _version(parse_ticks(created))}
        return {name: value for name, value in {**entry, **stamps, **fields}.items() if value is not None}

    def entry(self, work: _Work, *, billed_before: date = date.min, timezone: str | None = None) -> Row:
        """The entry of some work; billable work from before that day is mostly billed."""
        zone = timezone or work.person.zone
        project, task = self._assignment(work.person)
        billable = project is not None and project.billable and self._random.random() < 0.9
        billed = billable and from_ticks(work.start).date() < billed_before and self._random.random() < 0.85
        type_of_work = self._type_of_work(task)
        entry: Row = {
            "isBillable": billable,
            "isBilled": billed,
            "taskId": task and task.id,
            "projectId": project and project.id,
            "note": self._note(),
            **_times(work, zone),
            "timezone": zone,
            **_durations(work),
            "typeOfWorkId": type_of_work["id"],
            "userId": None if work.person.deleted else work.person.id,
            "id": make_guid(self._random),
            **self._audit(work, billed=billed),
            "isExternal": project is not None and project.external,
            "typeOfWork": type_of_work,
            "user": None if work.person.deleted else work.person.nested,
            "task": task and task.nested,
            "project": project and project.nested,
        }
        return {name: value for name, value in entry.items() if value is not None}

    def _assignment(self, person: Person) -> tuple[Project | None, Task | None]:
        kind = self._random.random()
        if kind < 0.03:
            return None, None
        if kind < 0.05:
            return None, self._data.private_tasks.get(person.id)
        project = self._random.choice(self._data.projects)
        return project, self._random.choice(project.tasks) if kind < 0.95 else None

    def _type_of_work(self, task: Task | None) -> Row:
        types = self._data.types_of_work
        if task is None or self._random.random() < 0.3:
            return self._random.choice(types)
        return next(row for row in types if row["id"] == task.nested["typeOfWorkId"])

    def _note(self) -> str | None:
        kind = self._random.random()
        if kind < 0.15:
            return None
        if kind < 0.17:
            return vocabulary.LONG_NOTE * self._random.randrange(3, 12)
        return "; ".join(self._random.sample(vocabulary.NOTES, self._random.randrange(1, 4)))

    def _audit(self, work: _Work, *, billed: bool) -> Row:
        """A timer creates its entry when it starts; what is entered by hand comes hours or days after the work."""
        end = work.end or work.start
        if work.person.timer or work.end is None:
            created = work.start + self._random.randrange(1, 2 * TICKS_PER_SECOND)
            updated = max(created, end)
        else:
            days = self._random.choice((0, 0, 0, 0, 1, 1, 3, 7))
            created = end + self._random.randrange(3 * _HOUR) + days * TICKS_PER_DAY
            updated = created + (self._random.randrange(TICKS_PER_DAY) if self._random.random() < 0.2 else 0)
        if billed:
            updated = _billing_day(updated) + self._random.randrange(4 * _HOUR)
        if created > self._latest:  # planned work, or entered later than now: at any time of the day until now
            created = updated = self._latest - self._random.randrange(TICKS_PER_DAY)
        updated = min(updated, self._latest)
        digits = self._random.choice((7, 7, 7, 7, 7, 7, 3, 3, 0))
        author = work.person.id
        return {
            "createdBy": author,
            "createdOn": format_instant(created, digits=digits),
            "updatedBy": self._data.api_user.id if billed else author,
            "updatedOn": format_instant(updated, digits=digits),
            "resourceVersion": _version(updated),
        }

    @property
    def _latest(self) -> int:
        """The ticks of now."""
        return to_ticks(self._now or datetime.now(UTC))


def _version(updated: int) -> int:
    # A little after updatedOn, as in a recorded answer.
    return updated + 3 * TICKS_PER_SECOND // 10


def _times(work: _Work, zone: str) -> Row:
    start = split("start", work.start, ZoneInfo(zone))
    if not work.times:
        return {
            "startDateUtc": start["startDateLocal"] + "Z",
            "startDateLocal": start["startDateLocal"],
        }
    return start | (split("end", work.end, ZoneInfo(zone)) if work.end is not None else {})


def _durations(work: _Work) -> Row:
    """Seconds of work without breaks, 0 while the timer runs."""
    breaks = [_break(work.start, *each) for each in work.breaks]
    paused = sum(each.get("duration", 0) for each in breaks)
    total = 0 if work.end is None else (work.end - work.start) // TICKS_PER_SECOND - paused
    return {"duration": total, "breakDuration": paused, "breaks": breaks}


def _break(start: int, after: int, seconds: int | None) -> Row:
    begin = start + after * TICKS_PER_SECOND
    if seconds is None:
        return {"startDate": format_instant(begin)}
    end = begin + seconds * TICKS_PER_SECOND
    return {"startDate": format_instant(begin), "duration": seconds, "endDate": format_instant(end)}


def _billing_day(ticks: int) -> int:
    """The first of the next month, 9:00 UTC."""
    moment = from_ticks(ticks)
    return to_ticks(datetime(moment.year + moment.month // 12, moment.month % 12 + 1, 1, 9))
