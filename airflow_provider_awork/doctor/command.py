"""``doctor`` as a command: read the connection, examine its workspace, print the report."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from airflow_provider_awork.client.client import AworkClient
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.doctor.examination import RETRY, examine
from airflow_provider_awork.doctor.report import Finding, Outcome, Report, failed
from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.version_compat import AirflowException

WIDTH_OF_FILES = 80  # characters; a terminal has its own width
STYLES = {Outcome.OK: "green", Outcome.WARNING: "yellow", Outcome.FAILED: "bold red"}


def run_doctor(conn_id: str, json_file: str | None = None, *, strict: bool = False) -> int:
    """
    Examine the workspace of a connection, and print the report.

    :param conn_id: id of an Airflow connection.
    :param json_file: file that also gets the report as JSON; ``-`` prints the JSON instead of the table.
    :param strict: also return 1 if any check could prove nothing.
    :return: 0 if the guarantees of exports hold, else 1; also 1 if awork does not report what the key can see.
    """
    output = sys.stdout
    if isinstance(output, io.TextIOWrapper):
        output.reconfigure(errors="replace")  # not every terminal can print an ö
    # Airflow logs to standard output, even while it is imported.
    with contextlib.redirect_stdout(sys.stderr):
        report = _examined(conn_id)
    report_json = json.dumps(report.to_dict(), indent=2) + "\n"
    if json_file == "-":
        output.write(report_json)
    else:
        _print_report(report, output)
        if json_file:
            _write(json_file, report_json)
    is_proven = report.proven if strict else not report.lacks_required_proof
    return 0 if report.holds and is_proven else 1


def _examined(conn_id: str) -> Report:
    # As Airflow's own commands do: connections are found in the environment first, then in the metadata database.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    try:
        config = AworkHook(conn_id).config
    except AworkConfigError as error:
        finding = failed(str(error), "nothing can be read", "the field of the connection that is named")
    except AirflowException as error:
        environment = f"AIRFLOW_CONN_{conn_id.upper()}"
        finding = failed(str(error), "nothing can be read", f"a connection {conn_id} in Airflow, or {environment}")
    else:
        client = AworkClient(config, session=AworkSession(config, retry=RETRY))
        with contextlib.closing(client):
            return examine(client, connection=conn_id)
    return Report(connection=conn_id, findings=[replace(finding, check="Connection")])


def _write(file: str, text: str) -> None:
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        sys.exit(f"--json: {file} cannot be written: {error.strerror}")


def _print_report(report: Report, output: TextIO) -> None:
    console = Console(file=output, width=None if output.isatty() else WIDTH_OF_FILES)
    at = f" at {report.base_url}" if report.base_url else ""
    table = Table(title=Text(f"Connection {report.connection}{at}"), title_justify="left")
    table.add_column("Check", no_wrap=True)
    table.add_column("Result", no_wrap=True)
    table.add_column("Found, what it means, what to set", overflow="fold")
    for finding in report.findings:
        table.add_row(finding.check, Text(finding.outcome, STYLES.get(finding.outcome, "dim")), _explanation(finding))
    console.print(table)
    console.print(Text(_summary(report)))
    if report.extras_to_paste is not None:
        console.print("Extras of the connection that fit this workspace:")
        print(report.extras_to_paste, file=output)


def _explanation(finding: Finding) -> Text:
    lines = [Text(finding.found)]
    if finding.meaning:
        lines.append(Text(finding.meaning, "dim"))
    if finding.setting:
        lines.append(Text(f"Set: {finding.setting}", "bold"))
    return Text("\n").join(lines)


def _summary(report: Report) -> str:
    counts = Counter(finding.outcome.value for finding in report.findings)
    counted = ", ".join(f"{times} {outcome}" for outcome, times in counts.items())
    verdict = "The guarantees of exports hold" if report.holds else "The guarantees of exports do NOT hold"
    if report.holds and not report.proven:
        verdict = "Nothing was found that breaks the guarantees of exports, but not all is proven"
    return f"{verdict}: {counted}. {report.requests} requests in {report.seconds:.1f} s; nothing was changed."
