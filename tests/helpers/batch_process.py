"""One run of the batch operator in a process of its own, for tests that kill it; see ``export_process``."""

from __future__ import annotations

import signal
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any, cast

from airflow.sdk import Context

from airflow_provider_awork.operators.time_entries import AworkBatchTimeEntriesOperator
from tests.helpers.export_process import ExportProcess, wait_for_start


class BatchProcess(ExportProcess):
    @staticmethod
    def work(starter: Connection, run_id: str, try_number: int, parameters: dict[str, Any]) -> None:
        operator = AworkBatchTimeEntriesOperator(task_id="mark", **parameters)
        signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
        wait_for_start(starter)
        instance = SimpleNamespace(
            dag_id="billing",
            run_id=run_id,
            task_id="mark",
            map_index=-1,
            try_number=try_number,
            xcom_push=lambda key, value: print(f"XCom {key}: {value}", flush=True),
        )
        operator.execute(cast(Context, {"ti": instance}))
