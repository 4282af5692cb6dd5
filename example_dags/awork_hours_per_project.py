"""
Hours per project of one day: a small pull into XCom, summed by a TaskFlow task.

``fields`` keeps the XCom small. For more than a few thousand entries export to object storage instead.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pendulum
from airflow.sdk import DAG, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_awork.operators.time_entries import AworkTimeEntriesOperator

BERLIN = "Europe/Berlin"

with DAG(
    dag_id="awork_hours_per_project",
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone=BERLIN),
    start_date=pendulum.datetime(2026, 1, 1, tz=BERLIN),
    catchup=False,
    tags=["awork"],
    doc_md=__doc__,
):
    entries = AworkTimeEntriesOperator(
        task_id="entries",
        window_field="startDateLocal",
        timezone=BERLIN,
        fields=["id", "duration", "project/name"],
    )

    @task(multiple_outputs=False)  # a dict annotation alone would push one XCom per project name
    def hours_per_project(entries: list[dict[str, Any]]) -> dict[str, float]:
        seconds: dict[str, int] = defaultdict(int)
        for entry in entries:
            seconds[entry["project/name"] or "without a project"] += entry["duration"] or 0
        return {name: round(total / 3600, 2) for name, total in sorted(seconds.items())}

    hours_per_project(entries.output)
