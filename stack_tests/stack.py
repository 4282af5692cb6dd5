"""A whole Airflow with all its processes, in a folder and on ports of its own."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import requests

from stack_tests.keeper import session_members
from stack_tests.rest_api import RestApi, wait_for

REPOSITORY = Path(__file__).resolve().parent.parent
DAGS = Path(__file__).resolve().parent / "dags"
COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


class AirflowStack:
    """
    ``airflow standalone``: scheduler with LocalExecutor, triggerer, DAG processor, API server, on SQLite.

    Everything that it starts ends with the ``with`` block, and also if this process dies in any way.

    :param home: an empty folder.
    :param dags: folder of the DAG files.
    :param environment: further environment variables of all its processes.
    """

    def __init__(self, home: Path, *, dags: Path = DAGS, environment: dict[str, str] | None = None) -> None:
        self.log = home / "standalone.log"
        self._home = home
        api, worker_logs, trigger_logs = free_ports(3)
        self.api = RestApi(f"http://127.0.0.1:{api}")
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
            **_settings(home, dags, api_port=api, log_ports=(worker_logs, trigger_logs)),
            **(environment or {}),
        }

    def __enter__(self) -> Self:
        with contextlib.closing(sqlite3.connect(self._home / "airflow.db")) as database:
            database.execute("PRAGMA journal_mode=WAL")  # kept in the file: readers do not wait for writers
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "stack_tests.keeper", str(self.log)],
            cwd=REPOSITORY,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self._end)
            self._standalone = psutil.Process(self._start("standalone"))
            with self.explained():
                wait_for(
                    "a healthy Airflow", self._health, lambda health: set(health.values()) == {"healthy"}, patience=240
                )
                self.api.log_in()
            on_failure.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _start(self, *command: str) -> int:
        assert self._keeper.stdin
        assert self._keeper.stdout
        self._keeper.stdin.write(json.dumps([sys.executable, "-m", "airflow", *command]) + "\n")
        self._keeper.stdin.flush()
        return int(self._keeper.stdout.readline())

    def _end(self) -> None:
        assert self._keeper.stdin
        self._keeper.stdin.close()
        self._keeper.wait()

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Add the end of the log of all components to an error."""
        try:
            yield
        except Exception as error:
            error.add_note(f"{self.log} ends with:\n{self.log_tail()}")
            raise

    def log_tail(self, lines: int = 60) -> str:
        """The end of what all components printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def _health(self) -> dict[str, str | None]:
        if not self._standalone.is_running() or self._standalone.status() == psutil.STATUS_ZOMBIE:
            raise RuntimeError("airflow standalone ended")
        try:
            health = self.api.get("/api/v2/monitor/health")
        except requests.ConnectionError:
            return dict.fromkeys(COMPONENTS)
        return {name: health[name]["status"] for name in COMPONENTS}

    def processes(self, component: str) -> list[psutil.Process]:
        """The main processes of a component, such as ``triggerer``."""
        found = []
        for process in session_members(self._keeper.pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                if component in process.cmdline():
                    found.append(process)
        return found

    def watcher_events(self) -> list[dict[str, Any]]:
        """
        What watchers told assets, oldest first.

        From the database: the REST API answers 500 while a run that an event asked for has not started.
        """
        with contextlib.closing(sqlite3.connect(self._home / "airflow.db", timeout=60)) as database:
            extras = [json.loads(extra) for (extra,) in database.execute("SELECT extra FROM asset_event ORDER BY id")]
        return [extra["payload"] for extra in extras if extra.get("from_trigger")]

    def kill_triggerer(self) -> None:
        """Kill the triggerer with all its processes, as a lost machine would."""
        triggerers = self.processes("triggerer")
        assert triggerers, "no triggerer runs"
        for triggerer in triggerers:
            for process in [triggerer, *triggerer.children(recursive=True)]:
                process.kill()
        wait_for("the triggerer's end", lambda: not self.processes("triggerer"))

    def start_triggerer(self) -> None:
        """Start another triggerer: standalone starts each component once, and leaves one that died alone."""
        self._start("triggerer")


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    with contextlib.ExitStack() as sockets:
        listeners = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]


def _settings(home: Path, dags: Path, *, api_port: int, log_ports: tuple[int, int]) -> dict[str, str]:
    settings = {
        "api": {"host": "127.0.0.1", "port": api_port, "base_url": f"http://127.0.0.1:{api_port}"},
        "api_auth": {"jwt_secret": secrets.token_hex(32)},
        "core": {
            "dags_are_paused_at_creation": False,
            "dags_folder": dags,
            "execution_api_server_url": f"http://127.0.0.1:{api_port}/execution/",
            "load_examples": False,
            "parallelism": 3,
            "simple_auth_manager_all_admins": True,
            "test_connection": "Enabled",
        },
        # Patience, as several processes write to one file and the machine may be busy.
        "database": {"sql_alchemy_conn": f"sqlite:///{home / 'airflow.db'}?timeout=60"},
        "dag_processor": {"parsing_processes": 1, "refresh_interval": 30},
        "logging": {"worker_log_server_port": log_ports[0], "trigger_log_server_port": log_ports[1]},
        "scheduler": {"scheduler_heartbeat_sec": 1},
        # A new triggerer takes over from one that was silent for this long.
        "triggerer": {"job_heartbeat_sec": 2, "triggerer_health_check_threshold": 10},
        "usage_data_collection": {"enabled": False},
        # Patience with a busy machine; how soon a task learns that it was marked failed.
        "workers": {"execution_api_timeout": 60, "min_heartbeat_interval": 1},
    }
    return {
        "AIRFLOW_HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # standalone runs `airflow`
        "PYTHONPATH": str(REPOSITORY),
        **{
            f"AIRFLOW__{section.upper()}__{name.upper()}": str(value)
            for section, options in settings.items()
            for name, value in options.items()
        },
    }
