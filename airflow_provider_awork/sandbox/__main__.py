"""``python -m airflow_provider_awork.sandbox``: serve a local awork until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path
from threading import Event

from airflow_provider_awork.sandbox.sandbox import DEFAULT_TOKEN, Sandbox


def main() -> int:
    """Serve, and say where."""
    options = _parser().parse_args()
    try:
        sandbox = Sandbox(**vars(options))
    except (OSError, ValueError) as error:
        print(f"The sandbox cannot start: {error}", file=sys.stderr)
        return 1
    with sandbox:
        token = DEFAULT_TOKEN if options.token == DEFAULT_TOKEN else "the value of --token"
        print(f"awork sandbox at {sandbox.url}")
        print(f"{options.entries:,} time entries, work of {sandbox.start} to {sandbox.end} (end excluded)")
        print(f"API key (bearer token): {token}. Ctrl-C ends it.", flush=True)
        try:
            Event().wait()
        except KeyboardInterrupt:
            return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_awork.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8765, help="0 picks a free one (default: %(default)s)")
    parser.add_argument("--entries", type=int, default=10_000, help="how many time entries (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same data (default: %(default)s)")
    parser.add_argument("--token", default=DEFAULT_TOKEN, help="the API key that clients need (default: %(default)s)")
    parser.add_argument("--start", type=date.fromisoformat, help="first day of work (default: 90 days before the end)")
    parser.add_argument("--end", type=date.fromisoformat, help="first day without work (default: depends on the seed)")
    parser.add_argument("--file", type=Path, help="a new SQLite file for the data (default: in memory)")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that each answer waits")
    parser.add_argument("--rate-limit-per-minute", type=int, help="requests a minute (default: no limit)")
    parser.add_argument("--rate-limit-per-second", type=int, help="requests a second (default: no limit)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
