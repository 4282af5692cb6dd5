"""The commands as people type them: what they print, how they end, and that no key is in it."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import airflow
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_awork.cli import main
from airflow_provider_awork.doctor.examination import CHECKS
from airflow_provider_awork.files.ledger import Outcome, open_ledger
from airflow_provider_awork.files.marker import Owner
from airflow_provider_awork.sandbox import Answer, Sandbox
from tests.helpers.airflow_harness import connection_in_environment, prepare_airflow

KEY = "right-key-0a1b2c3d"
WRONG_KEY = "wrong-key-4e5f6a7b"
ENTRIES = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(4)]
VERSION = 638_700_000_000_000_001
NOBODY_LISTENS = "http://127.0.0.1:9/api/v1"


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=60, token=KEY, rate_limit_per_minute=1000, rate_limit_per_second=50) as sandbox:
        yield sandbox


@pytest.fixture
def connections(awork: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")  # the command sets it; gone after the test
    with ExitStack() as stack:
        stack.enter_context(connection_in_environment(awork.url, KEY))
        stack.enter_context(connection_in_environment(awork.url, WRONG_KEY, conn_id="awork_wrong_key"))
        stack.enter_context(connection_in_environment(NOBODY_LISTENS, KEY, conn_id="awork_down"))
        stack.enter_context(connection_in_environment(awork.url, KEY, conn_id="awork_bad_extra", read_timeout=-1))
        yield


def in_new_process(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env={**os.environ, **environment},
    )


def assert_no_key(*texts: str) -> None:
    assert [key for key in (KEY, WRONG_KEY) if any(key in text for text in texts)] == []


def assert_healthy(report: Mapping[str, Any], awork: Sandbox) -> None:
    assert report["holds"] is True
    assert report["proven"] is True
    assert report["base_url"] == awork.url
    assert report["workspace_name"] == awork.settings.workspace.name
    assert {finding["check"]: finding["outcome"] for finding in report["findings"]} == dict.fromkeys(CHECKS, "ok")
    assert 0 < report["requests"] < 30


def test_the_command_without_a_database(awork: Sandbox, tmp_path: Path) -> None:
    """As in a container that only has the connection in its environment."""
    database = f"sqlite:///{tmp_path}/none.db"
    with connection_in_environment(awork.url, KEY):
        run = in_new_process(
            *("airflow_provider_awork", "doctor", "--json", "-"),
            AIRFLOW_HOME=str(tmp_path),
            AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=database,
        )

    assert run.returncode == 0, run.stderr
    assert_healthy(json.loads(run.stdout), awork)
    assert not (tmp_path / "none.db").exists()
    assert_no_key(run.stdout, run.stderr)


def test_the_command_takes_a_connection_of_the_database(awork: Sandbox) -> None:
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    prepare_airflow()
    stored = Connection(conn_id="awork_stored", conn_type="awork", host=awork.url, password=KEY)
    with create_session() as session:
        session.add(stored)
    run = in_new_process("airflow_provider_awork", "doctor", "--conn-id", "awork_stored", PYTHONIOENCODING="ascii")

    assert run.returncode == 0, run.stderr
    assert "Studio Gr??enwahn" in run.stdout
    assert f"Connection awork_stored at {awork.url}" in run.stdout
    assert "The guarantees of exports hold: 19 ok." in run.stdout
    assert_no_key(run.stdout, run.stderr)


@pytest.mark.skipif(airflow.__version__.startswith("3.1."), reason="Airflow 3.1 takes no commands of providers")
@pytest.mark.parametrize("conn_id", ["awork_default", "awork_wrong_key"])
def test_the_command_of_airflow(connections: None, awork: Sandbox, tmp_path: Path, conn_id: str) -> None:
    file = tmp_path / "report.json"

    run = in_new_process("airflow", "awork", "doctor", "--conn-id", conn_id, "--json", str(file))

    report = json.loads(file.read_text())
    if conn_id == "awork_default":
        assert run.returncode == 0, run.stderr
        assert_healthy(report, awork)
        assert "The guarantees of exports hold" in run.stdout
    else:
        assert run.returncode == 1
        assert report["findings"][0]["setting"].startswith("password: a valid API key")
        assert "do NOT hold" in run.stdout
        assert "Traceback" not in run.stdout + run.stderr
    assert_no_key(run.stdout, run.stderr, file.read_text())


def test_a_report_as_table_and_file(
    connections: None, awork: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report.json"

    assert main(["doctor", "--strict", "--json", str(file)]) == 0

    table = capsys.readouterr().out
    for text in (*CHECKS, "Check", "Result", "Found, what it means, what to set", awork.settings.workspace.name):
        assert text in table
    assert_healthy(json.loads(file.read_text()), awork)
    assert_no_key(table)


@pytest.mark.parametrize(
    ("conn_id", "texts"),
    [
        ("awork_wrong_key", ["401", "password: a valid API key"]),
        ("awork_down", ["cannot reach 127.0.0.1:9", "host, proxies"]),
        ("awork_bad_extra", ["read_timeout", "the field of the connection"]),
        ("nowhere", ["'nowhere'", "AIRFLOW_CONN_NOWHERE"]),
    ],
)
def test_what_cannot_be_asked_is_a_row_and_no_traceback(
    connections: None, capsys: pytest.CaptureFixture[str], conn_id: str, texts: list[str]
) -> None:
    assert main(["doctor", "--conn-id", conn_id]) == 1

    shown = capsys.readouterr()
    table = " ".join(shown.out.replace("│", " ").split())
    assert [text for text in texts if text not in table] == []
    assert "do NOT hold" in table
    assert "Traceback" not in shown.out + shown.err
    assert_no_key(shown.out, shown.err)


def test_a_broken_workspace_ends_with_1(
    connections: None, awork: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(awork.settings, "missing_permissions", True)

    assert main(["doctor"]) == 1
    assert re.search(r"Permissions +│ failed +│", capsys.readouterr().out)


def test_extras_that_fit_the_workspace_are_ready_to_paste(
    connections: None,
    awork: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(awork.settings, "tie_break", "refused")
    monkeypatch.setattr(awork.settings, "literal_timezone", "Europe/Berlin")
    file = tmp_path / "report.json"

    assert main(["doctor", "--json", str(file)]) == 1

    *_, label, line = capsys.readouterr().out.splitlines()
    assert label == "Extras of the connection that fit this workspace:"
    extras = {"order_by_id": False, "literal_timezone": "Europe/Berlin"}
    assert json.loads(line) == extras
    assert json.loads(file.read_text())["extras"].items() >= extras.items()
    with connection_in_environment(awork.url, KEY, conn_id="awork_pasted", **extras):
        assert main(["doctor", "--conn-id", "awork_pasted"]) == 0
    assert "Extras of the connection" not in capsys.readouterr().out


@pytest.mark.parametrize("width", [80, 100])
def test_the_table_is_whole_at(width: int, connections: None, awork: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_awork.doctor.command.WIDTH_OF_FILES", width)
    monkeypatch.setattr(sys, "stdout", output := io.StringIO())
    monkeypatch.setattr(awork.settings, "unfilterable", {"createdOn"})

    main(["doctor"])

    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in output.getvalue()
    assert all(any(line.startswith(f"│ {name} ") for line in lines) for name in CHECKS)


@pytest.mark.parametrize("status", [401, 404])
def test_an_unknown_visibility_ends_with_1(
    status: int, connections: None, awork: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    awork.faults.add(lambda request, _: Answer(status) if request.path == "/me/permissions" else None)
    try:
        assert main(["doctor"]) == 1
    finally:
        awork.faults.clear()
    shown = capsys.readouterr().out
    assert re.search(r"Permissions +│ not proven │ awork does not report what the key can", shown)
    assert "not all is proven" in shown


def test_warnings_end_with_0(
    connections: None, awork: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(awork.settings, "unfilterable", {"updatedOn"})

    assert main(["doctor"]) == 0
    assert "18 ok, 1 warning" in capsys.readouterr().out


def test_an_empty_workspace_does_not_claim_what_is_not_proven(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    with Sandbox(token=KEY) as awork, connection_in_environment(awork.url, KEY):
        assert main(["doctor"]) == 0
        assert main(["doctor", "--strict"]) == 1
    assert "not all is proven" in capsys.readouterr().out


def test_a_file_that_cannot_be_written(connections: None, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"--json: .*missing/report\.json cannot be written"):
        main(["doctor", "--json", str(tmp_path / "missing" / "report.json")])


def test_help_names_the_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--help"])

    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "--conn-id" in shown
    assert "--json" in shown
    assert "change nothing" in shown


# -- the ledger --------------------------------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs: the second one finds an entry that somebody billed, and is killed."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    runs = [
        ("manual__2026-10-31T23:00:00+00:00", {Outcome.CHANGED: ENTRIES[:2]}),
        ("manual__2026-11-30T23:00:00+00:00", {Outcome.BILLED_BY_OTHERS: ENTRIES[2:3], Outcome.SENT: ENTRIES[3:]}),
    ]
    for run_id, outcomes in runs:
        owner = Owner(dag_id="awork_billing", run_id=run_id, task_id="mark_billed", map_index=-1, try_number=1)
        with open_ledger(ObjectStoragePath(f"file://{tmp_path}/set"), owner=owner) as book:
            about = {"operation": "setIsBilled", "value": True, "before": VERSION, "after": VERSION + 1}
            lines = [book.line(each, outcome=outcome, **about) for outcome, ids in outcomes.items() for each in ids]
            book.store(lines)
    return tmp_path / "set"


@pytest.mark.parametrize("form", ["{0}", "file://{0}", "{0}/", "{0}/_manifest.json"])
def test_a_ledger_is_shown_by_run(ledger: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr(sys, "stdout", output := io.StringIO())

    assert main(["ledger", "show", form.format(ledger)]) == 0

    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in output.getvalue()
    shown = " ".join(output.getvalue().replace("│", " ").split())
    for text in (
        "setIsBilled True: dag awork_billing, run manual__2026-10-31T23:00:00+00:00, task mark_billed",
        "2 changed; 20",
        "1 billed by somebody else, 1 sent, outcome not known; 20",
    ):
        assert text in shown
    assert all(any(line.startswith(f"│ {entry} │ {VERSION + 1} │") for line in lines) for entry in ENTRIES)


def test_one_entry_of_a_ledger(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "show", str(ledger), "--entry", ENTRIES[2].upper(), "--ndjson"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert (json.loads(line)["entry_id"], json.loads(line)["outcome"]) == (ENTRIES[2], "billed by somebody else")
    assert main(["ledger", "show", str(ledger), "--entry", KEY]) == 1
    assert f"holds no line of the time entry {KEY}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("destination", "said"),
    [("/nowhere/at/all", "holds no ledger"), ("s4://bucket/x", "cannot be read"), ("", "cannot be read")],
)
def test_a_ledger_that_cannot_be_shown(
    destination: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    assert main(["ledger", "show", destination]) == 1
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err + shown.out


def test_the_command_shows_a_ledger(ledger: Path) -> None:
    run = in_new_process("airflow_provider_awork", "ledger", "show", str(ledger))
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("setIsBilled True: dag awork_billing")


@pytest.mark.skipif(airflow.__version__.startswith("3.1."), reason="Airflow 3.1 takes no commands of providers")
def test_the_command_of_airflow_shows_a_ledger(ledger: Path) -> None:
    run = in_new_process("airflow", "awork", "ledger", str(ledger), "--entry", ENTRIES[0])
    assert run.returncode == 0, run.stderr
    assert "1 changed; 20" in run.stdout
