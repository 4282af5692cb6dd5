"""
One export in a process of its own, for tests that kill it or start two at once.

It says that it is ready, waits for :meth:`ExportProcess.go`, and exports. SIGTERM does what Airflow's task runner does:
``on_kill()``.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from airflow.sdk import Context

from airflow_provider_awork.files import marker
from airflow_provider_awork.transfers.awork_to_object_storage import AworkTimeEntriesToObjectStorageOperator
from airflow_provider_awork.transfers.output import parse_destination

READY = "ready to export"

# Each process is a fork of one that has everything loaded: Airflow takes seconds.
_context = get_context("forkserver")
_context.set_forkserver_preload(["tests.helpers.preloaded"])


class ExportProcess:
    """An export that waits until :meth:`go`; what it logs goes to a file."""

    def __init__(self, log: Path, *, run_id: str, try_number: int = 1, **parameters: Any) -> None:
        self._log = log
        log.touch()
        starter, self._starter = _context.Pipe(duplex=False)
        self._process = _context.Process(
            target=self._run, args=(log, dict(os.environ), starter, run_id, try_number, parameters), daemon=True
        )
        self._process.start()
        starter.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def wait_until_ready(self) -> None:
        self.wait_for_log(READY)

    def go(self) -> None:
        self.wait_until_ready()
        self._starter.send("go")

    def wait(self) -> int:
        """Wait for its end; give its exit code, which is negative after a signal."""
        self._process.join(timeout=120)
        assert self._process.exitcode is not None, self.log()
        return self._process.exitcode

    def wait_for_log(self, text: str) -> None:
        """Wait until it has logged a text; fails if it ends without."""
        while text not in self.log():
            assert self._process.is_alive(), self.log()
            time.sleep(0.05)

    def log(self) -> str:
        return self._log.read_text()

    @classmethod
    def _run(
        cls,
        log: Path,
        environment: dict[str, str],
        starter: Connection,
        run_id: str,
        try_number: int,
        parameters: dict[str, Any],
    ) -> None:
        with log.open("wb") as output:
            os.dup2(output.fileno(), sys.stdout.fileno())
            os.dup2(output.fileno(), sys.stderr.fileno())
        os.environ.clear()
        os.environ.update(environment)
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)
        cls.work(starter, run_id, try_number, parameters)

    @staticmethod
    def work(starter: Connection, run_id: str, try_number: int, parameters: dict[str, Any]) -> None:
        """Do in the process what it is for."""
        marker._LONGEST_POLL = 0.1
        operator = AworkTimeEntriesToObjectStorageOperator(task_id="export", **parameters)
        assert parse_destination(operator.destination).fs
        signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
        wait_for_start(starter)
        instance = SimpleNamespace(
            dag_id="export", run_id=run_id, task_id="export", map_index=-1, try_number=try_number
        )
        operator.execute(cast(Context, {"ti": instance}))


def wait_for_start(starter: Connection) -> None:
    print(READY, flush=True)
    starter.recv()
