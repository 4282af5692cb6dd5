"""``ledger show`` as a command: print what batch changes did to time entries."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections import Counter
from collections.abc import Iterable
from typing import TextIO

import msgspec
from airflow.sdk import ObjectStoragePath
from rich.console import Console
from rich.table import Table
from rich.text import Text

from airflow_provider_awork.exceptions import AworkError
from airflow_provider_awork.files.ledger import LedgerLine, Outcome, read_ledger_lines
from airflow_provider_awork.files.manifest import MANIFEST_NAME

WIDTH_OF_FILES = 80  # characters; a terminal has its own width
SENT_ONLY = "sent, outcome not known"

Run = tuple[str, str, str, int, str, str]


def show_ledger(destination: str, *, entry_id: str | None = None, as_ndjson: bool = False) -> int:
    """
    Print the ledger of a destination.

    :param destination: prefix of an export or of a ledger.
    :param entry_id: only this time entry.
    :param as_ndjson: print the lines as they are stored.
    :return: 0; 1 if there are no lines, or they cannot be read.
    """
    output = sys.stdout
    if isinstance(output, io.TextIOWrapper):
        output.reconfigure(errors="replace")  # not every terminal can print an ö
    # As Airflow's own commands do: connections are found in the environment first, then in the metadata database.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    prefix = destination.removesuffix("/").removesuffix(f"/{MANIFEST_NAME}")
    try:
        if not prefix:
            raise ValueError("it is empty")
        with contextlib.redirect_stdout(sys.stderr):  # Airflow logs to standard output
            lines = [*read_ledger_lines(ObjectStoragePath(prefix))]
    except (AworkError, OSError, ValueError) as error:
        print(f"destination: {prefix} cannot be read\n{error}", file=sys.stderr)
        return 1
    chosen = [line for line in lines if entry_id is None or line.entry_id == entry_id.lower()]
    if not chosen:
        what = f"no line of the time entry {entry_id}" if lines else "no ledger"
        print(f"destination: {prefix} holds {what}", file=sys.stderr)
        return 1
    if as_ndjson:
        output.writelines(f"{msgspec.json.encode(line).decode()}\n" for line in chosen)
    else:
        _print_tables(chosen, output)
    return 0


def _print_tables(lines: Iterable[LedgerLine], output: TextIO) -> None:
    console = Console(file=output, width=None if output.isatty() else WIDTH_OF_FILES)
    runs: dict[Run, dict[str, LedgerLine]] = {}
    for line in lines:
        run = (line.dag_id, line.run_id, line.task_id, line.map_index, line.operation, f"{line.value}")
        runs.setdefault(run, {})[line.entry_id] = line  # the last one counts
    for (dag_id, run_id, task_id, map_index, operation, value), last in runs.items():
        mapped = f"[{map_index}]" if map_index >= 0 else ""
        console.print(Text(f"{operation} {value}: dag {dag_id}, run {run_id}, task {task_id}{mapped}", "bold"))
        console.print(Text(_summary([*last.values()])))
        console.print(_table(last.values()))


def _summary(lines: list[LedgerLine]) -> str:
    counts = Counter(_shown(line.outcome) for line in lines)
    counted = ", ".join(f"{times} {outcome}" for outcome, times in counts.items())
    first, last = min(line.at for line in lines), max(line.at for line in lines)
    return f"{counted}; {first}" + (f" to {last}" if last != first else "")


def _table(lines: Iterable[LedgerLine]) -> Table:
    table = Table()
    table.add_column("Time entry", no_wrap=True)
    table.add_column("Version after", no_wrap=True)
    table.add_column("Outcome", overflow="fold")
    for line in lines:
        after = "" if line.version_after is None else f"{line.version_after}"
        table.add_row(line.entry_id, after, _shown(line.outcome))
    return table


def _shown(outcome: Outcome) -> str:
    return SENT_ONLY if outcome is Outcome.SENT else outcome.value
