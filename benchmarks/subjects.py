"""
What is measured: the export, and three ways without this package. Each runs in a fresh process.

``python -m benchmarks.subjects '{"subject": ..., "base_url": ..., ...}'`` prints its measurement as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

Measured = dict[str, Any]

PAGE_SIZE = 1000
CONNECTIONS = 8


def measure(job: Callable[[], Measured]) -> Measured:
    """Wall and CPU seconds of a job, and the process's memory before it and at most (MiB)."""
    resident = _memory("VmRSS")
    cpu, started = time.process_time(), time.perf_counter()
    result = job()
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "resident_before": resident,
        "resident_peak": _memory("VmHWM"),
        **result,
    }


def _memory(name: str) -> float:
    """From /proc: ``getrusage`` would show the parent's peak if that is higher."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"/proc/self/status has no {name}")


def export(
    base_url: str,
    folder: Path,
    *,
    in_flight: int = CONNECTIONS,
    requests_per_minute: int | None = None,
    minute: float = 60.0,
    **parameters: Any,
) -> Measured:
    """
    The operator's ``execute``.

    :param requests_per_minute: what the connection may use. Without it the pacing is off: awork's 50 requests a second
        are 20 microseconds per entry, and would hide what an entry costs.
    :param minute: how long the server's minute lasts.
    """
    from airflow.sdk import ObjectStoragePath

    os.environ["AIRFLOW_CONN_AWORK_DEFAULT"] = json.dumps({"conn_type": "awork", "host": base_url, "password": "bench"})
    with_airflow = _memory("VmRSS")
    _ = ObjectStoragePath(f"file://{folder}").fs  # Airflow loads the clouds of all installed providers here
    with_clouds = _memory("VmRSS")
    instance = SimpleNamespace(
        dag_id="bench", run_id="run", task_id="export", map_index=-1, try_number=1, xcom_push=lambda **_: None
    )

    def job() -> Measured:
        from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator

        operator = AworkTimeEntriesToObjectStorageOperator(
            task_id="export", destination=f"file://{folder}", max_concurrent_requests=in_flight, **parameters
        )
        _replace_pacing(operator.hook, requests_per_minute, minute)
        summary = operator.execute({"ti": instance})  # type: ignore[typeddict-item]
        return {key: summary[key] for key in ("rows", "requests", "bytes")}

    clouds = with_clouds - with_airflow
    return {**measure(job), "with_airflow": with_airflow, "clouds": clouds, "refused": _refused(base_url)}


def _refused(base_url: str) -> int:
    """How many requests the server has answered with 429."""
    import requests

    return int(requests.get(f"{base_url}/counts", timeout=30).json().get("429", 0))


def _replace_pacing(hook: Any, requests_per_minute: int | None, minute: float) -> None:
    """The session's own pacing knows minutes of 60 s only, and cannot be switched off."""
    from airflow_provider_awork.client.client import AworkClient
    from airflow_provider_awork.client.http.rate_limit import RateLimiter
    from airflow_provider_awork.client.http.session import AworkSession

    if requests_per_minute:
        limiter = RateLimiter.for_share(requests_per_minute, minute=minute)
    else:
        limiter = RateLimiter(requests_per_minute=1_000_000, requests_per_second=1_000_000)
    hook.client = AworkClient(hook.config, session=AworkSession(hook.config, limiter=limiter))


def download(base_url: str, folder: Path, *, entries: int) -> Measured:
    """The bare pages over as many connections as the export has; nothing is looked at or written."""
    import requests

    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS))
    pages = range(1, -(-entries // PAGE_SIZE) + 1)

    def load(page: int) -> int:
        return len(session.get(f"{base_url}/timeentries", params={"page": page, "pageSize": PAGE_SIZE}).content)

    def job() -> Measured:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            return {"rows": entries, "requests": len(pages), "bytes": sum(pool.map(load, pages))}

    return measure(job)


def loop(base_url: str, folder: Path) -> Measured:
    """The loop that people write: page by page, ``json`` in and out."""
    import requests

    def job() -> Measured:
        session, page, rows = requests.Session(), 0, 0
        with (folder / "loop.ndjson").open("w", encoding="utf-8") as out:
            while True:
                page += 1
                params = {"page": page, "pageSize": PAGE_SIZE, "orderby": "createdOn"}
                entries = session.get(f"{base_url}/timeentries", params=params).json()
                for entry in entries:
                    out.write(json.dumps(entry, ensure_ascii=False) + "\n")
                rows += len(entries)
                if len(entries) < PAGE_SIZE:
                    return {"rows": rows, "requests": page, "bytes": out.tell()}

    return measure(job)


def http_operator(base_url: str, folder: Path) -> Measured:
    """Airflow's HttpOperator with a pagination function; its filter writes the answers to a file."""
    from airflow.providers.http.operators.http import HttpOperator
    from requests import Response

    host, _, path = base_url.partition("/api")
    os.environ["AIRFLOW_CONN_HTTP_DEFAULT"] = json.dumps({"conn_type": "http", "host": host})
    pages = [1]

    def next_page(response: Response) -> dict[str, Any] | None:
        if len(response.json()) < PAGE_SIZE:
            return None
        pages[0] += 1
        return {"data": {"page": pages[0]}}

    def write(responses: list[Response]) -> int:
        rows = 0
        with (folder / "http_operator.ndjson").open("w", encoding="utf-8") as out:
            for response in responses:
                for entry in response.json():
                    out.write(json.dumps(entry, ensure_ascii=False) + "\n")
                    rows += 1
        return rows

    http = HttpOperator(
        task_id="http",
        method="GET",
        endpoint=f"/api{path}/timeentries",
        data={"page": 1, "pageSize": PAGE_SIZE, "orderby": "createdOn"},
        pagination_function=next_page,
        response_filter=write,
    )

    def job() -> Measured:
        rows = http.execute({})  # type: ignore[typeddict-item]
        return {"rows": rows, "requests": pages[0], "bytes": (folder / "http_operator.ndjson").stat().st_size}

    return measure(job)


def imports(base_url: str, folder: Path) -> Measured:
    """What importing the modules of a DAG file adds to ``import airflow.sdk``."""
    import airflow.sdk  # noqa: F401

    def job() -> Measured:
        import airflow_provider_awork.hooks.awork
        import airflow_provider_awork.operators.time_entries
        import airflow_provider_awork.transfers.awork_to_object_storage  # noqa: F401

        return {}

    return measure(job)


SUBJECTS: dict[str, Callable[..., Measured]] = {
    "export": export,
    "download": download,
    "loop": loop,
    "http_operator": http_operator,
    "imports": imports,
}


def main() -> None:
    request = json.loads(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="awork-bench-") as folder:
        os.environ.update(AIRFLOW_HOME=folder, AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING")
        logging.disable(logging.INFO)
        target = Path(folder) / "out"
        target.mkdir()
        result = SUBJECTS[request.pop("subject")](request.pop("base_url"), target, **request)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
