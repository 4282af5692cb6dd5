"""
Commands: ``python -m airflow_provider_awork doctor``, and ``airflow awork doctor`` where Airflow takes commands of
providers (3.2 and later).

Airflow imports this module whenever somebody types ``airflow``, so all else is imported when a command runs.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand

    from airflow_provider_awork.doctor.report import Report

DOCTOR_HELP = "check that an awork workspace behaves as exact exports need"
DOCTOR_DESCRIPTION = (
    "Asks a real workspace, in fewer than 30 requests that change nothing, whether awork behaves as exact exports "
    "need. Exits with 1 if their guarantees do not hold; warnings are no failure."
)
DOCTOR_ARGUMENTS: dict[str, dict[str, Any]] = {
    "--conn-id": {"default": "awork_default", "help": "Airflow connection of type awork (default: awork_default)"},
    "--json": {"metavar": "FILE", "help": "write the report as JSON, too; - writes it to standard output instead"},
}
TABLE_WIDTH = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m airflow_provider_awork``."""
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_awork", description="Tools for awork in Airflow.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    doctor = commands.add_parser("doctor", help=DOCTOR_HELP, description=DOCTOR_DESCRIPTION)
    for flag, settings in DOCTOR_ARGUMENTS.items():
        doctor.add_argument(flag, **settings)
    options = parser.parse_args(arguments)
    return run_doctor(options.conn_id, options.json)


def get_cli_commands() -> list[CLICommand]:
    """What Airflow adds to its own commands: ``airflow awork doctor``."""
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand

    doctor = ActionCommand(
        name="doctor",
        help=DOCTOR_HELP,
        description=DOCTOR_DESCRIPTION,
        func=_doctor_of_airflow,
        args=tuple(Arg((flag,), **settings) for flag, settings in DOCTOR_ARGUMENTS.items()),  # type: ignore[no-untyped-call]  # Airflow's
    )
    return [GroupCommand(name="awork", help="Tools for awork", subcommands=(doctor,))]


def _doctor_of_airflow(options: argparse.Namespace) -> None:
    sys.exit(run_doctor(options.conn_id, options.json))


def run_doctor(conn_id: str, json_file: str | None = None) -> int:
    """
    Check the workspace of a connection, and print what was found.

    :param conn_id: id of an Airflow connection.
    :param json_file: where the report goes as JSON, too; ``-``: to standard output, instead of the table.
    :return: 0 if the guarantees of exports hold, else 1.
    """
    output = sys.stdout
    if isinstance(output, io.TextIOWrapper):
        output.reconfigure(errors="replace")  # a terminal that has no ö is no reason to fail
    # Airflow logs to standard output, also while it is imported.
    with contextlib.redirect_stdout(sys.stderr):
        report = _examined(conn_id)
    if json_file == "-":
        output.write(_json(report))
    else:
        _print_table(report, output)
        if json_file:
            _write(json_file, _json(report))
    return 0 if report.holds else 1


def _examined(conn_id: str) -> Report:
    # Airflow's own commands say so, too: a connection of the metadata database is found, one of the environment first.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    from airflow_provider_awork.client.client import AworkClient
    from airflow_provider_awork.client.http.session import AworkSession
    from airflow_provider_awork.doctor.examination import RETRY, examine
    from airflow_provider_awork.doctor.report import Report, failed
    from airflow_provider_awork.exceptions import AworkConfigError
    from airflow_provider_awork.hooks.awork import AworkHook
    from airflow_provider_awork.version_compat import AirflowException

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


def _json(report: Report) -> str:
    import json

    return json.dumps(report.to_dict(), indent=2) + "\n"


def _write(file: str, text: str) -> None:
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        sys.exit(f"--json: {file} cannot be written: {error.strerror}")


def _print_table(report: Report, output: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from airflow_provider_awork.doctor.report import Outcome

    styles = {Outcome.OK: "green", Outcome.WARNING: "yellow", Outcome.FAILED: "bold red"}
    console = Console(file=output, width=None if output.isatty() else TABLE_WIDTH)
    table = Table(title=_title(report), title_justify="left")
    for heading in ("Check", "Result", "Found", "What it means", "What to set"):
        table.add_column(heading, no_wrap=heading in ("Check", "Result"), overflow="fold")
    for finding in report.findings:
        style = styles.get(finding.outcome, "dim")
        cells = (finding.found, finding.meaning, finding.setting)
        table.add_row(finding.check, Text(finding.outcome, style), *map(Text, cells))
    console.print(table)
    console.print(Text(_summary(report)))


def _title(report: Report) -> str:
    at = f" at {report.base_url}" if report.base_url else ""
    return f"Connection {report.connection}{at}"


def _summary(report: Report) -> str:
    counts = Counter(finding.outcome.value for finding in report.findings)
    counted = ", ".join(f"{times} {outcome}" for outcome, times in counts.items())
    verdict = "The guarantees of exports hold" if report.holds else "The guarantees of exports do NOT hold"
    if report.holds and not report.proven:
        verdict = "Nothing was found that breaks the guarantees of exports, but not all is proven"
    return f"{verdict}: {counted}. {report.requests} requests in {report.seconds:.1f} s; nothing was changed."
