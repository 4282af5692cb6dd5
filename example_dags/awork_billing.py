"""
Monthly billing: export all that is billable and not billed up to the end of the month, let a human approve it, invoice
it with a file per client, mark exactly those entries as billed, and check them against the ledger.

Late entries are not lost: what is booked, corrected or made billable after its month was invoiced, or was rejected
then, is still open, so the next run takes it. ``check`` says how many wait.

Every task can be run again after a crash. ``invoice`` is a placeholder for your own invoicing; like it, yours must
keep a record of the entries on each invoice and refuse those that are on another one. For an entry stays open until
it is marked: if a run invoices and fails before it has marked all, the next month's export holds the rest again. That
run is refused before anybody is asked to approve it. Clear ``mark_billed`` of the failed run, then ``export`` of the
refused one.

``mark_billed`` fails, and names the entries, if money no longer rests on what was invoiced (duration, client, person,
type of work or day were corrected after the export: put the invoice right by hand) or if somebody else billed an entry
meanwhile: find out on which invoice it is; if it is on this one alone, un-bill it in awork and clear the task. What it
did is in the ledger beside the export, entry by entry: ``python -m airflow_provider_awork ledger show <destination>``.

After the invoice, clear ``mark_billed`` or ``check``, not ``export``: another export lacks what is billed by now, and
is refused.

Where to: the environment variable ``AWORK_BILLING_DESTINATION``, a prefix as ``ObjectStoragePath`` takes it, such as
``s3://aws_default@my-lake/awork/billing``.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, ObjectStoragePath, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.files.ledger import read_ledger
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.operators.time_entries import AworkBatchTimeEntriesOperator, value_at
from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator

BERLIN = "Europe/Berlin"
DESTINATION = os.environ.get("AWORK_BILLING_DESTINATION", "file:///tmp/awork/billing")
MONTH = "{{ data_interval_start.in_timezone('Europe/Berlin').format('YYYY-MM') }}"
FIRST_DAY = "2020-01-01"  # of what this DAG bills: what was worked before and is open stays open
END = "{{ data_interval_end.in_timezone('Europe/Berlin').isoformat() }}"
BACKLOG = "isBillable eq true and isBilled eq false and duration gt 0"  # running timers have a duration of 0


def entries_of(exported: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The time entries of an export."""
    folder = ObjectStoragePath(exported["destination"])
    for file in json.loads((folder / "_manifest.json").read_text())["files"]:
        with (folder / file["name"]).open("rb") as packed, gzip.open(packed) as lines:
            yield from map(json_text.decode, lines)


def client_of(entry: dict[str, Any]) -> str:
    return value_at(entry, "project/company/name") or "without a client"


def write_invoices(exported: dict[str, Any], month: str) -> None:
    """Write the invoice of each client as a CSV file, the same file again if the task runs again."""
    invoices: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for entry in entries_of(exported):
        invoices[client_of(entry), value_at(entry, "project/company/id") or "none"].append(entry)
    folder = ObjectStoragePath(f"{DESTINATION}/invoices/{month}")
    folder.mkdir(parents=True, exist_ok=True)
    for (client, client_id), entries in invoices.items():
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["client", "day", "project", "type of work", "hours", "time entry"])
        for entry in sorted(entries, key=lambda each: (each["startDateLocal"], each["id"])):
            names = (value_at(entry, f"{part}/name") for part in ("project", "typeOfWork"))
            hours = round(entry["duration"] / 3600, 2)
            writer.writerow([client, entry["startDateLocal"][:10], *names, hours, entry["id"]])
        name = re.sub(r"\W+", "-", client.lower()).strip("-")
        (folder / f"{name}-{client_id}.csv").write_text(text.getvalue())


def is_invoiced(exported: dict[str, Any], month: str) -> bool:
    """
    Whether the month's invoice is of this very set.

    :raises ValueError: it is of another set, or an entry is on another month's invoice.
    """
    ids = {entry["id"] for entry in entries_of(exported)}
    for record in ObjectStoragePath(f"{DESTINATION}/invoices").glob("*.json"):
        invoice = json.loads(record.read_text())
        if invoice["month"] == month and invoice["sha256"] == exported["sha256"]:
            return True
        if invoice["month"] == month:
            raise ValueError(f"{month} was invoiced already, from another set of time entries: see {record}")
        if twice := ids.intersection(invoice["time_entry_ids"]):
            raise ValueError(
                f"{len(twice)} of {len(ids)} time entries are on the invoice of {invoice['month']} already, such as "
                f"{min(twice)}, see {record}: clear mark_billed of that run, then export of this one"
            )
    return False


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
        window_start=FIRST_DAY,
        window_end=END,
        timezone=BERLIN,
        file_format="ndjson",
        max_shrink=None,  # entries that are billed meanwhile leave the set
    )

    @task(multiple_outputs=False)  # a dict annotation alone would push one XCom per client name
    def hours_by_client(exported: dict[str, Any], month: str) -> dict[str, float]:
        is_invoiced(exported, month)  # nobody is to approve what is refused later
        seconds: dict[str, int] = defaultdict(int)
        for entry in entries_of(exported):
            seconds[client_of(entry)] += entry["duration"]
        longest_first = sorted(seconds.items(), key=lambda item: (-item[1], item[0]))
        return {client: round(total / 3600, 2) for client, total in longest_first}

    approve = ApprovalOperator(
        task_id="approve",
        subject=f"Invoice {{{{ ti.xcom_pull('export')['rows'] }}}} time entries up to the end of {MONTH}?",
        body="""
| client | hours |
|---|---|
{% for client, hours in ti.xcom_pull('hours_by_client').items() -%}
| {{ client | replace('|', '/') }} | {{ '%.2f' | format(hours) }} |
{% endfor -%}
| **total** | **{{ '%.2f' | format(ti.xcom_pull('hours_by_client').values() | sum) }}** |""",
    )

    @task
    def invoice(exported: dict[str, Any], hours: dict[str, float], month: str) -> None:
        """Replace this by your invoicing; keep that nothing is ever invoiced twice."""
        if is_invoiced(exported, month):
            return
        write_invoices(exported, month)
        ids = [entry["id"] for entry in entries_of(exported)]
        record = ObjectStoragePath(f"{DESTINATION}/invoices/{month}.json")
        record.parent.mkdir(parents=True, exist_ok=True)
        invoice = {"month": month, "sha256": exported["sha256"], "hours": hours, "time_entry_ids": ids}
        record.write_text(json.dumps(invoice))

    mark_billed = AworkBatchTimeEntriesOperator(
        task_id="mark_billed",
        operation="setIsBilled",
        value=True,
        manifest=export.output,  # carries the set's digest: another set is refused
        compare="content",  # a note may change after the export, a duration may not
        retries=3,
        retry_delay=timedelta(minutes=5),
        max_active_tis_per_dag=1,
    )

    # A dry run reads all entries of the set again and counts those that are billed by us.
    read_again = AworkBatchTimeEntriesOperator(
        task_id="read_again",
        operation="setIsBilled",
        value=True,
        manifest=export.output,
        compare="content",
        dry_run=True,
    )

    @task
    def check(exported: dict[str, Any], report: dict[str, Any], end: str) -> int:
        ours = read_ledger(ObjectStoragePath(exported["destination"])).changed("setIsBilled", True)
        if others := sorted({entry["id"] for entry in entries_of(exported)} - ours):
            raise ValueError(f"{len(others)} of {exported['rows']} time entries are not billed by us: {others[:100]}")
        if report["already"] != exported["rows"]:
            raise ValueError(f"{report['already']} of {exported['rows']} time entries are billed: {report}")
        late = AworkHook().count_time_entries(
            filterby=BACKLOG, window_field="startDateLocal", window_start=FIRST_DAY, window_end=end, timezone=BERLIN
        )
        print(f"All {exported['rows']} time entries are billed by us; {late} late ones wait for the next invoice")
        return late

    hours = hours_by_client(export.output, MONTH)
    invoiced = invoice(export.output, hours, MONTH)
    hours >> approve >> invoiced >> mark_billed >> read_again
    check(export.output, read_again.output, END)
