"""
Each Monday: hours and billable share by client and week, as an HTML file that needs no network.

The time entries of the last eight weeks and the lists of projects and clients are exported as Parquet, loaded into a
DuckDB file, where anybody may go on asking, and drawn by Matplotlib. All eight weeks are exported anew each time, as
people still book, correct and bill them.

Where to: exports and ``report.html`` to ``report/`` below the environment variable ``AWORK_DESTINATION``, a prefix as
``ObjectStoragePath`` takes it; ``report.duckdb`` to the local folder ``AWORK_DUCKDB``. Needs
``pip install duckdb matplotlib``.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.sdk import DAG, ObjectStoragePath, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_awork.transfers.awork_to_object_storage import (
    AworkListToObjectStorageOperator,
    AworkTimeEntriesToObjectStorageOperator,
)

if TYPE_CHECKING:
    import pyarrow
    from matplotlib.axes import Axes

BERLIN = "Europe/Berlin"
DESTINATION = os.environ.get("AWORK_DESTINATION", "file:///tmp/awork") + "/report"
DUCKDB = os.path.join(os.environ.get("AWORK_DUCKDB", "/tmp/awork"), "report.duckdb")
WEEKS = 8
LARGEST = 12  # clients with a colour of their own in the charts
MONDAY = "{{ data_interval_end.in_timezone('Europe/Berlin').subtract(weeks=%d).to_date_string() }}"

HOURS = """
    SELECT coalesce(companies.name, project_company_name, 'without a client') AS client,
           date_trunc('week', work_date)::DATE AS week,
           sum(duration) / 3600 AS hours,
           coalesce(sum(duration) FILTER (is_billable), 0) / 3600 AS billable,
           coalesce(sum(duration) FILTER (is_billable AND NOT is_billed), 0) / 3600 AS unbilled
    FROM time_entries
    LEFT JOIN projects ON projects.id = time_entries.project_id
    LEFT JOIN companies ON companies.id = projects.company_id
    GROUP BY client, week
"""

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Hours by client</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
  svg { width: 100%; height: auto }
  table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
  th, td { padding: .3rem .6rem; border-bottom: 1px solid #ddd; text-align: right }
  th:first-child, td:first-child { text-align: left }
  tr:last-child { font-weight: 600 }
</style>
<h1>Hours by client</h1>
<p>Weeks from {{ weeks[0] }} to {{ weeks[-1] }} (Mondays), from awork.</p>
{{ charts | safe }}
<table>
  <tr><th>Client<th>Hours<th>Billable<th>Billable share<th>Not billed yet</tr>
  {%- for client, hours, billable, unbilled in totals %}
  <tr><td>{{ client }}<td>{{ "%.1f" | format(hours) }}<td>{{ "%.1f" | format(billable) }}
  <td>{% if hours %}{{ "%.0f" | format(100 * billable / hours) }} %{% endif %}<td>{{ "%.1f" | format(unbilled) }}</tr>
  {%- endfor %}
</table>
</html>
"""


def read_export(summary: dict[str, Any]) -> pyarrow.Table:
    """The rows of an export, from the files that its manifest lists."""
    import pyarrow
    from pyarrow import parquet

    folder = ObjectStoragePath(summary["destination"])
    manifest = json.loads((folder / "_manifest.json").read_text())
    tables = []
    for file in manifest["files"]:
        with (folder / file["name"]).open("rb") as stream:
            tables.append(parquet.read_table(stream))
    return pyarrow.concat_tables(tables)


def draw(weeks: list[Any], clients: list[str], hours: dict[Any, float], billable: dict[Any, float]) -> str:
    """Both charts as one SVG; the same numbers give the same text."""
    from io import StringIO

    import matplotlib
    from matplotlib.figure import Figure

    # Names of clients are text, also with a $ in them.
    with matplotlib.rc_context({"svg.hashsalt": "awork", "text.parse_math": False, "font.size": 9}):
        figure = Figure(figsize=(9, 4 + 0.35 * len(clients)), layout="constrained")
        upper, lower = figure.subplots(2, 1, height_ratios=[3.2, 0.8 + 0.35 * len(clients)])
        draw_hours(upper, weeks, clients, hours)
        draw_shares(lower, weeks, clients, hours, billable)
        svg = StringIO()
        figure.savefig(svg, format="svg", metadata={"Date": None})
    text = svg.getvalue()
    return text[text.index("<svg") :]


def draw_hours(axes: Axes, weeks: list[Any], clients: list[str], hours: dict[Any, float]) -> None:
    import matplotlib

    colours = matplotlib.colormaps["tab20"].colors
    below = [0.0] * len(weeks)
    for number, client in enumerate(clients):
        heights = [hours.get((client, week), 0.0) for week in weeks]
        axes.bar(range(len(weeks)), heights, bottom=below, label=client, color=colours[number % 20], width=0.7)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    axes.set_title("Hours by week and client", loc="left", fontweight="bold")
    axes.set_xticks(range(len(weeks)), [f"{week:%d %b}" for week in weeks])
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, reverse=True)


def draw_shares(
    axes: Axes, weeks: list[Any], clients: list[str], hours: dict[Any, float], billable: dict[Any, float]
) -> None:
    shares = [
        [billable[client, week] / hours[client, week] if hours.get((client, week)) else float("nan") for week in weeks]
        for client in clients
    ]
    axes.imshow(shares, cmap="YlGn", vmin=0, vmax=1, aspect="auto", alpha=0.6)
    for row, values in enumerate(shares):
        for column, share in enumerate(values):
            axes.text(column, row, f"{share:.0%}" if share == share else "", ha="center", va="center")
    axes.set_title("Billable share", loc="left", fontweight="bold")
    axes.set_xticks(range(len(weeks)), [f"{week:%d %b}" for week in weeks])
    axes.set_yticks(range(len(clients)), clients)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


with DAG(
    dag_id="awork_report",
    schedule=CronDataIntervalTimetable("0 0 * * 1", timezone=BERLIN),
    start_date=pendulum.datetime(2026, 1, 1, tz=BERLIN),
    catchup=False,
    max_active_runs=1,  # DuckDB takes one writer at a time
    tags=["awork"],
    doc_md=__doc__,
):
    time_entries = AworkTimeEntriesToObjectStorageOperator(
        task_id="time_entries",
        destination=DESTINATION + "/time_entries",
        window_field="startDateLocal",
        window_start=MONDAY % WEEKS,
        window_end=MONDAY % 0,
        file_format="parquet",
        fail_if_empty=True,
    )
    lists = [
        AworkListToObjectStorageOperator(
            task_id=resource,
            resource=resource,
            destination=f"{DESTINATION}/{resource}",
            file_format="parquet",
            fail_if_empty=True,
        )
        for resource in ("projects", "companies")
    ]

    @task
    def load(exports: dict[str, dict[str, Any]]) -> str:
        import duckdb

        os.makedirs(os.path.dirname(DUCKDB), exist_ok=True)
        with duckdb.connect(DUCKDB) as database:
            for name, summary in exports.items():
                database.register("rows", read_export(summary))
                database.execute(f"CREATE OR REPLACE TABLE {name} AS FROM rows")
        return DUCKDB

    @task
    def report(path: str) -> str:
        import duckdb
        from jinja2 import Environment

        with duckdb.connect(path, read_only=True) as database:
            rows = database.execute(HOURS).fetchall()
            totals = database.execute(
                f"SELECT client, sum(hours), sum(billable), sum(unbilled) FROM ({HOURS}) "
                "GROUP BY client ORDER BY sum(hours) DESC, client"
            ).fetchall()
        shown = {client: client if rank < LARGEST else "others" for rank, (client, *_) in enumerate(totals)}
        hours, billable = defaultdict(float), defaultdict(float)
        for client, week, total, billable_part, _ in rows:
            hours[shown[client], week] += total
            billable[shown[client], week] += billable_part
        weeks = sorted({week for _, week in hours})
        charts = draw(weeks, list(dict.fromkeys(shown.values())), hours, billable)
        totals.append(("Total", *(sum(column) for column in list(zip(*totals, strict=True))[1:])))
        page = Environment(autoescape=True).from_string(PAGE)
        target = ObjectStoragePath(DESTINATION) / "report.html"
        target.write_text(page.render(weeks=weeks, charts=charts, totals=totals))
        return str(target)

    report(load({export.task_id: export.output for export in (time_entries, *lists)}))
