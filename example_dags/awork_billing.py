"""
Monthly billing: export what is billable and not billed, let a human approve it, invoice it, mark exactly those entries
as billed, and check that they are.

Every task can be run again after a crash. ``invoice`` is a placeholder for your own invoicing; like it, yours must
not invoice a month twice: here a record says which set of entries was invoiced. Entries that are booked or changed
after the export are not marked; ``check`` says how many wait for the next invoice.

After the invoice, clear ``mark_billed`` or ``check``, not ``export``: another export lacks what is billed by now, and
``invoice`` refuses it.

Where to: the environment variable ``AWORK_BILLING_DESTINATION``, a prefix as ``ObjectStoragePath`` takes it, such as
``s3://aws_default@my-lake/awork/billing``.
"""

from __future__ import annotations

import gzip
import json
import os
from collections import defaultdict
from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, ObjectStoragePath, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.operators.time_entries import AworkBatchTimeEntriesOperator
from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator

BERLIN = "Europe/Berlin"
DESTINATION = os.environ.get("AWORK_BILLING_DESTINATION", "file:///tmp/awork/billing")
MONTH = "{{ data_interval_start.in_timezone('Europe/Berlin').format('YYYY-MM') }}"
BACKLOG = "isBillable eq true and isBilled eq false and duration gt 0"  # running timers have a duration of 0

with DAG(
    dag_id="awork_billing",
    schedule=CronDataIntervalTimetable("0 0 1 * *", timezone=BERLIN),
    start_date=pendulum.datetime(2026, 1, 1, tz=BERLIN),
    catchup=False,
    max_active_runs=1,
    tags=["awork"],
    doc_md=__doc__,
):
    export = AworkTimeEntriesToObjectStorageOperator(
        task_id="export",
        destination=f"{DESTINATION}/month={MONTH}",
        filterby=BACKLOG,
        window_field="startDateLocal",
        timezone=BERLIN,
        file_format="ndjson",
    )

    @task(multiple_outputs=False)  # a dict annotation alone would push one XCom per client name
    def hours_by_client(exported: dict[str, Any]) -> dict[str, float]:
        folder = ObjectStoragePath(exported["destination"])
        seconds: dict[str, int] = defaultdict(int)
        for file in json.loads((folder / "_manifest.json").read_text())["files"]:
            with (folder / file["name"]).open("rb") as packed, gzip.open(packed) as lines:
                for entry in map(json.loads, lines):
                    client = entry.get("project", {}).get("company", {}).get("name", "without a client")
                    seconds[client] += entry["duration"]
        return {client: round(total / 3600, 2) for client, total in sorted(seconds.items())}

    approve = ApprovalOperator(
        task_id="approve",
        subject=f"Invoice {{{{ ti.xcom_pull('export')['rows'] }}}} time entries of {MONTH}?",
        body="""
| client | hours |
|---|---|
{% for client, hours in ti.xcom_pull('hours_by_client').items() -%}
| {{ client }} | {{ hours }} |
{% endfor %}""",
    )

    @task
    def invoice(exported: dict[str, Any], hours: dict[str, float], month: str) -> None:
        """Replace this by your invoicing; keep that a month is never invoiced twice."""
        record = ObjectStoragePath(f"{DESTINATION}/invoices/{month}.json")
        if record.exists():
            invoiced = json.loads(record.read_text())
            if invoiced["sha256"] != exported["sha256"]:
                raise ValueError(f"{month} was invoiced already, from another set of time entries: see {record}")
            return
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps({"month": month, "sha256": exported["sha256"], "hours": hours}))

    mark_billed = AworkBatchTimeEntriesOperator(
        task_id="mark_billed",
        operation="setIsBilled",
        value=True,
        manifest=export.output,  # carries the set's digest: another set is refused
        retries=3,
        retry_delay=timedelta(minutes=5),
        max_active_tis_per_dag=1,
    )

    # A dry run reads all entries of the set again and counts those that are not billed.
    read_again = AworkBatchTimeEntriesOperator(
        task_id="read_again", operation="setIsBilled", value=True, manifest=export.output, dry_run=True
    )

    @task
    def check(exported: dict[str, Any], report: dict[str, Any], start: str, end: str) -> int:
        if report["already"] != exported["rows"]:
            raise ValueError(f"{report['already']} of {exported['rows']} time entries are billed: {report}")
        late = AworkHook().count_time_entries(
            filterby=BACKLOG, window_field="startDateLocal", window_start=start, window_end=end, timezone=BERLIN
        )
        print(f"All {exported['rows']} time entries are billed; {late} of that month wait for the next invoice")
        return late

    hours = hours_by_client(export.output)
    invoiced = invoice(export.output, hours, MONTH)
    hours >> approve >> invoiced >> mark_billed >> read_again
    check(
        export.output,
        read_again.output,
        "{{ data_interval_start.in_timezone('Europe/Berlin').isoformat() }}",
        "{{ data_interval_end.in_timezone('Europe/Berlin').isoformat() }}",
    )
