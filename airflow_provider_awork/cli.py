"""
Commands: ``python -m airflow_provider_awork doctor``, and ``airflow awork doctor`` where Airflow takes commands of
providers (3.2 and later).

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m airflow_provider_awork``."""
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_awork", description="Tools for awork in Airflow.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    doctor = commands.add_parser("doctor", help=DOCTOR_HELP, description=DOCTOR_DESCRIPTION)
    for flag, settings in DOCTOR_ARGUMENTS.items():
        doctor.add_argument(flag, **settings)
    options = parser.parse_args(arguments)
    return _run_doctor(options)


def get_cli_commands() -> list[CLICommand]:
    """Return the commands that Airflow adds to its own: ``airflow awork doctor``."""
    # Airflow 3.1 has no commands of providers, and may not have these names.
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
    sys.exit(_run_doctor(options))


def _run_doctor(options: argparse.Namespace) -> int:
    from airflow_provider_awork.doctor.command import run_doctor  # imports requests and rich

    return run_doctor(options.conn_id, options.json, strict=options.strict)
