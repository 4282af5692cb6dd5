"""
One run of the example ``awork_billing`` in a process of its own, for tests that kill it; a human approves.

``python -m tests.helpers.billing_process <logical date> <start> <end>``, with the Airflow home of the caller.
"""

from __future__ import annotations

import sys

import pendulum

from tests.helpers.airflow_harness import run_dag
from tests.helpers.examples import load
from tests.helpers.human import human


def main(*texts: str) -> None:
    logical_date, *interval = (pendulum.parser.parse(text) for text in texts)
    with human("awork_billing"):
        run_dag(load("awork_billing"), logical_date=logical_date, data_interval=tuple(interval))  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
