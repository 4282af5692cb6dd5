"""
Run the daily export on this machine: a local awork, real Airflow, local files.

``make demo`` runs it. Everything goes to ``demo-output/``; running it again writes the same data files.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.progress import track
from rich.table import Table

REPOSITORY = Path(__file__).resolve().parent.parent
OUTPUT = REPOSITORY / "demo-output"
ENTRIES = 5000
LAST_DAY = date(2026, 11, 20)
DAYS = 5
API_KEY = "sandbox-key"  # the local awork's own default

console = Console()


@contextmanager
def local_awork() -> Iterator[str]:
    """Run a local awork in another process; yields its base URL."""
    command = [sys.executable, "-m", "airflow_provider_awork.sandbox", "--port", "0", "--entries", str(ENTRIES)]
    command += ["--seed", "7", "--token", API_KEY, "--end", str(LAST_DAY + timedelta(days=1))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            first_line = server.stdout.readline() if server.stdout else ""
            url = re.search(r"http://\S+", first_line)
            if url is None:
                raise SystemExit("The local awork did not start")
            yield url[0]
        finally:
            server.terminate()


def prepare_airflow(base_url: str) -> None:
    """Give the demo its own Airflow home; must run before Airflow is imported."""
    home = OUTPUT / "airflow"
    home.mkdir(parents=True, exist_ok=True)
    connection = {"conn_type": "awork", "host": base_url, "password": API_KEY}
    os.environ.update(
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__DAGS_FOLDER=str(REPOSITORY / "example_dags"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
        AIRFLOW__USAGE_DATA_COLLECTION__ENABLED="False",
        AIRFLOW_CONN_AWORK_DEFAULT=json.dumps(connection),
        AWORK_DESTINATION=f"file://{OUTPUT}",
    )


def export_days(days: list[date]) -> None:
    """Run the DAG of ``example_dags/awork_daily_export.py`` once for each day."""
    import pendulum
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.db import initdb

    initdb()
    dag = DagBag(str(REPOSITORY / "example_dags" / "awork_daily_export.py")).get_dag("awork_daily_export")
    for day in track(days, description="Running awork_daily_export", console=console):
        # A run of this DAG stands at the end of the day that it covers.
        end = pendulum.datetime(day.year, day.month, day.day, tz="Europe/Berlin").add(days=1)
        run = dag.test(logical_date=end)
        if run.state != "success":
            raise SystemExit(f"The run for {day} ended as {run.state}")


def count_entries(base_url: str, day: date) -> int:
    """Count the local awork's entries of a day without the provider."""
    answer = requests.get(
        f"{base_url}/timeentries",
        params={
            "pageSize": 1,
            "filterby": f"startDateLocal ge datetime'{day}T00:00' and "
            f"startDateLocal lt datetime'{day + timedelta(days=1)}T00:00'",
        },
        headers={"Authorization": f"Bearer {API_KEY}"},
        timeout=30,
    )
    answer.raise_for_status()
    return int(answer.headers["aw-totalitems"])


def show_days(base_url: str, days: list[date]) -> list[str]:
    """Print the written and the expected rows of each day, and return the files."""
    table = numbers_table("day", "files", "rows", "in awork", "bytes", "requests", title="Written files")
    files = []
    for day in days:
        folder = next((OUTPUT / "daily").glob(f"*={day}"))
        manifest: dict[str, Any] = json.loads((folder / "_manifest.json").read_text())
        expected = count_entries(base_url, day)
        if manifest["rows"] != expected:
            raise SystemExit(f"{day}: {manifest['rows']} rows were written, but awork holds {expected}")
        files += [str(folder / file["name"]) for file in manifest["files"]]
        numbers = (len(manifest["files"]), manifest["rows"], expected, manifest["bytes"], manifest["run"]["requests"])
        table.add_row(str(day), *(f"{number:,}" for number in numbers))
    console.print(table)
    return files


def show_hours(files: list[str]) -> None:
    """Read the files with DuckDB, and print the hours by project and a few entries."""
    import duckdb

    entries = duckdb.read_parquet(files)  # noqa: F841, the queries name it
    hours = numbers_table("project", "entries", "hours", "billable", title="Hours by project")
    for name, count, total, billable in duckdb.sql(
        "SELECT coalesce(project_name, 'without a project'), count(*), sum(duration) / 3600, "
        "sum(duration) FILTER (is_billable) / 3600 FROM entries GROUP BY 1 ORDER BY 3 DESC LIMIT 10"
    ).fetchall():
        hours.add_row(name, f"{count:,}", f"{total:,.1f}", f"{billable or 0:,.1f}")
    console.print(hours)
    sample = Table("started_at", "seconds", "user", "project", "note", title="Five entries", show_lines=True)
    for row in duckdb.sql(
        "SELECT strftime(started_at, '%m-%d %H:%M'), duration, user_last_name, project_name, left(note, 40) "
        "FROM entries WHERE note IS NOT NULL AND started_at IS NOT NULL ORDER BY created_on LIMIT 5"
    ).fetchall():
        sample.add_row(*(str(value) for value in row))
    console.print(sample)


def numbers_table(name: str, *numbers: str, title: str) -> Table:
    """A table with one column of names and further columns of numbers."""
    table = Table(name, title=title)
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def main() -> None:
    started = time.monotonic()
    days = [LAST_DAY - timedelta(days=back) for back in reversed(range(DAYS))]
    with local_awork() as base_url:
        console.print(f"A local awork with {ENTRIES:,} time entries is at {base_url}")
        prepare_airflow(base_url)
        export_days(days)
        files = show_days(base_url, days)
    show_hours(files)
    console.print(f"Files are in [bold]{OUTPUT / 'daily'}[/], done in {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    main()
