"""
``python -m benchmarks`` measures the quick set, ``python -m benchmarks --full`` everything.

Writes ``benchmarks/results/latest.json`` (or ``--output``) and a bar chart, and prints tables.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.entries import window_bounds
from benchmarks.report import console, draw_chart, print_checks, print_runs
from benchmarks.server import DATA, ServerOptions, running_server

ROOT = Path(__file__).resolve().parent.parent
SMALL, LARGE = 20_000, 200_000
MEMORY_SMALL, MEMORY_LARGE = 50_000, 1_000_000

FORMATS: dict[str, dict[str, Any]] = {
    "NDJSON": {"file_format": "ndjson", "compression": "none"},
    "NDJSON gzip": {"file_format": "ndjson", "compression": "gzip"},
    "NDJSON zstd": {"file_format": "ndjson", "compression": "zstd"},
    "CSV gzip": {"file_format": "csv", "compression": "gzip"},
    "Parquet": {"file_format": "parquet"},
}
REFERENCES = {"raw download": "download", "requests + json loop": "loop", "HttpOperator": "http_operator"}

# What an entry may cost, as a ratio to the raw download in the same run: the machine drops out of it.
MOST_OF_RAW_DOWNLOAD = {"NDJSON": 1.5, "NDJSON gzip": 1.5, "NDJSON zstd": 1.3, "Parquet": 3.0, "CSV gzip": 4.0}

Result = dict[str, Any]


class Check(NamedTuple):
    """
    A promise.

    :param name: short enough for a table of 80 columns.
    :param relation: ``<=`` or ``>=``, of ``measured`` to ``bar``.
    """

    name: str
    measured: float
    relation: str
    bar: float


def run(subject: str, base_url: str, **parameters: Any) -> Result:
    """One measurement in a fresh process."""
    request = json.dumps({"subject": subject, "base_url": base_url, **parameters})
    done = subprocess.run([sys.executable, "-m", "benchmarks.subjects", request], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{request} failed:\n{done.stderr}")
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def run_named(name: str, base_url: str, entries: int) -> Result:
    """An export or a reference by the name that the table shows."""
    if name in FORMATS:
        result = run("export", base_url, **FORMATS[name])
    else:
        result = run(REFERENCES[name], base_url, **({"entries": entries} if name == "raw download" else {}))
    if result["rows"] != entries:
        raise SystemExit(f"{name}: {result['rows']} rows instead of {entries}")
    return result


def measure_speed(names: list[str], latency: float, repeats: int) -> list[Result]:
    """
    Every subject at both sizes, in turn, ``repeats`` times; the fastest counts, since noise only ever adds.

    What an entry costs after start-up is the difference of both sizes, divided by the difference in entries.
    """
    best: dict[tuple[str, int], Result] = {}
    for entries in (SMALL, LARGE):
        with running_server(ServerOptions(entries=entries, latency=latency)) as url:
            for _ in range(repeats):
                for name in names:
                    with console.status(f"{name}, {entries:,} entries, {latency * 1000:.0f} ms"):
                        result = run_named(name, url, entries)
                    if result["seconds"] < best.get((name, entries), result)["seconds"] or (name, entries) not in best:
                        best[name, entries] = result
    return [_speed_row(name, latency, best[name, SMALL], best[name, LARGE]) for name in names]


def _speed_row(name: str, latency: float, small: Result, large: Result) -> Result:
    def per_entry(key: str) -> float:
        return float(large[key] - small[key]) / (LARGE - SMALL) * 1e6

    return {
        "name": name,
        "latency": latency,
        "small": small,
        "large": large,
        "us_per_entry": per_entry("seconds"),
        "cpu_us_per_entry": per_entry("cpu_seconds"),
        "entries_per_second": large["rows"] / large["seconds"],
    }


def measure_rate_limit() -> Result:
    """awork's 1000 requests a minute and 50 a second, a sixth of the minute; pages of 100, so that many are needed."""
    minute, limit, entries = 10.0, 167, 60_000
    options = ServerOptions(entries=entries, page_cap=100, per_minute=limit, per_second=50, minute=minute)
    with running_server(options) as url, console.status("rate-limited server"):
        result = run("export", url, minute=minute, requests_per_minute=limit, **FORMATS["NDJSON"])
    # The run ends in the middle of a window, of which only what the run needed is allowed to it.
    windows = result["requests"] // limit
    fastest = windows * minute + (result["requests"] - windows * limit) / 50
    return {"share_used": fastest / result["seconds"], "refused": result["refused"], **result}


def measure_mapped() -> Result:
    """
    Twelve tasks for twelve windows, four at once as in a pool of four slots, each with a quarter of the default budget.

    A minute of the server lasts ten seconds, so all budgets are a sixth.
    """
    minute, slots, windows, entries = 10.0, 4, 12, 60_000
    options = ServerOptions(entries=entries, page_cap=100, per_minute=167, per_second=50, minute=minute)
    bounds = window_bounds(DATA, entries, windows)
    with running_server(options) as url, console.status("twelve mapped tasks"), ThreadPoolExecutor(slots) as pool:

        def run_window(start: str, end: str) -> Result:
            window = {"window_field": "createdOn", "window_start": start, "window_end": end}
            share = 900 // 6 // slots
            return run("export", url, minute=minute, requests_per_minute=share, **window, **FORMATS["NDJSON"])

        started = time.perf_counter()
        results = list(pool.map(run_window, bounds[:-1], bounds[1:]))
        seconds = time.perf_counter() - started
        refused = max(result["refused"] for result in results)
    rows = sum(result["rows"] for result in results)
    if rows != entries:
        raise SystemExit(f"Twelve windows together have {rows} rows instead of {entries}")
    return {"tasks": windows, "at_once": slots, "rows": rows, "seconds": seconds, "refused": refused}


def measure_memory(large: int) -> dict[str, dict[str, Result]]:
    """Peaks and costs at two sizes that differ much."""
    found: dict[str, dict[str, Result]] = {}
    for entries in (MEMORY_SMALL, large):
        with running_server(ServerOptions(entries=entries)) as url:
            for name in FORMATS if entries == MEMORY_SMALL else ("NDJSON", "CSV gzip", "Parquet"):
                with console.status(f"memory: {name}, {entries:,} entries"):
                    found.setdefault(name, {})[str(entries)] = run_named(name, url, entries)
    return found


def measure_imports() -> Result:
    """The least of several, each in a fresh process."""
    return min((run("imports", "") for _ in range(5)), key=lambda result: float(result["seconds"]))


def checks(results: Result) -> list[Check]:
    """Compare all promises with what was measured."""
    return [*_speed_checks(results), *_limit_checks(results), *_memory_checks(results), *_import_checks(results)]


def _speed_checks(results: Result) -> Iterator[Check]:
    speed = {(row["name"], row["latency"]): row for row in results["speed"]}
    costs = {name: speed[name, 0.0]["us_per_entry"] for name in (*FORMATS, *REFERENCES)}
    for name, bar in MOST_OF_RAW_DOWNLOAD.items():
        yield Check(f"{name} / raw download", costs[name] / costs["raw download"], "<=", bar)
    loop = costs["requests + json loop"]
    yield Check("requests + json loop / NDJSON", loop / costs["NDJSON"], ">=", 4.0)
    yield Check("requests + json loop / NDJSON gzip", loop / costs["NDJSON gzip"], ">=", 2.5)
    slow, raw = speed["NDJSON", 0.2]["large"]["seconds"], speed["raw download", 0.2]["large"]["seconds"]
    yield Check("NDJSON / raw download at 200 ms", slow / raw, "<=", 1.3)
    requests = speed["NDJSON", 0.0]["large"]["requests"] - 3  # /me, and /me/permissions before and after
    yield Check(f"requests for {LARGE:,} entries", requests, "<=", ceil(LARGE / 1000) * 1.02 + 3)


def _limit_checks(results: Result) -> Iterator[Check]:
    yield Check("rate limit: share used", results["rate_limit"]["share_used"], ">=", 0.95)
    yield Check("rate limit: refused", results["rate_limit"]["refused"], "<=", 0.0)
    yield Check("twelve mapped tasks: refused", results["mapped"]["refused"], "<=", 0.0)


def _memory_checks(results: Result) -> Iterator[Check]:
    for name, runs in results["memory"].items():
        most, most_added = (400.0, 200.0) if name == "Parquet" else (220.0, 80.0)
        small = runs[str(MEMORY_SMALL)]
        peak = small["resident_peak"] - small["clouds"]
        yield Check(f"{name}: peak MB without clouds", peak, "<=", most)
        yield Check(f"{name}: MB over airflow.sdk", peak - small["with_airflow"], "<=", most_added)
        for size, large in runs.items():
            if large is not small:
                sizes = f"{int(size):,} / {MEMORY_SMALL:,}"
                yield Check(f"{name}: peak, {sizes}", large["resident_peak"] / small["resident_peak"], "<=", 1.05)
                cost = (large["seconds"] / large["rows"]) / (small["seconds"] / small["rows"])
                yield Check(f"{name}: entry, {sizes}", cost, "<=", 1.1)


def _import_checks(results: Result) -> Iterator[Check]:
    imports = results["imports"]
    yield Check("import of hook and operators, ms", imports["seconds"] * 1000, "<=", 60.0)
    yield Check("import of hook and operators, MB", imports["resident_peak"] - imports["resident_before"], "<=", 6.0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="all latencies, and a million entries")
    parser.add_argument("--repeats", type=int, default=3, help="how often each is measured without latency")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "latest.json")
    parser.add_argument("--chart", type=Path, default=ROOT / "docs" / "benchmark.svg")
    options = parser.parse_args()
    names = [*FORMATS, *REFERENCES]
    results: Result = {"cores": os.cpu_count(), "python": sys.version.split()[0], "full": options.full}
    with tempfile.TemporaryDirectory(prefix="awork-bench-") as home:
        os.environ["AIRFLOW_HOME"] = home
        results["speed"] = measure_speed(names, 0.0, options.repeats)
        if options.full:
            results["speed"] += measure_speed(names, 0.05, 1)
        results["speed"] += measure_speed(names if options.full else ["NDJSON", "raw download"], 0.2, 1)
        results["rate_limit"] = measure_rate_limit()
        results["mapped"] = measure_mapped()
        results["memory"] = measure_memory(MEMORY_LARGE if options.full else LARGE)
        results["imports"] = measure_imports()
    results["load_average"] = os.getloadavg()
    results["checks"] = [check._asdict() for check in checks(results)]
    print_runs(results)
    print_checks(results)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=1) + "\n")
    draw_chart(results, options.chart)
    console.print(f"Written: {options.output}, {options.chart}")


if __name__ == "__main__":
    main()
