"""A human who answers what human-in-the-loop tasks ask, through Airflow's REST API, while ``dag.test()`` waits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any
from unittest import mock

from tests.helpers.airflow_harness import prepare_airflow

POLL_SECONDS = 0.2


class Human:
    """
    Answers every question of a DAG.

    :param client: an HTTP client for the API.
    :param dag_id: the DAG.
    :param answer: the option to choose, such as ``Approve``.

    ``asked`` holds what was asked, as the API gives it.
    """

    def __init__(self, client: Any, dag_id: str, answer: str) -> None:
        self.asked: list[dict[str, Any]] = []
        self._client = client
        self._dag_id = dag_id
        self._answer = answer
        self._stop = Event()

    def leave(self) -> None:
        self._stop.set()

    def work(self) -> None:
        """Answer until it is time to leave."""
        while not self._stop.wait(POLL_SECONDS):
            for question in self._open_questions():
                self._give_answer(question)

    def _open_questions(self) -> list[dict[str, Any]]:
        answer = self._client.get(
            f"/api/v2/dags/{self._dag_id}/dagRuns/~/hitlDetails", params={"response_received": False}
        )
        answer.raise_for_status()
        # A question is there before its task waits. What is answered in between wakes nobody: the task waits for good.
        return [asked for asked in answer.json()["hitl_details"] if asked["task_instance"]["state"] != "running"]

    def _give_answer(self, question: dict[str, Any]) -> None:
        ti = question["task_instance"]
        path = f"/api/v2/dags/{ti['dag_id']}/dagRuns/{ti['dag_run_id']}/taskInstances/{ti['task_id']}/{ti['map_index']}"
        body = {"chosen_options": [self._answer], "params_input": {}}
        self._client.patch(f"{path}/hitlDetails", json=body).raise_for_status()
        self.asked.append(question)


@contextmanager
def human(dag_id: str, *, answer: str = "Approve") -> Iterator[Human]:
    """Let a human answer the questions of a DAG as long as the block lasts."""
    everybody_may = {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True"}
    with (
        mock.patch.dict(os.environ, everybody_may),
        _triggers_that_hear_answers(),
        ThreadPoolExecutor(1, thread_name_prefix="human") as thread,
    ):
        prepare_airflow()  # with no one beside: its migration locks the whole database
        somebody = Human(_api_client(), dag_id, answer)
        working = thread.submit(somebody.work)
        try:
            yield somebody
        finally:
            somebody.leave()
            working.result()


def _api_client() -> Any:
    from airflow.api_fastapi.app import create_app
    from fastapi.testclient import TestClient

    client = TestClient(create_app(apps="core"))
    token = client.get("/auth/token").raise_for_status().json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


@contextmanager
def _triggers_that_hear_answers() -> Iterator[None]:
    """
    Before 3.3 the task waits in a trigger, which ``dag.test()`` runs without the triggerer's way to ask for the answer:
    give it that of the triggerer.
    """
    from airflow.jobs.triggerer_job_runner import HITLDetailResponseResult
    from airflow.sdk.execution_time.comms import GetHITLDetailResponse
    from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor

    handle = InProcessTestSupervisor._handle_request

    def handle_questions_too(self: Any, message: Any, log: Any, req_id: int) -> None:
        if not isinstance(message, GetHITLDetailResponse):
            return handle(self, message, log, req_id)
        answer = self.client.hitl.get_detail_response(ti_id=message.ti_id)
        return self.send_msg(HITLDetailResponseResult.from_api_response(answer), request_id=req_id)

    with mock.patch.object(InProcessTestSupervisor, "_handle_request", handle_questions_too):
        yield
