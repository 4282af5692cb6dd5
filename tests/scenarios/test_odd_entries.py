"""Entries that no document foresees: byte for byte in NDJSON, equal when read back from Parquet and CSV."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from airflow_provider_awork.sandbox import PrettyPrinted, Sandbox, every
from tests.helpers.runs import export, exported_lines, hook_for

NOTES = [
    "emoji \U0001f469\u200d\U0001f680 \ufe0f",
    "NUL \x00 inside",
    "CR LF \r\n and \n and \r",
    "</script><b>",
    "=1+1",
    "+49 170 1234567",
    '"quoted", and; separated',
    "\u2028 line separator \u0085",
    "x" * 1_000_000,
    "",
    " ",
    "null",
]


def odd_texts(awork: Sandbox) -> list[str]:
    entries = [awork.make_entry(note=note) for note in NOTES]
    entries.append(awork.make_entry(resourceVersion=2**63 - 1, duration=2**40))
    entries.append(awork.make_entry(newField={"deep": [1, {"x": None}]}, another=1.50))
    entries.append(awork.make_entry(duration="not a number", isBillable="yes", project=7, user=[], breaks={}))
    entries.append(awork.make_entry(project=None, task=None, user=None, typeOfWork=None, userId=None, note=None))
    texts = [msgspec.json.encode(entry).decode() for entry in entries]
    nulls = awork.make_entry(note=None)
    texts.append(msgspec.json.encode({**nulls, "note": None, "taskId": None, "project": None}).decode())
    spelt = msgspec.json.encode(awork.make_entry(note="@@")).decode()
    texts.append(spelt.replace('"@@"', r'"\u00fc\/\ud83d\ude00"').replace('"duration":3600', '"duration" : 3.6e3'))
    return texts


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        sandbox.store.add(*odd_texts(sandbox))
        yield sandbox


def stored(awork: Sandbox) -> dict[str, dict[str, Any]]:
    return {entry["id"]: entry for entry in awork.store.entries()}


def test_ndjson_is_byte_for_byte(awork: Sandbox, tmp_path: Path) -> None:
    export(hook_for(awork), tmp_path)
    assert sorted(exported_lines(tmp_path)) == sorted(awork.store.texts().values())


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_pretty_printed_bodies_give_the_same_columns(awork: Sandbox, tmp_path: Path, file_format: str) -> None:
    texts, compact, pretty = awork.store.texts(), tmp_path / "compact", tmp_path / "pretty"
    export(hook_for(awork), compact, file_format=file_format, allow_misfits=True)
    awork.faults.add(every(1, PrettyPrinted()))
    export(hook_for(awork), pretty, file_format=file_format, allow_misfits=True)
    awork.faults.clear()
    for entry_id, row in columns(compact).items():
        again = columns(pretty)[entry_id]
        # Escapes and the spelling of numbers are Python's in the pretty body, so JSON columns are compared as values.
        if r"\u" not in texts[entry_id].decode() and "e3" not in texts[entry_id].decode():
            assert {**row, "extra": json_value(row["extra"])} == {**again, "extra": json_value(again["extra"])}


def columns(folder: Path) -> dict[str, dict[str, Any]]:
    (file,) = folder.glob("part-*")
    return read_csv(folder) if ".csv" in file.name else {row["id"]: row for row in pq.read_table(file).to_pylist()}


def json_value(text: str | None) -> Any:
    return json.loads(text) if text else None


def test_an_entry_of_nothing_but_its_id_and_time(tmp_path: Path) -> None:
    with Sandbox(entries=3) as awork:
        alone = '{"id":"00000000-0000-4000-8000-000000000001","createdOn":"2026-01-01T00:00:00Z"}'
        awork.store.add(alone)
        for file_format in ("ndjson", "parquet", "csv"):
            export(hook_for(awork), tmp_path / file_format, file_format=file_format)
    assert alone.encode() in exported_lines(tmp_path / "ndjson")
    derived = {"created_at", "created_on", "id", "is_running", "is_paused", "is_duration_only"}
    for file_format in ("parquet", "csv"):
        row = columns(tmp_path / file_format)["00000000-0000-4000-8000-000000000001"]
        assert {name for name, value in row.items() if value not in (None, "")} == derived


def test_ndjson_of_pretty_printed_bodies_is_one_line_each(awork: Sandbox, tmp_path: Path) -> None:
    awork.faults.add(every(1, PrettyPrinted()))
    export(hook_for(awork), tmp_path)
    awork.faults.clear()
    decoded = [msgspec.json.decode(line) for line in exported_lines(tmp_path)]
    assert {entry["id"]: entry for entry in decoded} == stored(awork)


def assert_equal(rows: dict[str, dict[str, Any]], entries: dict[str, dict[str, Any]]) -> None:
    """The columns of plain texts, and that nothing unknown or of another type is lost."""
    assert rows.keys() == entries.keys()
    for entry_id, entry in entries.items():
        row = rows[entry_id]
        assert row["note"] == entry.get("note")
        assert row["timezone"] == entry["timezone"]
        assert int(row["resource_version"]) == entry["resourceVersion"]
        extra = msgspec.json.decode(row["extra"]) if row["extra"] else {}
        for key in ("newField", "another"):
            assert extra.get(key) == entry.get(key)
        if entry.get("duration") == "not a number":
            assert {key: extra[key] for key in ("duration", "isBillable", "project", "user")} == {
                "duration": "not a number",
                "isBillable": "yes",
                "project": 7,
                "user": [],
            }
        else:
            assert int(row["duration"]) == entry["duration"]  # 3600 is spelt 3.6e3 in one
            assert "duration" not in extra


def test_parquet_reads_back_equal(awork: Sandbox, tmp_path: Path) -> None:
    export(hook_for(awork), tmp_path, file_format="parquet", allow_misfits=True)
    (file,) = tmp_path.glob("*.parquet")
    assert_equal({row["id"]: row for row in pq.read_table(file).to_pylist()}, stored(awork))


def read_csv(folder: Path) -> dict[str, dict[str, str]]:
    (file,) = folder.glob("*.csv.gz")
    csv.field_size_limit(10_000_000)
    text = gzip.decompress(file.read_bytes()).decode()
    return {row["id"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}


def test_csv_reads_back_equal(awork: Sandbox, tmp_path: Path) -> None:
    export(hook_for(awork), tmp_path, file_format="csv", allow_misfits=True)
    # A reader of csv cannot tell an absent text from an empty one, which is quoted in the file.
    entries = {entry_id: {**entry, "note": entry.get("note") or ""} for entry_id, entry in stored(awork).items()}
    assert_equal(read_csv(tmp_path), entries)


def test_the_formula_guard_is_an_option(awork: Sandbox, tmp_path: Path) -> None:
    export(hook_for(awork), tmp_path, file_format="csv", csv_formula_guard=True, allow_misfits=True)
    notes = {row["note"] for row in read_csv(tmp_path).values()}
    assert {"'=1+1", "'+49 170 1234567"} <= notes
    assert not [note for note in notes if note.startswith(("=", "+"))]


HALVES_OF_PAIRS = r"cut \ud83d, \ude00\ud83d turned round, whole \ud83d\ude00, no escape \\ud83d"


@pytest.fixture
def awork_with_halves_of_pairs() -> Iterator[Sandbox]:
    """Texts that were cut in the middle of an emoji: valid JSON that has no text."""
    with Sandbox(entries=3) as sandbox:
        for field in ("note", "newField"):
            entry = msgspec.json.encode(sandbox.make_entry(**{field: "@@"})).decode()
            sandbox.store.add(entry.replace("@@", HALVES_OF_PAIRS))
        entry = sandbox.make_entry(breaks=[{"note": "@@", "x": 1}], **{"@@": 1.50})
        entry["project"]["name"] = entry["project"]["company"]["name"] = "@@"
        sandbox.store.add(msgspec.json.encode(entry).decode().replace("@@", HALVES_OF_PAIRS))
        yield sandbox


def test_halves_of_surrogate_pairs_are_byte_for_byte_in_ndjson(
    awork_with_halves_of_pairs: Sandbox, tmp_path: Path
) -> None:
    awork = awork_with_halves_of_pairs
    export(hook_for(awork), tmp_path)
    lines = exported_lines(tmp_path)
    assert sorted(lines) == sorted(awork.store.texts().values())
    assert HALVES_OF_PAIRS.encode() in b"".join(lines)


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_halves_of_surrogate_pairs_are_in_the_column_extra(
    awork_with_halves_of_pairs: Sandbox, tmp_path: Path, file_format: str
) -> None:
    """As their column cannot hold them; all else of their entry is where it belongs."""
    awork = awork_with_halves_of_pairs
    export(hook_for(awork), tmp_path, file_format=file_format)
    (file,) = tmp_path.glob("part-*")
    rows = read_csv(tmp_path) if file_format == "csv" else {row["id"]: row for row in pq.read_table(file).to_pylist()}
    halves = json.loads(f'"{HALVES_OF_PAIRS}"')
    extras = []
    for entry_id, text in awork.store.texts().items():
        entry, row = json.loads(text), rows[entry_id]
        extra = json.loads(row["extra"] or "{}")
        extras.append(extra)
        assert int(row["resource_version"]) == entry["resourceVersion"]
        assert extra.get("newField") == entry.get("newField")
        assert (row["note"] or extra.get("note")) == entry.get("note")
        assert (row["project_id"] or None) == entry.get("project", {}).get("id")
        if "project" in extra:
            assert extra["project"] == {"name": halves, "company": {"name": halves}}
            assert row["project_company_id"] == entry["project"]["company"]["id"]
            assert json.loads(row["breaks"]) == entry["breaks"]
            assert 1.5 in extra.values()
    assert sum(bool(extra) for extra in extras) == 3


def test_halves_of_surrogate_pairs_are_replaced_in_python(awork_with_halves_of_pairs: Sandbox) -> None:
    notes = {entry.get("note") for entry in hook_for(awork_with_halves_of_pairs).get_time_entries()}
    assert "cut \ufffd, \ufffd\ufffd turned round, whole \U0001f600, no escape \\ud83d" in notes
