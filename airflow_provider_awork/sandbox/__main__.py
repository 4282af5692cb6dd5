"""``python -m airflow_provider_awork.sandbox``: serve a local awork until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Event
from urllib.parse import urlencode

from airflow_provider_awork.sandbox.faults import (
    Answer,
    CutBody,
    Delay,
    Fault,
    Html,
    Rule,
    ShortBody,
    TruncatedJson,
    every,
)
from airflow_provider_awork.sandbox.front import RequestRecord
from airflow_provider_awork.sandbox.sandbox import DEFAULT_TOKEN, Sandbox

FAULTS: dict[str, Fault] = {
    "429": Answer(429, headers={"ratelimit-reset": "2"}),
    "500": Answer(500),
    "503": Answer(503, headers={"retry-after": "2"}),
    "cut": CutBody(after_bytes=1000),
    "short": ShortBody(),
    "truncated": TruncatedJson(),
    "html": Html(),
    "slow": Delay(5),
}


def main() -> int:
    """Serve, and print how to connect."""
    options = vars(_parser().parse_args())
    rules, log_requests = options.pop("faults"), options.pop("log_requests")
    try:
        sandbox = Sandbox(**options, weekends=True, on_answer=_log_request if log_requests else None)
    except (OSError, ValueError) as error:
        print(f"The sandbox cannot start: {error}", file=sys.stderr)
        return 1
    for rule in rules:
        sandbox.faults.add(rule)
    with sandbox:
        token = DEFAULT_TOKEN if options["token"] == DEFAULT_TOKEN else "<value of --token>"
        print(f"awork sandbox at {sandbox.url} (Ctrl-C ends it)")
        print(f"{options['entries']:,} time entries, work of {sandbox.start} to {sandbox.end} (end excluded)")
        print("Airflow connection:")
        connection = {"conn_type": "awork", "host": sandbox.url, "password": token}
        print(f"export AIRFLOW_CONN_AWORK_DEFAULT='{json.dumps(connection)}'", flush=True)
        try:
            Event().wait()
        except KeyboardInterrupt:
            return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_awork.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8765, help="0 picks a free one (default: %(default)s)")
    parser.add_argument("--entries", type=int, default=10_000, help="number of time entries (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="the same seed and dates give the same data (default: 7)")
    parser.add_argument("--token", default=DEFAULT_TOKEN, help="API key that clients send (default: %(default)s)")
    parser.add_argument("--start", type=date.fromisoformat, help="first day of work (default: 90 days before the end)")
    parser.add_argument(
        "--end",
        type=date.fromisoformat,
        default=datetime.now(UTC).date(),
        help="first day without work (default: today, so that the last day of work is yesterday)",
    )
    parser.add_argument("--file", type=Path, help="new SQLite file for the data (default: in memory)")
    parser.add_argument(
        "--clock-offset", type=float, default=0.0, help="seconds that its clock is ahead of this machine's (default: 0)"
    )
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that each answer waits (default: 0)")
    parser.add_argument("--rate-limit-per-minute", type=int, help="requests per minute (default: no limit)")
    parser.add_argument("--rate-limit-per-second", type=int, help="requests per second (default: no limit)")
    parser.add_argument(
        "--read-only-role",
        action="store_true",
        dest="missing_permissions",
        help="the key's role has no write permission: it lists its own entries only, and cannot change others",
    )
    parser.add_argument("--log-requests", action="store_true", help="print a line for each request")
    parser.add_argument(
        "--faults",
        type=_rule,
        nargs="+",
        default=[],
        metavar="KIND/N",
        help=f"answer every N-th request for a list with a fault, such as 503/10; kinds: {', '.join(FAULTS)}",
    )
    return parser


def _rule(text: str) -> Rule:
    kind, _, number = text.partition("/")
    if kind not in FAULTS or not number.isdecimal() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not KIND/N such as 503/10; kinds: {', '.join(FAULTS)}")
    return every(int(number), FAULTS[kind])


def _log_request(record: RequestRecord) -> None:
    query = f"?{urlencode(record.query)}" if record.query else ""
    milliseconds = ((record.ended or record.started) - record.started) * 1000
    print(f"{record.status or 'no answer'} {record.method} {record.path}{query} {milliseconds:.0f} ms", flush=True)


if __name__ == "__main__":
    sys.exit(main())
