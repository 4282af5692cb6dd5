"""Airflow's REST API, as far as the tests use it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import requests

T = TypeVar("T")

# A limit against hanging, not an expectation: on a busy machine a task takes many seconds to start, and a run of many
# mapped tasks takes minutes.
PATIENCE = 300.0
FINISHED = {"success", "failed", "skipped", "upstream_failed", "removed"}


class RestApi:
    """
    Airflow's REST API with its token.

    :param url: of the API server.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()

    def log_in(self) -> None:
        """Take a token, as anybody may where ``simple_auth_manager_all_admins`` is set."""
        self._session.headers["Authorization"] = f"Bearer {self.get('/auth/token')['access_token']}"

    def request(self, method: str, path: str, **arguments: Any) -> Any:
        """Give the JSON of an answer; one that is not 2xx raises with its body."""
        answer = self._session.request(method, self.url + path, timeout=PATIENCE, **arguments)
        if not answer.ok:
            raise requests.HTTPError(f"{method} {path}: {answer.status_code} {answer.text[:2000]}", response=answer)
        return answer.json() if answer.content else None

    def get(self, path: str, **params: Any) -> Any:
        return self.request("GET", path, params=params)

    def post(self, path: str, **body: Any) -> Any:
        return self.request("POST", path, json=body)

    def patch(self, path: str, **body: Any) -> Any:
        return self.request("PATCH", path, json=body)

    def start_run(self, dag_id: str, *, logical_date: datetime | None = None, **body: Any) -> str:
        """Start a run of a DAG by hand; gives its id."""
        date = None if logical_date is None else logical_date.isoformat()
        return self.post(f"/api/v2/dags/{dag_id}/dagRuns", logical_date=date, **body)["dag_run_id"]

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """All runs of a DAG, oldest first."""
        return self.get(f"/api/v2/dags/{dag_id}/dagRuns", order_by="id", limit=100)["dag_runs"]

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        return self.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run, mapped ones too."""
        return self.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=100)["task_instances"]

    def task_instance(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1) -> dict[str, Any]:
        (instance,) = (
            instance
            for instance in self.task_instances(dag_id, run_id)
            if instance["task_id"] == task_id and instance["map_index"] in (map_index, -1)
        )
        return instance

    def xcom(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1) -> Any:
        """What a task returned."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self.get(path, map_index=map_index, stringify=False)["value"]

    def task_log(self, dag_id: str, run_id: str, task_id: str, *, try_number: int = 1, map_index: int = -1) -> str:
        """The log of a try, one event a line."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        events = self.get(path, map_index=map_index)["content"]
        return "\n".join(event if isinstance(event, str) else json.dumps(event) for event in events)

    def succeeded(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Wait for the end of a run and give it; if it did not succeed, raise with the logs of what failed."""
        run = wait_for(
            f"the end of {dag_id} {run_id}",
            lambda: self.run(dag_id, run_id),
            lambda run: run["state"] in FINISHED,
        )
        if run["state"] != "success":
            raise AssertionError(f"{dag_id} {run_id} ended as {run['state']}\n{self._logs_of_failures(dag_id, run_id)}")
        return run

    def _logs_of_failures(self, dag_id: str, run_id: str) -> str:
        return "\n".join(
            f"--- {instance['task_id']} [{instance['map_index']}]\n"
            + self.task_log(
                dag_id,
                run_id,
                instance["task_id"],
                try_number=instance["try_number"],
                map_index=instance["map_index"],
            )
            for instance in self.task_instances(dag_id, run_id)
            if instance["state"] == "failed"
        )


def wait_for(what: str, look: Callable[[], T], is_there: Callable[[T], Any] = bool, *, patience: float = PATIENCE) -> T:
    """
    Look twice a second until what is seen is what is waited for, and give it.

    :raises TimeoutError: it did not come; the message says what was seen last.
    """
    deadline = time.monotonic() + patience
    while not is_there(seen := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {patience:.0f} s; seen last: {seen!r}")
        time.sleep(0.5)
    return seen
