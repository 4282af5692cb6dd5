"""The report on hours by client and week, run by real Airflow, against the numbers that the local awork holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pendulum
import pytest

from airflow_provider_awork.sandbox import Sandbox
from tests.helpers.airflow_harness import connection_in_environment, run_dag
from tests.helpers.examples import load

BERLIN = "Europe/Berlin"
MONDAY = pendulum.datetime(2026, 11, 23, tz=BERLIN)
ODD_CLIENT = "Cash & <Carry> $1 to $2"


class Cells(HTMLParser):
    """Texts of the cells of all tables, row by row; a page that loads anything fails."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "img", "iframe")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


@pytest.fixture
def awork() -> Iterator[Sandbox]:
    with (
        Sandbox(entries=1500, seed=9, end=MONDAY.date()) as sandbox,
        connection_in_environment(sandbox.url, sandbox.token),
    ):
        # Work on a shared project of another workspace, which is not in the list of projects; and on both sides of the
        # window's ends.
        project = {"id": "0" * 8 + "-0000-4000-8000-000000000000", "name": "Shared", "company": {"name": ODD_CLIENT}}
        for start in (MONDAY.subtract(minutes=90), MONDAY, MONDAY.subtract(weeks=8), MONDAY.subtract(weeks=8, hours=2)):
            sandbox.store.add(sandbox.make_entry(started_at=start, projectId=project["id"], project=project))
        yield sandbox


def expected_seconds(awork: Sandbox) -> dict[tuple[str, Any], dict[str, int]]:
    """Seconds by client and Monday, added up without the provider."""
    seconds: dict[tuple[str, Any], dict[str, int]] = defaultdict(lambda: {"all": 0, "billable": 0, "unbilled": 0})
    for entry in awork.store.entries():
        day = pendulum.parse(entry["startDateLocal"]).date()
        if not MONDAY.subtract(weeks=8).date() <= day < MONDAY.date():
            continue
        client = entry.get("project", {}).get("company", {}).get("name", "without a client")
        sums = seconds[client, day - timedelta(days=day.weekday())]
        sums["all"] += entry["duration"]
        sums["billable"] += entry["duration"] * entry["isBillable"]
        sums["unbilled"] += entry["duration"] * (entry["isBillable"] and not entry["isBilled"])
    return seconds


def test_report_has_the_numbers_of_awork(awork: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWORK_DESTINATION", f"file://{tmp_path}")
    monkeypatch.setenv("AWORK_DUCKDB", str(tmp_path / "duckdb"))
    dag = load("awork_report")
    pages = []
    for _ in range(2):
        result = run_dag(dag, logical_date=MONDAY, data_interval=(MONDAY.subtract(weeks=1), MONDAY))
        assert result.xcom("report") == f"file://{tmp_path}/report/report.html"
        pages.append((tmp_path / "report" / "report.html").read_text())
    assert pages[0] == pages[1]

    expected = expected_seconds(awork)
    cells = Cells()
    cells.feed(pages[0])
    shown = {client: numbers for client, *numbers in cells.rows[1:]}
    clients = {client for client, _ in expected}
    assert ODD_CLIENT in clients
    assert shown.keys() == {*clients, "Total"}
    for client, numbers in shown.items():
        sums = [each for (name, _), each in expected.items() if client in (name, "Total")]
        hours, billable, unbilled = (
            sum(each[kind] for each in sums) / 3600 for kind in ("all", "billable", "unbilled")
        )
        assert [float(number.rstrip(" %")) for number in numbers] == [
            pytest.approx(hours, abs=0.06),
            pytest.approx(billable, abs=0.06),
            pytest.approx(100 * billable / hours, abs=0.6),
            pytest.approx(unbilled, abs=0.06),
        ]

    with duckdb.connect(str(tmp_path / "duckdb" / "report.duckdb"), read_only=True) as database:
        by_week = database.execute(
            "SELECT coalesce(project_company_name, 'without a client'), date_trunc('week', work_date)::DATE, "
            "sum(duration) FROM time_entries GROUP BY ALL"
        ).fetchall()
    assert {(client, week): seconds for client, week, seconds in by_week} == {
        key: sums["all"] for key, sums in expected.items()
    }
