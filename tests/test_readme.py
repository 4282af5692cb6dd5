"""The README and the pages in docs/ are true: their code runs, their tables are those of the code."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
import pendulum
import pytest
import requests
from airflow.sdk import DAG, Context, ObjectStoragePath

from airflow_provider_awork.cli import main
from airflow_provider_awork.client.http.config import DEFAULT_BASE_URL as BASE_URL
from airflow_provider_awork.client.http.config import EXTRA_NAMES
from airflow_provider_awork.client.http.oauth import parse_pair
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.operators.time_entries import (
    AworkBatchTimeEntriesOperator,
    AworkCreateTimeEntryOperator,
    AworkTimeEntriesOperator,
    AworkUpdateTimeEntryOperator,
)
from airflow_provider_awork.operators.tokens import AworkRefreshTokenOperator
from airflow_provider_awork.sandbox import Headers, Sandbox
from airflow_provider_awork.sensors.time_entries import AworkTimeEntriesSensor
from airflow_provider_awork.transfers.awork_to_object_storage import (
    AworkListToObjectStorageOperator,
    AworkTimeEntriesToObjectStorageOperator,
)
from scripts.write_columns import COLUMNS, columns_page
from tests.helpers.airflow_harness import connection_in_environment, run_dag

ROOT = Path(__file__).resolve().parent.parent
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / "README.md", *ROOT.glob("docs/*.md"))}
README = PAGES["README.md"]
PYTHON = [code for page in PAGES.values() for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL)]
# Blocks of other languages, by how they start.
OTHER_BLOCKS = {
    "README.md": ["pip install", "make demo", "export AIRFLOW_CONN", "python -m", "MERGE INTO", "python -m"],
    "docs/architecture.md": ["sandbox/", "page 1", "_writing.json"],
    "docs/doctor.md": ["python -m", "┏━━"],
    "docs/operations.md": ["_ledger-<operation>", "python -m airflow_provider_awork ledger show"],  # tests/test_cli.py
    "docs/oauth.md": ["https://", "pair=$(curl"],
}
DAY = "2026-11-20"


def block(containing: str) -> str:
    (found,) = [each for each in PYTHON if containing in each]
    return found


def test_every_block_is_known_here() -> None:
    """Another one needs a test."""
    assert len(PYTHON) == 8
    for name, page in PAGES.items():
        others = [text for language, text in re.findall(r"```(\w+)\n(.*?)```", page, re.DOTALL) if language != "python"]
        known = OTHER_BLOCKS.get(name, [])
        assert len(others) == len(known), name
        assert all(text.startswith(start) for text, start in zip(others, known, strict=True)), name


def test_the_architecture_names_files_that_are_there() -> None:
    table = PAGES["docs/architecture.md"].partition("## Where to change what")[2]
    paths = re.findall(r"`([\w/]+(?:\.py|\.json|/))`", table)

    assert len(paths) > 15
    assert [path for path in paths if not (ROOT / "airflow_provider_awork" / path).exists()] == []


def test_the_dag_of_ten_lines_exports(tmp_path: Path) -> None:
    code = block('DAG("awork"')
    assert len([line for line in code.splitlines() if line]) <= 12
    code = code.replace("s3://aws_default@my-lake", f"file://{tmp_path}")
    names: dict[str, Any] = {}
    exec(compile(code.replace("):\n", ") as dag:\n", 1), "README.md", "exec"), names)
    start = pendulum.parse(DAY)
    assert isinstance(start, pendulum.DateTime)
    with Sandbox(entries=400, seed=7, end=pendulum.date(2026, 11, 22)) as awork:
        with connection_in_environment(awork.url, awork.token):
            result = run_dag(names["dag"], logical_date=start, data_interval=(start, start.add(days=1)))
        expected = awork.store.ids(lambda entry: entry.get("startDateLocal", "").startswith(DAY))
    assert result.xcom("export")["rows"] == len(expected) > 0
    assert (tmp_path / f"awork/daily/day={DAY}/_manifest.json").exists()


def test_the_hook_block_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with (
        Sandbox(entries=300, seed=7, end=pendulum.date(2026, 12, 1)) as awork,
        connection_in_environment(awork.url, awork.token),
    ):
        exec(compile(block("AworkHook("), "README.md", "exec"), {})
        month = awork.store.ids(lambda entry: entry.get("startDateLocal", "").startswith("2026-11"))
    assert len(capsys.readouterr().out.splitlines()) >= len(month) > 0


def test_the_block_on_waiting_and_reacting() -> None:
    names: dict[str, Any] = {}
    exec(compile(block("AssetWatcher("), "README.md", "exec"), names)
    sensor = names["AworkTimeEntriesSensor"].no_running_timers(task_id="timers_stopped")
    react = names["react"]
    with DAG("readme_waiting", schedule=[names["billable"]], start_date=pendulum.datetime(2026, 1, 1)) as dag:
        sensor.dag = dag
        sensor >> react.override(task_id="react")()
    with Sandbox(entries=5, seed=7) as awork, connection_in_environment(awork.url, awork.token):
        awork.store.delete(awork.store.ids())
        payload = {"from_trigger": True, "payload": {"changed": 4}}
        result = run_dag(dag, run_type="asset_triggered", asset_events={"awork_billable": payload})
    assert (result.xcom("timers_stopped"), result.xcom("react")) == (0, 4)


def test_the_block_on_reading_by_manifest_reads_what_was_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    destination = f"{tmp_path}/time_entries/day={DAY}"
    with DAG("readme_manifest", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
        AworkTimeEntriesToObjectStorageOperator(
            task_id="export", destination=f"file://{destination}", file_format="parquet"
        )
    with Sandbox(entries=100, seed=7) as awork, connection_in_environment(awork.url, awork.token):
        run_dag(dag)
        project = next(entry["project"]["name"] for entry in awork.store.entries() if "project" in entry)
    code = block("duckdb").replace(f"file:///tmp/awork/daily/day={DAY}", f"file://{destination}")
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert project in [name for name, _ in names["hours"].fetchall()]


def test_the_block_on_reading_by_manifest_reads_an_empty_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with DAG("readme_empty", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
        AworkTimeEntriesToObjectStorageOperator(
            task_id="export", destination=f"file://{tmp_path}", file_format="parquet", filterby="duration lt 0"
        )
    with Sandbox(entries=10, seed=7) as awork, connection_in_environment(awork.url, awork.token):
        assert run_dag(dag).xcom("export")["uris"] == []
    code = block("duckdb").replace(f"file:///tmp/awork/daily/day={DAY}", f"file://{tmp_path}")
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["files"] == []


def test_uris_of_the_manifest_are_those_that_other_readers_take() -> None:
    (line,) = [each for each in block("duckdb").splitlines() if each.startswith("files = ")]
    names: dict[str, Any] = {
        "folder": ObjectStoragePath("s3://aws_default@my-lake/awork/x"),
        "manifest": {"files": [{"name": "part-00000-0123456789ab.parquet"}]},
    }
    exec(line, names)
    assert names["files"] == ["s3://my-lake/awork/x/part-00000-0123456789ab.parquet"]
    exec(line, names := {**names, "folder": ObjectStoragePath("s3://aws_default@my-lake")})
    assert names["files"] == ["s3://my-lake/part-00000-0123456789ab.parquet"]


def anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_has_its_file_and_heading(name: str) -> None:
    links = re.findall(r"\]\((?!https?:)(.*?)\)|src=\"(.*?)\"", PAGES[name])
    for link in map("".join, links):
        path, _, heading = link.partition("#")
        target = (ROOT / name).parent.joinpath(path).resolve() if path else ROOT / name
        assert target.exists(), link
        assert not heading or heading in anchors(PAGES[str(target.relative_to(ROOT))]), link


def test_every_page_is_linked_from_the_readme() -> None:
    assert {name for name in PAGES if name != "README.md"} <= set(re.findall(r"\]\((.*?)\)", README))


def test_the_block_on_filters_finds_the_entries() -> None:
    names: dict[str, Any] = {}
    with DAG("readme_filters", schedule=None, start_date=pendulum.datetime(2026, 1, 1), params={"note": "O'N"}) as dag:
        exec(compile(block("client.filters"), "README.md", "exec"), names)
    with (
        Sandbox(entries=1500, seed=7, end=pendulum.date(2026, 12, 1), now=pendulum.datetime(2026, 11, 30)) as awork,
        connection_in_environment(awork.url, awork.token),
    ):
        unbilled = {"isBillable": True, "isBilled": False, "startDateLocal": "2026-11-01T00:00:00", "duration": 60}
        noted = awork.make_entry(**unbilled, note="O'N")
        awork.store.add(noted)
        hook = AworkHook()
        found = {entry["id"] for entry in run_dag(dag).xcom("entries")}
        urgent = {entry["id"] for entry in hook.get_time_entries(filterby=names["urgent"])}
        mine = {entry["userId"] for entry in hook.get_time_entries(filterby=names["mine_lately"])}
        entries = awork.store.entries()

    def wanted(entry: dict[str, Any]) -> bool:
        company = entry.get("project", {}).get("company", {}).get("name")
        return (
            (entry["isBillable"] and not entry["isBilled"] and entry["startDateLocal"] >= "2026-11-01")
            and (company == "O'Neill Sports Europe" or entry["id"] in {*urgent, noted["id"]})
            and entry["duration"] > 0
        )

    assert found == {entry["id"] for entry in entries if wanted(entry)}
    assert noted["id"] in found
    assert urgent & found != urgent
    assert len(mine) == 1


@pytest.mark.skipif("task_state_store" not in Context.__annotations__, reason="state stores came with Airflow 3.3")
def test_the_blocks_on_incremental_loads_keep_a_table_up_to_date(tmp_path: Path) -> None:
    code = block('DAG("awork_changes"').replace("s3://aws_default@my-lake/awork", f"file://{tmp_path}")
    names: dict[str, Any] = {}
    exec(compile(code.replace("):\n", ") as dag:\n", 1), "README.md", "exec"), names)
    (upsert,) = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)
    with Sandbox(entries=200, seed=7) as awork, connection_in_environment(awork.url, awork.token):
        first = run_dag(names["dag"]).xcom("changes")
        now = datetime.now(UTC)
        for entry_id in awork.store.ids()[::10]:
            awork.store.edit(entry_id, note="edited", duration=60)
        awork.faults.add(lambda *_: Headers({"date": format_datetime(now + timedelta(hours=1), usegmt=True)}))
        second = run_dag(names["dag"]).xcom("changes")
        stored = {entry["id"]: entry for entry in awork.store.entries()}
    assert (first["rows"], second["rows"]) == (200, 20)
    with duckdb.connect() as database:
        database.sql(f"CREATE TABLE time_entries AS FROM '{tmp_path}/changes/from=beginning_*/*.parquet' LIMIT 0")
        for load in (second, first):
            (file,) = Path(load["destination"].removeprefix("file://")).glob("*.parquet")
            database.sql(re.sub(r"'changes/.*?'", f"'{file}'", upsert))
        rows = database.sql("SELECT id, resource_version, duration FROM time_entries").fetchall()
    assert {row[0]: row[1:] for row in rows} == {
        entry["id"]: (entry["resourceVersion"], entry["duration"]) for entry in stored.values()
    }
    assert len(rows) == 200


def test_the_block_on_billing_marks_what_was_exported(tmp_path: Path) -> None:
    code = block('DAG("awork_invoices"').replace("s3://aws_default@my-lake", f"file://{tmp_path}")
    names: dict[str, Any] = {}
    exec(compile(code.replace("):\n", ") as dag:\n", 1), "README.md", "exec"), names)
    with Sandbox(entries=100, seed=7) as awork, connection_in_environment(awork.url, awork.token):
        to_bill = {
            entry["id"]
            for entry in awork.store.entries()
            if entry["isBillable"] and not entry["isBilled"] and entry["duration"]
        }
        result = run_dag(names["dag"])
        billed = set(awork.store.ids(lambda entry: entry["isBilled"]))
    assert result.state == "success"
    assert result.xcom("mark_billed")["changed"] == len(to_bill) > 0
    assert to_bill <= billed


def test_the_sandbox_block_runs() -> None:
    exec(compile(block("Sandbox(entries"), "README.md", "exec"), {})


def test_the_report_of_the_doctor_is_what_it_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")  # the command sets it; gone after the test
    with Sandbox(entries=2500) as awork, connection_in_environment(awork.url, awork.token):
        assert main(["doctor"]) == 0
    rows = [
        re.sub(r"\d s from", "0 s from", line.rstrip())
        for line in capsys.readouterr().out.splitlines()
        if line.startswith(("┃", "│"))
    ]
    (report,) = re.findall(r"```text\n(┏.*?)```", PAGES["docs/doctor.md"], re.DOTALL)
    assert rows == [line for line in report.splitlines() if line.startswith(("┃", "│"))]


def test_the_table_of_columns_is_the_models() -> None:
    assert COLUMNS.read_text() == columns_page(), "run `make docs`"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
def test_the_first_token_pair_is_had_and_stored_as_described(tmp_path: Path) -> None:
    page = PAGES["docs/oauth.md"]
    (address,) = re.findall(r"```text\n(https://\S+)\n```", page)
    (exchange,) = re.findall(r"```shell\n(pair=.*?)```", page, re.DOTALL)
    redirect_uri = "http://localhost:8400/callback"
    # What `airflow variables set` gets, without the seconds that Airflow takes to start.
    airflow = tmp_path / "airflow"
    airflow.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\n')
    airflow.chmod(0o755)
    with Sandbox(entries=3) as awork:
        awork.oauth.add_client("warehouse", secret="s3cret")
        address = address.replace("<id>", "warehouse").replace("<URI>", redirect_uri)
        agreed = requests.get(address.replace(BASE_URL, awork.url), allow_redirects=False, timeout=10)
        (code,) = parse_qs(urlsplit(agreed.headers["location"]).query)["code"]
        environment = {
            "CLIENT_ID": "warehouse",
            "CLIENT_SECRET": "s3cret",
            "CODE": code,
            "REDIRECT_URI": redirect_uri,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
        }
        script = exchange.replace(BASE_URL, awork.url)
        subprocess.run(["bash", "-c", script], env=environment, check=True, timeout=60)
        command, action, name, pair = (tmp_path / "arguments").read_text().splitlines()
        assert (command, action, name) == ("variables", "set", "awork_person_token")
        assert awork.oauth.state_of(parse_pair(pair).access_token) == "valid"
        again = subprocess.run(["bash", "-c", script], env=environment, check=False, timeout=60, capture_output=True)
        assert again.returncode != 0, "a used code must not overwrite the Variable"


def section_on(documented: type) -> str:
    heading = f"\n## `{documented.__name__}`\n"
    (page,) = [page for page in PAGES.values() if heading in page]
    return page.split(heading)[1].split("\n## ")[0]


@pytest.mark.parametrize(
    "operator",
    [
        AworkTimeEntriesToObjectStorageOperator,
        AworkListToObjectStorageOperator,
        AworkTimeEntriesOperator,
        AworkBatchTimeEntriesOperator,
        AworkCreateTimeEntryOperator,
        AworkUpdateTimeEntryOperator,
        AworkTimeEntriesSensor,
        AworkRefreshTokenOperator,
    ],
)
def test_every_parameter_is_documented(operator: type) -> None:
    section = section_on(operator)
    transfer = section_on(AworkTimeEntriesToObjectStorageOperator)
    classes = [each for each in operator.__mro__ if each.__module__.startswith("airflow_provider_awork")]
    signatures = [inspect.signature(vars(each)["__init__"]) for each in classes if "__init__" in vars(each)]
    shared = {"self", "kwargs", "retry_policy"}
    own = [name for signature in signatures for name in signature.parameters if name not in shared]
    for name in own:
        if name == "awork_conn_id":
            assert all(
                f"`{name}`" in PAGES[page].split("\n## ")[0] for page in ("docs/operators.md", "docs/waiting.md")
            )
        elif name not in ("window_field", "window_start", "window_end"):
            assert f"`{name}`" in section or f"`{name}" in section + transfer, name
        assert f":param {name}:" in (operator.__doc__ or ""), name
    for name in operator.template_fields:  # type: ignore[attr-defined]
        assert name in own
        described = (operator.__doc__ or "").split(f":param {name}:")[1].split(":param")[0]
        assert "(templated)" in described, name


def test_every_connection_extra_is_documented() -> None:
    table = README.split("\n## Connection\n")[1].split("\n## ")[0]
    assert all(f"`{name}`" in table for name in EXTRA_NAMES)


def test_the_connection_in_the_readme_is_json() -> None:
    (text,) = re.findall(r"AIRFLOW_CONN_AWORK_DEFAULT='(\{.*\})'", README)
    assert json.loads(text)["conn_type"] == "awork"
