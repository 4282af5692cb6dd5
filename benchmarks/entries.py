"""
The time entries that the benchmark's server sends: one file with all of them, so that a page is a slice of it.

Rows come from the sandbox's generator (seeded; 200 people, 300 projects, 2,900 tasks). Those 20,000 are repeated under
new ids and later ``createdOn``; no compressor looks back that far.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count, cycle
from pathlib import Path
from random import Random
from typing import NamedTuple
from uuid import UUID

from airflow_provider_awork.sandbox import vocabulary
from airflow_provider_awork.sandbox.entry_data import generate_entries
from airflow_provider_awork.sandbox.master_data import make_master_data

DISTINCT = 20_000
PEOPLE = 200
FIRST_INSTANT = datetime(2024, 1, 1, tzinfo=UTC)


class EntryFiles(NamedTuple):
    """
    :param rows: the entries as JSON, a comma between two.
    :param starts: where each entry starts, and where one after the last would; unsigned 64 bits.
    :param seconds: ``createdOn`` of each, whole seconds since 1970; 64 bits.
    """

    rows: Path
    starts: Path
    seconds: Path

    @classmethod
    def of(cls, folder: Path, entries: int) -> EntryFiles:
        return cls(*(folder / f"{entries}-entries.{name}" for name in ("json", "starts", "seconds")))


def write_entries(folder: Path, entries: int) -> EntryFiles:
    """Write the files of the first so many entries, unless they are there."""
    files = EntryFiles.of(folder, entries)
    if files.seconds.exists():
        return files
    folder.mkdir(parents=True, exist_ok=True)
    starts, seconds, position = array("Q"), array("q"), 0
    with files.rows.open("wb") as out:
        for second, row in _rows(entries):
            starts.append(position)
            seconds.append(second)
            position += out.write(row) + out.write(b",")
    starts.append(position)
    files.starts.write_bytes(starts.tobytes())
    files.seconds.write_bytes(seconds.tobytes())
    return files


def window_bounds(folder: Path, entries: int, windows: int) -> list[str]:
    """Bounds of windows on ``createdOn`` that hold about as many entries each, as ISO 8601."""
    seconds = array("q", write_entries(folder, entries).seconds.read_bytes())
    bounds = [seconds[entries * number // windows] for number in range(windows)] + [seconds[-1] + 1]
    return [datetime.fromtimestamp(second, UTC).isoformat() for second in bounds]


def _rows(entries: int) -> Iterator[tuple[int, bytes]]:
    random = Random(7)
    templates = cycle(_templates(random))
    created = FIRST_INSTANT
    for _, (before, middle, after, digits) in zip(range(entries), templates, strict=False):
        created += timedelta(seconds=random.randrange(1, 60))
        fraction = f".{random.randrange(10**digits):0{digits}d}" if digits else ""
        instant = f"{created:%Y-%m-%dT%H:%M:%S}{fraction}Z".encode()
        guid = str(UUID(int=random.getrandbits(128), version=4)).encode()
        yield int(created.timestamp()), b"".join([before, guid, middle, instant, after])


def _templates(random: Random) -> list[tuple[bytes, bytes, bytes, int]]:
    """Each entry cut into what is before its id, between that and ``createdOn``, and after that."""
    start, end = date(2025, 1, 1), date(2026, 1, 1)
    data = make_master_data(random, people=PEOPLE, start=start)
    templates = []
    now = datetime(2026, 7, 1, tzinfo=UTC)  # after all of them, so that the bytes are the same on every day
    entries = generate_entries(random, data, count=DISTINCT, start=start, end=end, now=now)
    for number, entry in zip(count(), entries):
        if number % 2:
            entry["note"] = "; ".join(random.sample(vocabulary.NOTES, 5))
        text = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode()
        before, rest = text.split(f'"id":"{entry["id"]}","createdBy"'.encode())
        middle, after = rest.split(f'"createdOn":"{entry["createdOn"]}","updatedBy"'.encode())
        fraction = entry["createdOn"].partition(".")[2].removesuffix("Z")
        templates.append(
            (before + b'"id":"', b'","createdBy"' + middle + b'"createdOn":"', b'","updatedBy"' + after, len(fraction))
        )
    return templates
