"""The ledger: parts that are only ever added, under the claim of the destination, for people, programs and DuckDB."""

from __future__ import annotations

import json
import re
import uuid
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import msgspec
import pytest

from airflow_provider_awork.exceptions import AworkDestinationBusyError, AworkPublishError
from airflow_provider_awork.files import ledger as ledgers
from airflow_provider_awork.files.ledger import LedgerLine, Outcome, open_ledger, read_ledger
from airflow_provider_awork.files.manifest import read_manifest
from airflow_provider_awork.files.marker import MARKER_NAME, Owner
from airflow_provider_awork.files.publisher import Publisher
from tests.files.test_manifest import structure
from tests.helpers.publishing import NEW_SET, NO_WAIT, OLD_SET, OTHER_RUN, OWNER, export, names_at
from tests.helpers.repository import REPOSITORY

SCHEMA = json.loads(resources.files("airflow_provider_awork.files").joinpath("ledger.schema.json").read_text())
ENTRY, OTHER = (f"00000000-0000-4000-8000-00000000000{number}" for number in (1, 2))
SAME_RUN = Owner(dag_id="export", run_id="run-1", task_id="mark", map_index=-1, try_number=1)


def write(
    destination: Any, outcome: Outcome, *entry_ids: str, owner: Owner = SAME_RUN, versions: tuple[int, int] = (1, 2)
) -> None:
    with open_ledger(destination, owner=owner) as ledger:
        before, after = versions
        lines = [
            ledger.line(each, operation="setIsBilled", value=True, outcome=outcome, before=before, after=after)
            for each in entry_ids
        ]
        ledger.store(lines)


def test_the_schema_describes_the_struct(local: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    generated = msgspec.json.schema(LedgerLine)
    described = structure(SCHEMA)
    expected = structure(generated, generated["$defs"])
    assert described == expected
    write(local, Outcome.CHANGED, ENTRY)
    (part,) = Path(local.path).glob("_ledger-*")
    line = json.loads(part.read_text())
    jsonschema.validate(line, SCHEMA)
    assert set(line) == set(SCHEMA["properties"]) == set(SCHEMA["required"])


def test_each_part_stays_as_it_is(local: Any) -> None:
    write(local, Outcome.SENT, ENTRY, OTHER)
    first = {path.name: path.read_bytes() for path in Path(local.path).iterdir()}
    write(local, Outcome.CHANGED, ENTRY)
    write(local, Outcome.CHANGED)
    parts = {path.name: path.read_bytes() for path in Path(local.path).iterdir()}
    assert first.items() < parts.items()
    assert sorted(name.split("-")[2] for name in parts) == ["00001", "00002"]


def test_the_last_outcome_counts_and_sent_without_one_is_told_apart(destination: Any) -> None:
    write(destination, Outcome.SENT, ENTRY, OTHER)
    write(destination, Outcome.CHANGED, ENTRY, versions=(1, 7))
    ledger = read_ledger(destination)
    assert ledger.changed("setIsBilled", True) == {ENTRY}
    assert ledger.changed("setIsBilled", False) == set()
    assert (ledger.past("setIsBilled", ENTRY).sent, ledger.past("setIsBilled", OTHER).sent) == (None, (True, 1))
    assert [ledger.version_after(ENTRY, version) for version in (1, 2, 7)] == [7, 2, 7]
    assert ledger.values_set(ENTRY) == {"setIsBilled": True}
    assert ledger.values_set(OTHER) == {}


def test_duckdb_reads_it(local: Any) -> None:
    version = 638_700_000_000_000_001  # more than a double holds
    write(local, Outcome.SENT, ENTRY)
    write(local, Outcome.CHANGED, ENTRY, versions=(version, version + 2))
    parts = f"{local.path}/_ledger-setIsBilled-*.ndjson"
    found = duckdb.sql(
        f"SELECT entry_id::VARCHAR, outcome, version_after, dag_id, run_id FROM '{parts}' WHERE outcome <> 'sent'"
    ).fetchall()
    assert found == [(ENTRY, "changed", version + 2, "export", "run-1")]
    (query,) = re.findall(r"In DuckDB: `(.*)`", (REPOSITORY / "docs/operations.md").read_text())
    assert duckdb.sql(query.replace("...", local.path)).fetchall() == [("run-1", uuid.UUID(ENTRY), "changed")]


def test_exports_leave_the_ledger_alone(local: Any, tmp_path: Path) -> None:
    export(local, tmp_path, OLD_SET)
    write(local, Outcome.CHANGED, ENTRY)
    parts = {name for name in names_at(local) if name.startswith("_ledger")}
    export(local, tmp_path, NEW_SET)
    assert parts < names_at(local)
    assert read_ledger(local).changed("setIsBilled", True) == {ENTRY}


def test_a_run_that_writes_a_ledger_waits_for_a_run_that_writes_the_set(local: Any, tmp_path: Path) -> None:
    with Publisher(local, owner=OTHER_RUN) as publisher:
        with (
            pytest.raises(AworkDestinationBusyError),
            Publisher(local, owner=SAME_RUN, purpose="ledger", wait_for=NO_WAIT),
        ):
            pass
        publisher.keep_former()
    write(local, Outcome.CHANGED, ENTRY)


def test_tasks_of_one_run_write_a_ledger_after_each_other(local: Any) -> None:
    """Also one whose predecessor was killed; for two tasks that write a set this is an error for good."""
    killed = Publisher(local, owner=OWNER, purpose="ledger", stale_after=timedelta(seconds=0.2))
    killed.__enter__()
    killed._claim.stop_heartbeat(wait=True)
    assert MARKER_NAME in names_at(local)
    with Publisher(local, owner=SAME_RUN, purpose="ledger", stale_after=timedelta(seconds=0.2)) as publisher:
        publisher.keep_former()
    assert names_at(local) == set()


def test_a_ledger_that_takes_over_from_a_killed_export_removes_what_it_left(local: Any, tmp_path: Path) -> None:
    export(local, tmp_path, OLD_SET)
    before = names_at(local)
    killed = Publisher(local, owner=SAME_RUN)
    killed.__enter__()
    killed._claim.note("part-00009-000000000000.ndjson.gz")
    killed._claim.stop_heartbeat(wait=True)
    (Path(local.path) / "part-00009-000000000000.ndjson.gz").write_bytes(b"left")
    write(local, Outcome.CHANGED, ENTRY)
    assert {name for name in names_at(local) if not name.startswith("_ledger")} == before
    assert read_manifest(local) is not None


def test_a_lost_claim_stops_the_writing(local: Any) -> None:
    def lose_and_store() -> None:
        with open_ledger(local, owner=SAME_RUN) as ledger:
            (Path(local.path) / MARKER_NAME).unlink()
            ledger.store([ledger.line(ENTRY, operation="setIsBilled", value=True, outcome=Outcome.SENT)])

    with pytest.raises(AworkDestinationBusyError):
        lose_and_store()
    assert not [name for name in names_at(local) if name.startswith("_ledger")]


def test_a_part_that_cannot_be_read_is_an_error(local: Any) -> None:
    write(local, Outcome.CHANGED, ENTRY)
    (part,) = Path(local.path).glob("_ledger-*")
    part.write_text('{"entry_id": 7}\n')
    with pytest.raises(AworkPublishError, match=f"{part.name} cannot be read as a part of a ledger"):
        read_ledger(local)


def test_where_nothing_lies_the_ledger_is_empty(local: Any) -> None:
    assert read_ledger(local / "nowhere").changed("setIsBilled", True) == set()
    assert ledgers.NOTHING.outcome is None
