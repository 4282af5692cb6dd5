"""
One export in a process of its own, for tests that kill it or start two at once.

``python -m tests.helpers.export_process '{"run_id": ..., "try_number": ..., "parameters": {...}}'`` says that it is
ready, waits for a line on standard input, and exports. SIGTERM does what Airflow's task runner does: ``on_kill()``.
"""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from airflow.sdk import Context

from airflow_provider_awork.files import marker
from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator

READY = "ready to export"
ROOT = Path(__file__).parents[2]


class ExportProcess:
    """An export that waits until :meth:`go`; what it logs goes to a file."""

    module = "tests.helpers.export_process"

    def __init__(self, log: Path, *, run_id: str, try_number: int = 1, **parameters: Any) -> None:
        self._log = log
        what = {"run_id": run_id, "try_number": try_number, "parameters": parameters}
        command = [sys.executable, "-m", self.module, json.dumps(what)]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, text=True
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until_ready(self) -> None:
        self.wait_for_log(READY)

    def go(self) -> None:
        self.wait_until_ready()
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def wait(self) -> int:
        """Wait for its end; give its exit code, which is negative after a signal."""
        self._process.communicate(timeout=120)
        return self._process.returncode

    def wait_for_log(self, text: str) -> None:
        """Wait until it has logged a text; fails if it ends without."""
        while text not in self.log():
            assert self._process.poll() is None, self.log()
            time.sleep(0.05)

    def log(self) -> str:
        return self._log.read_text()


def main(run_id: str, try_number: int, parameters: dict[str, Any]) -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)
    marker._LONGEST_POLL = 0.1
    operator = AworkTimeEntriesToObjectStorageOperator(task_id="export", **parameters)
    assert operator.destination_path().fs
    signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
    instance = SimpleNamespace(dag_id="export", run_id=run_id, task_id="export", map_index=-1, try_number=try_number)
    print(READY, flush=True)
    sys.stdin.readline()
    operator.execute(cast(Context, {"ti": instance}))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
