"""Deferred sensors: they resume, also on another triggerer than the one that had them."""

from __future__ import annotations

from airflow_provider_awork.sandbox import Sandbox
from stack_tests.rest_api import RestApi, wait_for
from stack_tests.stack import AirflowStack


def start_waiting(airflow: RestApi, note: str) -> str:
    """Start a run that waits for an entry with this note; gives its id when it is deferred."""
    run_id = airflow.start_run("wait", conf={"note": note})
    wait_for(
        "the deferral",
        lambda: airflow.task_instance("wait", run_id, "wait"),
        lambda instance: instance["state"] == "deferred",
    )
    return run_id


def asked(awork: Sandbox) -> int:
    """Questions of the sensors."""
    return sum("note eq " in request.query.get("filterby", "") for request in awork.requests)


def test_deferred_sensor_resumes(airflow: RestApi, awork: Sandbox) -> None:
    run_id = start_waiting(airflow, "resume")
    awork.store.add(awork.make_entry(note="resume"), awork.make_entry(note="resume"))
    airflow.succeeded("wait", run_id)
    assert airflow.xcom("wait", run_id, "wait") == 2


def test_sensors_outlive_their_triggerer(airflow: RestApi, awork: Sandbox, stack: AirflowStack) -> None:
    run_ids = {note: start_waiting(airflow, note) for note in ("while it is away", "after that")}
    before = asked(awork)
    wait_for("a poll of each trigger", lambda: asked(awork) >= before + 4)
    stack.kill_triggerer()
    awork.store.add(awork.make_entry(note="while it is away"))
    silence = asked(awork)
    stack.start_triggerer()
    airflow.succeeded("wait", run_ids["while it is away"])
    assert asked(awork) > silence
    assert airflow.task_instance("wait", run_ids["after that"], "wait")["state"] == "deferred"
    awork.store.add(awork.make_entry(note="after that"))
    airflow.succeeded("wait", run_ids["after that"])
    assert [airflow.xcom("wait", run_id, "wait") for run_id in run_ids.values()] == [1, 1]
    assert [airflow.task_instance("wait", run_id, "wait")["try_number"] for run_id in run_ids.values()] == [1, 1]
