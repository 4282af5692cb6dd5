"""Realistic time entries as awork sends them, and page bodies made of them; seeded: each call gives the same."""

from __future__ import annotations

import functools
import random
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

TEXT = (
    "Abstimmung Konzept Entwurf Prüfung Fehlersuche Größe Übergabe Kunde Termin review sprint backlog deploy invoice "
    "wireframe sitemap meeting mit dem Team über die nächsten Schritte und offene Fragen call notes rework test "
    "Rückmeldung Angebot Budget Schätzung Layout Schnittstelle Migration Datenbank report weekly planning"
)
WORDS = TEXT.split()

Entry = dict[str, Any]


def make_entries(count: int, *, seed: int = 7, size: int | None = None) -> Iterator[Entry]:
    """Give entries in order of ``createdOn``; ``size`` pads the note so that an entry has about so many bytes."""
    workspace = _workspace(seed)
    chance = random.Random(seed)
    created = datetime(2026, 1, 5, 7, 0, tzinfo=UTC)
    for _ in range(count):
        created += timedelta(seconds=chance.randrange(1, 90), microseconds=chance.randrange(10**6))
        entry = _entry(chance, workspace, created)
        if size is not None:
            entry["note"] += " " + _text(chance, max(0, size - len(msgspec.json.encode(entry))))
        yield entry


def split_instant(instant: datetime, timezone: str, edge: str, *, digits: int = 7) -> Entry:
    """Write an instant the way awork does: four fields, dates at midnight, times of day with fraction digits."""
    local = instant.astimezone(ZoneInfo(timezone))
    fraction = f".{instant.microsecond:06d}0"[: digits + 1] if digits else ""
    return {
        f"{edge}DateUtc": f"{instant:%Y-%m-%d}T00:00:00Z",
        f"{edge}TimeUtc": f"{instant:%H:%M:%S}{fraction}",
        f"{edge}DateLocal": f"{local:%Y-%m-%d}T00:00:00",
        f"{edge}TimeLocal": f"{local:%H:%M:%S}{fraction}",
    }


def page(entries: Sequence[Entry], *, pretty: bool = False) -> bytes:
    """The body of a list answer."""
    body = msgspec.json.encode(entries)
    return msgspec.json.format(body, indent=2) if pretty else body


def split(body: bytes) -> list[msgspec.Raw]:
    """A page body as its entries, the way the paging hands them to a writer."""
    return msgspec.json.decode(body, type=list[msgspec.Raw])


def raw(entry: Entry) -> list[msgspec.Raw]:
    """One entry as a batch."""
    return split(page([entry]))


@functools.cache
def raw_entries(count: int, *, size: int | None = None) -> list[msgspec.Raw]:
    """Many entries as one batch."""
    return split(page(list(make_entries(count, size=size))))


def _guid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def _text(chance: random.Random, length: int) -> str:
    words: list[str] = []
    while length > 0:
        words.append(chance.choice(WORDS))
        length -= len(words[-1].encode()) + 1
    return " ".join(words)


def _type(chance: random.Random, name: str) -> Entry:
    return {"id": _guid(chance), "name": name, "icon": "thumb_up", "isArchived": False}


def _status(chance: random.Random, name: str) -> Entry:
    return {"id": _guid(chance), "name": name, "description": f"{name} state", "type": name.lower()}


def _project(chance: random.Random, number: int) -> Entry:
    return {
        "id": _guid(chance),
        "name": f"{_text(chance, 30)} {number}",
        "projectKey": f"KEY-{number}",
        "projectStatus": {**_status(chance, "Progress"), "isArchived": False},
        "company": {
            "id": _guid(chance),
            "name": f"Müller & Söhne {number} GmbH",
            "hasImage": True,
            "description": _text(chance, 40),
        },
        "projectType": _type(chance, "Website"),
        "isPrivate": False,
        "hasImage": False,
        "isExternal": False,
        "isBillableByDefault": True,
        "createdBy": _guid(chance),
    }


def _task(chance: random.Random, number: int, project: Entry) -> Entry:
    status = {**_status(chance, "Todo"), "order": 1.5, "icon": "arrow_forward"}
    identifier, parent = _guid(chance), _guid(chance)
    return {
        "id": identifier,
        "name": _text(chance, 40),
        "baseType": "projecttask",
        "taskIdentifier": f"{project['projectKey']}-{number}",
        "taskStatusId": status["id"],
        "typeOfWorkId": _guid(chance),
        "project": project,
        "projectId": project["id"],
        "plannedDuration": 21600,
        "taskStatus": status,
        "createdBy": _guid(chance),
        "correlationId": identifier,
        "parentId": parent,
        "parentTask": {"id": parent, "name": _text(chance, 30)},
    }


@functools.cache
def _workspace(seed: int) -> Entry:
    chance = random.Random(seed)
    projects = [_project(chance, number) for number in range(60)]
    names = ["Jörg", "Zoë", "Anna", "Łukasz", "Priya"]
    return {
        "tasks": [_task(chance, number, chance.choice(projects)) for number in range(2000)],
        "types": [_type(chance, name) for name in ("Design", "Code", "Meeting")],
        "users": [
            {"id": _guid(chance), "firstName": n, "lastName": "Groß", "hasImage": True, "isExternal": False}
            for n in names * 5
        ],
    }


def _entry(chance: random.Random, workspace: Entry, created: datetime) -> Entry:
    task, user, kind = (chance.choice(workspace[name]) for name in ("tasks", "users", "types"))
    timezone = chance.choice(["Europe/Berlin", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
    duration = chance.randrange(300, 14400)
    started = created - timedelta(seconds=duration)
    stamp = f"{created:%Y-%m-%dT%H:%M:%S.%f}"
    return {
        "isBillable": chance.random() < 0.8,
        "isBilled": chance.random() < 0.3,
        "taskId": task["id"],
        "projectId": task["projectId"],
        "note": _text(chance, chance.randrange(20, 200)),
        **split_instant(started, timezone, "start"),
        **split_instant(created, timezone, "end"),
        "timezone": timezone,
        "duration": duration,
        "breakDuration": 0,
        "typeOfWorkId": kind["id"],
        "userId": user["id"],
        "id": _guid(chance),
        "createdBy": user["id"],
        "createdOn": f"{stamp}Z",
        "updatedBy": user["id"],
        "updatedOn": f"{stamp}Z",
        "typeOfWork": kind,
        "user": user,
        "task": task,
        "project": task["project"],
        "breaks": [],
        "resourceVersion": 638_000_000_000_000_000 + int(created.timestamp() * 10**6),
        "isExternal": False,
    }
