"""
Commands: ``python -m airflow_provider_awork doctor`` and ``... ledger show``, and ``airflow awork ...`` where Airflow
takes commands of providers (3.2 and later).

Airflow imports this module whenever somebody types ``airflow``, so a command's own modules are imported when it runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand

DOCTOR_HELP = "check that an awork workspace behaves as exact exports need"
DOCTOR_DESCRIPTION = (
    "Asks a real workspace, in fewer than 30 requests that change nothing, whether awork behaves as exact exports "
    "need. Exits with 1 if their guarantees do not hold, or if awork does not report what the key can see. Warnings do "
    "not count."
)
DOCTOR_ARGUMENTS: dict[str, dict[str, Any]] = {
    "--conn-id": {"default": "awork_default", "help": "Airflow connection of type awork (default: awork_default)"},
    "--json": {"metavar": "FILE", "help": "also write the report as JSON to FILE; - prints it instead of the table"},
    "--strict": {"action": "store_true", "help": "also exit with 1 if a check could prove nothing"},
}
LEDGER_HELP = "show what batch changes did to time entries"
LEDGER_DESCRIPTION = (
    "Prints the ledger of a destination: for each run and operation, what became of each time entry. Which entries are "
    "on which run, whether we or somebody else billed an entry, and what a killed run had sent. Exits with 1 if there "
    "is no ledger, or none of the entry."
)
LEDGER_ARGUMENTS: dict[str, dict[str, Any]] = {
    "destination": {"help": "the export's destination or the ledger's prefix, such as s3://conn_id@bucket/prefix"},
    "--entry": {"metavar": "ID", "help": "only this time entry"},
    "--ndjson": {"action": "store_true", "help": "print the lines as they are stored, instead of tables"},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m airflow_provider_awork``."""
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_awork", description="Tools for awork in Airflow.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    doctor = commands.add_parser("doctor", help=DOCTOR_HELP, description=DOCTOR_DESCRIPTION)
    for flag, settings in DOCTOR_ARGUMENTS.items():
        doctor.add_argument(flag, **settings)
    doctor.set_defaults(run=_run_doctor)
    ledger = commands.add_parser("ledger", help=LEDGER_HELP).add_subparsers(metavar="COMMAND", required=True)
    show = ledger.add_parser("show", help=LEDGER_HELP, description=LEDGER_DESCRIPTION)
    for flag, settings in LEDGER_ARGUMENTS.items():
        show.add_argument(flag, **settings)
    show.set_defaults(run=_show_ledger)
    options = parser.parse_args(arguments)
    return int(options.run(options))


def get_cli_commands() -> list[CLICommand]:
    """Return the commands that Airflow adds to its own: ``airflow awork doctor`` and ``airflow awork ledger``."""
    # Airflow 3.1 has no commands of providers, and may not have these names.
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand

    doctor = ActionCommand(
        name="doctor",
        help=DOCTOR_HELP,
        description=DOCTOR_DESCRIPTION,
        func=_doctor_of_airflow,
        args=tuple(Arg((flag,), **settings) for flag, settings in DOCTOR_ARGUMENTS.items()),  # type: ignore[no-untyped-call]  # Airflow's
    )
    ledger = ActionCommand(
        name="ledger",
        help=LEDGER_HELP,
        description=LEDGER_DESCRIPTION,
        func=_ledger_of_airflow,
        args=tuple(Arg((flag,), **settings) for flag, settings in LEDGER_ARGUMENTS.items()),  # type: ignore[no-untyped-call]  # Airflow's
    )
    return [GroupCommand(name="awork", help="Tools for awork", subcommands=(doctor, ledger))]


def _doctor_of_airflow(options: argparse.Namespace) -> None:
    sys.exit(_run_doctor(options))


def _ledger_of_airflow(options: argparse.Namespace) -> None:
    sys.exit(_show_ledger(options))


def _show_ledger(options: argparse.Namespace) -> int:
    from airflow_provider_awork.billing.ledger_command import show_ledger  # imports Airflow and rich

    return show_ledger(options.destination, entry_id=options.entry, as_ndjson=options.ndjson)


def _run_doctor(options: argparse.Namespace) -> int:
    from airflow_provider_awork.doctor.command import run_doctor  # imports requests and rich

    return run_doctor(options.conn_id, options.json, strict=options.strict)
