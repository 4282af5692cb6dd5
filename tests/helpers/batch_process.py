"""One run of the batch operator in a process of its own, for tests that kill it; see ``export_process``."""

from __future__ import annotations

import json
import logging
import signal
import sys
from types import SimpleNamespace
from typing import Any, cast

from airflow.sdk import Context

from airflow_provider_awork.operators.time_entries import AworkBatchTimeEntriesOperator
from tests.helpers.export_process import READY, ExportProcess


class BatchProcess(ExportProcess):
    module = "tests.helpers.batch_process"


def main(run_id: str, try_number: int, parameters: dict[str, Any]) -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)
    operator = AworkBatchTimeEntriesOperator(task_id="mark", **parameters)
    signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
    print(READY, flush=True)
    sys.stdin.readline()
    operator.execute(cast(Context, {"ti": SimpleNamespace(run_id=run_id, try_number=try_number)}))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
