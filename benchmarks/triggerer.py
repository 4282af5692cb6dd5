"""
How long waiting sensors hold up the event loop of a triggerer: ``python -m benchmarks.triggerer``.

Airflow warns when its triggerer's loop stands still for 0.2 s (``[triggerer] blocked_main_thread_warning_threshold``).
The triggers run as in a triggerer, in one process and one loop, against the benchmark's server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

from rich.table import Table

from benchmarks.report import console
from benchmarks.server import ServerOptions, running_server

TICK = 0.01


async def measure(triggers: int, interval: float, seconds: float) -> dict[str, float]:
    """Run so many triggers that never end, and see how late a tick comes."""
    from airflow_provider_awork.triggers.time_entries import AworkTimeEntriesTrigger

    def trigger() -> AworkTimeEntriesTrigger:
        return AworkTimeEntriesTrigger(min_count=10**9, poke_interval=interval)

    waiting = [asyncio.create_task(_exhaust(trigger().run())) for _ in range(triggers)]
    late: list[float] = []
    cpu, started = time.process_time(), time.monotonic()
    while (now := time.monotonic()) - started < seconds:
        await asyncio.sleep(TICK)
        late.append(time.monotonic() - now - TICK)
    result = {
        "triggers": triggers,
        "seconds": seconds,
        "longest delay of the loop, s": max(late),
        "99th percentile, s": sorted(late)[len(late) * 99 // 100],
        "share of a core": (time.process_time() - cpu) / seconds,
        "threads": threading.active_count(),
    }
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    return result


async def _exhaust(events: AsyncIterator[Any]) -> None:
    async for event in events:
        raise SystemExit(f"A trigger ended: {event}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.triggerer", description=__doc__)
    parser.add_argument("--triggers", type=int, default=200)
    parser.add_argument("--interval", type=float, default=10.0, help="seconds between two requests of a trigger")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to measure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, running_server(ServerOptions(entries=1000, latency=0.1)) as url:
        os.environ.update(AIRFLOW_HOME=home, AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING")
        os.environ["AIRFLOW_CONN_AWORK_DEFAULT"] = json.dumps({"conn_type": "awork", "host": url, "password": "bench"})
        result = asyncio.run(measure(options.triggers, options.interval, options.seconds))
    table = Table("", "measured", title=f"Triggers at an interval of {options.interval:.0f} s")
    for name, value in result.items():
        table.add_row(name, f"{value:,.3f}" if isinstance(value, float) else str(value))
    console.print(table)


if __name__ == "__main__":
    main()
