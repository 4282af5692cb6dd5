"""The sensor in real DAG runs against a local awork, in each of Airflow's modes."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, cast

import pendulum
import pytest
from airflow.sdk import DAG, Context

from airflow_provider_awork.client.lists.conditions import field
from airflow_provider_awork.exceptions import AworkPollError
from airflow_provider_awork.sandbox import RequestRecord, Sandbox
from airflow_provider_awork.sandbox.faults import Answer, Rule, RuleRequest, at, every, first
from airflow_provider_awork.sandbox.store import Store
from airflow_provider_awork.sensors.time_entries import AworkTimeEntriesSensor
from tests.helpers.airflow_harness import DagResult, connection_in_environment, data_interval_timetable, run_dag

START = pendulum.datetime(2026, 1, 1, tz="UTC")
UNBILLED = "isBillable eq true and isBilled eq false"
MODES = ("poke", "reschedule", "deferrable")
DOWN = {
    "429": Answer(429, headers={"ratelimit-reset": "0"}),
    "500": Answer(500),
    "html": Answer(200, "<html>", {"content-type": "text/html"}),
}


@pytest.fixture
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=20, seed=5) as sandbox, connection_in_environment(sandbox.url, sandbox.token):
        yield sandbox


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each mode in turn, as parameters of the sensor."""
    deferrable = request.param == "deferrable"
    return {"deferrable": deferrable, "mode": "poke" if deferrable else request.param}


def sensor(
    mode: dict[str, Any],
    make: Callable[..., AworkTimeEntriesSensor] = AworkTimeEntriesSensor,
    **parameters: Any,
) -> AworkTimeEntriesSensor:
    usual = {"task_id": "wait", "poke_interval": 0.1, "timeout": 60, "retries": 1, "retry_delay": 0, **mode}
    return make(**usual | parameters)


def run(mode: dict[str, Any], dag_id: str, **parameters: Any) -> DagResult:
    with DAG(dag_id, schedule=None, start_date=START) as dag:
        sensor(mode, **parameters)
    return run_dag(dag)


def outcome(result: DagResult) -> tuple[str | None, int]:
    return result.task("wait").state, result.task("wait").try_number


def pokes(awork: Sandbox) -> list[RequestRecord]:
    """The requests but for those that ask what the key may see, before the first poke."""
    return [request for request in awork.requests if request.path not in ("/me", "/me/permissions")]


def change_at(number: int, change: Callable[[Store], Any]) -> Rule:
    """A rule: change the store right before that request is answered."""

    def rule(request: RuleRequest, store: Store) -> None:
        if request.number == number:
            change(store)

    return rule


def set_all_billed(store: Store) -> None:
    for entry_id in store.ids(lambda entry: entry["isBillable"]):
        store.edit(entry_id, isBilled=True)


def test_done_at_the_first_poke(awork: Sandbox, mode: dict[str, Any]) -> None:
    result = run(mode, "sensor_done", filterby=field("isBilled").is_(False), max_count=100)
    assert result.xcom("wait") == len(awork.store.ids(lambda entry: not entry["isBilled"])) > 0
    assert [(request.path, request.query["pageSize"]) for request in pokes(awork)] == [("/timeentries", "1")]


def test_waits_with_one_request_for_each_poke(awork: Sandbox, mode: dict[str, Any]) -> None:
    awork.faults.add(change_at(3, set_all_billed))
    result = run(mode, "sensor_waits", filterby=UNBILLED, min_count=0, max_count=0)
    assert outcome(result) == ("success", 1)
    assert result.xcom("wait") == 0
    assert len(pokes(awork)) == 3


def test_a_window_of_instants_is_proven_by_each_process(awork: Sandbox, mode: dict[str, Any]) -> None:
    def is_poke(query: Mapping[str, str]) -> bool:
        return "isBilled" in query.get("filterby", "")

    def rule(request: RuleRequest, store: Store) -> None:
        if is_poke(request.query) and sum(is_poke(earlier.query) for earlier in awork.requests) >= 3:
            set_all_billed(store)

    awork.faults.add(rule)
    window = {"window_field": "createdOn", "window_start": "2020-01-01", "window_end": "2100-01-01"}
    result = run(mode, "sensor_instants", filterby=UNBILLED, min_count=0, max_count=0, **window)
    assert outcome(result) == ("success", 1)
    processes = {"poke": 1, "reschedule": 3, "deferrable": 2}["deferrable" if mode["deferrable"] else mode["mode"]]
    proofs = 2 + 2 * 2  # at the newest entry, and on both sides of each bound
    assert [sum(is_poke(each.query) is poke for each in pokes(awork)) for poke in (True, False)] == [
        3,
        proofs * processes,
    ]
    assert {each.query["pageSize"] for each in pokes(awork)} == {"1"}


def test_bounds_may_be_templates(awork: Sandbox, mode: dict[str, Any]) -> None:
    with DAG("sensor_templates", schedule=None, start_date=START, params={"most": 0, "kind": "isBilled"}) as dag:
        sensor(mode, filterby="{{ params.kind }} eq false", min_count="0", max_count="{{ params.most }}")
    awork.faults.add(change_at(2, lambda store: store.delete(store.ids())))
    result = run_dag(dag)
    assert (outcome(result), len(pokes(awork))) == (("success", 1), 2)


@pytest.mark.parametrize("fault", DOWN)
def test_errors_that_pass_are_waited_out(awork: Sandbox, mode: dict[str, Any], fault: str) -> None:
    awork.faults.add(first(2, DOWN[fault]))
    result = run(mode, "sensor_errors_pass", tolerated_errors=2)
    assert outcome(result) == ("success", 1)
    assert result.xcom("wait") == awork.store.count()
    assert len(pokes(awork)) == 3
    assert "Error 2 in a row" in result.logs


def test_only_errors_in_a_row_count(awork: Sandbox, mode: dict[str, Any]) -> None:
    """In reschedule mode each poke is a process of its own, so there it shows that none takes errors over."""
    awork.faults.add(every(2, Answer(503)))
    awork.faults.add(change_at(7, set_all_billed))
    result = run(mode, "sensor_errors_row", filterby=UNBILLED, min_count=0, max_count=0, tolerated_errors=1)
    assert (outcome(result), len(pokes(awork))) == (("success", 1), 7)


@pytest.mark.parametrize("fault", ["429", "500"])
def test_errors_that_stay_fail_each_try(awork: Sandbox, mode: dict[str, Any], fault: str) -> None:
    awork.faults.add(every(1, DOWN[fault]))
    result = run(mode, "sensor_errors_stay", tolerated_errors=1)
    assert outcome(result) == ("failed", 2)
    assert len(pokes(awork)) == 2 * 2


def test_host_that_is_down(mode: dict[str, Any]) -> None:
    with socket.socket() as taken:  # no other process gets the port, nobody listens
        taken.bind(("127.0.0.1", 0))
        with connection_in_environment(f"http://127.0.0.1:{taken.getsockname()[1]}/api/v1", "key"):
            result = run(mode, "sensor_host_down", tolerated_errors=1)
    assert outcome(result) == ("failed", 2)
    assert result.logs.count("Error 1 in a row") == 2


@pytest.mark.parametrize("cause", ["wrong key", "bad filter"])
def test_errors_that_cannot_pass_fail_at_once(awork: Sandbox, mode: dict[str, Any], cause: str) -> None:
    token = "wrong-key" if cause == "wrong key" else awork.token
    with connection_in_environment(awork.url, token):
        result = run(mode, "sensor_permanent", filterby="isBilled = true" if cause == "bad filter" else None)
    assert outcome(result) == ("failed", 1)
    assert len(awork.requests) == (1 if cause == "wrong key" else 3)
    assert "wrong-key" not in result.logs


@pytest.mark.parametrize("cause", ["wrong key", "bad filter"])
def test_what_was_right_and_becomes_wrong_fails_at_once(awork: Sandbox, mode: dict[str, Any], cause: str) -> None:
    code = {"wrong key": 401, "bad filter": 400}[cause]
    body = {"code": "invalid-filter-or-order", "description": "no", "link": ""} if code == 400 else None
    awork.faults.add(lambda request, _: Answer(code, body) if (request.number or 0) > 1 else None)
    result = run(mode, "sensor_becomes_wrong", min_count=1000)
    assert outcome(result) == ("failed", 1)
    assert len(pokes(awork)) == 2


def test_a_key_that_is_replaced_while_it_waits(awork: Sandbox, mode: dict[str, Any]) -> None:
    environment = pytest.MonkeyPatch()

    def replace(_: Store) -> None:
        environment.setenv("AIRFLOW_CONN_AWORK_DEFAULT", connection.replace("old-key", awork.token))

    awork.faults.add(change_at(3, set_all_billed))
    awork.faults.add(lambda request, store: replace(store) or Answer(401) if request.number == 2 else None)
    with connection_in_environment(awork.url, awork.token, requests_per_minute=500):
        connection = os.environ["AIRFLOW_CONN_AWORK_DEFAULT"].replace("500", "501")
        result = run(mode, "sensor_new_key", filterby=UNBILLED, min_count=0, max_count=0)
    environment.undo()
    assert (outcome(result), len(pokes(awork))) == (("success", 1), 3)


@pytest.mark.parametrize("cause", ["timeout", "execution_timeout", "permanent", "transient"])
def test_soft_fail_skips(awork: Sandbox, mode: dict[str, Any], cause: str) -> None:
    if cause == "transient":
        awork.faults.add(every(1, Answer(500)))
    if cause == "permanent":
        awork.faults.add(lambda request, _: Answer(401) if request.number == 2 else None)
    limits: dict[str, Any] = {"timeout": 0.3} if cause == "timeout" else {}
    if cause == "execution_timeout":
        # In poke mode it strikes between two pokes, in reschedule mode, where no process waits there, during one.
        limits = {"execution_timeout": timedelta(seconds=0.5), "poke_interval": 30 if mode["mode"] == "poke" else 0.1}
        awork.settings.latency = 1 if mode["mode"] == "reschedule" else 0
    result = run(mode, "sensor_soft", min_count=1000, soft_fail=True, tolerated_errors=1, **limits)
    assert outcome(result) == ("skipped", 1)


def test_never_fail_skips_after_execution_timeout_while_deferred(awork: Sandbox) -> None:
    limit = timedelta(seconds=0.3)
    result = run({"deferrable": True}, "sensor_never", min_count=1000, never_fail=True, execution_timeout=limit)
    assert outcome(result) == ("skipped", 1)


def test_timeout_fails_without_another_try(awork: Sandbox, mode: dict[str, Any]) -> None:
    result = run(mode, "sensor_timeout", min_count=1000, timeout=0.3)
    assert outcome(result) == ("failed", 1)
    assert re.search(r"AirflowSensorTimeout: After 0.3 s: [1-9]\d* entries match, at least 1,000 wanted", result.logs)
    # At most one poke more than the intervals that fit, since Airflow's own loop pokes before it looks at the time.
    assert len(pokes(awork)) <= 5


def test_errors_do_not_outlast_the_timeout(awork: Sandbox, mode: dict[str, Any]) -> None:
    awork.faults.add(every(1, Answer(500)))
    result = run(mode, "sensor_timeout_errors", timeout=0.3, tolerated_errors=1000)
    assert outcome(result) == ("failed", 1)
    assert "AirflowSensorTimeout: After 0.3 s: awork gave no count, at least 1 wanted" in result.logs
    assert len(pokes(awork)) <= 5


def test_errors_do_not_outlast_a_timeout_that_earlier_processes_used_up(awork: Sandbox) -> None:
    """
    The last of three slow answers is an error; another request would find what is waited for.

    Airflow's clock starts when the first poke ends.
    """
    awork.settings.latency = 1.0
    awork.faults.add(at(3, Answer(500)))
    awork.faults.add(change_at(4, set_all_billed))
    limits = {"timeout": 1.5, "min_count": 0, "max_count": 0}
    result = run({"mode": "reschedule"}, "sensor_used_up", filterby=UNBILLED, **limits)
    assert outcome(result) == ("failed", 1)
    assert "AirflowSensorTimeout" in result.logs
    assert len(pokes(awork)) <= 3


def test_execution_timeout_while_deferred_allows_another_try(awork: Sandbox) -> None:
    result = run({"deferrable": True}, "sensor_limit", min_count=1000, execution_timeout=timedelta(seconds=0.3))
    assert outcome(result) == ("failed", 2)
    assert "AirflowTaskTimeout" in result.logs


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"min_count": 2, "max_count": 1}, "max_count: 1 is below min_count=2"),
        ({"min_count": "many"}, "min_count: 'many'"),
        ({"max_count": -1}, "max_count: -1"),
        ({"poke_interval": 0}, "poke_interval"),
        ({"window_field": "startDateLocal"}, "CronDataIntervalTimetable"),
        ({"project_id": "no-guid"}, "project_id"),
        ({"awork_task_id": "abc"}, "awork_task_id: 'abc'"),
        ({"tolerated_errors": "a"}, "tolerated_errors: 'a'"),
    ],
)
def test_parameters_that_cannot_work(awork: Sandbox, parameters: dict[str, Any], said: str) -> None:
    result = run({"deferrable": True}, "sensor_parameters", **parameters)
    assert outcome(result) == ("failed", 1)
    assert said in result.logs
    assert awork.requests == []


def test_the_window_is_the_same_in_the_trigger(awork: Sandbox, mode: dict[str, Any]) -> None:
    timetable = data_interval_timetable("0 0 * * *", timezone="Europe/Berlin")
    with DAG("sensor_window", schedule=timetable, start_date=START.in_timezone("Europe/Berlin")) as dag:
        sensor(mode, filterby=UNBILLED, min_count=0, max_count=0, window_field="startDateLocal")
    entry = awork.make_entry(startDateLocal="2026-03-29T00:00:00", isBillable=True, isBilled=False)
    awork.store.add(entry)
    awork.faults.add(change_at(2, lambda store: store.edit(entry["id"], isBilled=True)))
    day = pendulum.datetime(2026, 3, 29, tz="Europe/Berlin")
    result = run_dag(dag, logical_date=day.add(days=1), data_interval=(day, day.add(days=1)))
    assert outcome(result) == ("success", 1)
    window = "startDateLocal ge datetime'2026-03-29T00:00' and startDateLocal lt datetime'2026-03-30T00:00'"
    assert [request.query["filterby"] for request in pokes(awork)] == [f"({UNBILLED}) and {window}"] * 2


def test_no_running_timers(awork: Sandbox, mode: dict[str, Any]) -> None:
    running = {"endDateUtc": None, "endTimeUtc": None, "endDateLocal": None, "endTimeLocal": None, "duration": 0}
    mine, other = awork.make_entry(**running, note="mine"), awork.make_entry(**running, note="other")
    awork.store.add(mine, other)
    stopped = {"endDateUtc": mine["startDateUtc"], "endTimeUtc": mine["startTimeUtc"], "duration": 60}
    awork.faults.add(change_at(2, lambda store: store.edit(mine["id"], **stopped)))
    filterby = "note eq 'mine' or note eq 'somebody'"
    result = run(mode, "sensor_timers", make=AworkTimeEntriesSensor.no_running_timers, filterby=filterby)
    assert (outcome(result), len(pokes(awork))) == (("success", 1), 2)


@pytest.mark.parametrize(
    ("rendered", "said"),
    [("a eq 1) or (b eq 2", "the parentheses of"), (" ", "the text is blank"), ("'", "a quote of")],
)
@pytest.mark.parametrize("preset", ["no_running_timers", "nothing_to_bill"])
def test_a_filter_cannot_reach_out_of_the_parentheses_of_a_preset(
    awork: Sandbox, preset: str, rendered: str, said: str
) -> None:
    with DAG("sensor_preset", schedule=None, start_date=pendulum.datetime(2026, 1, 1), params={"own": rendered}) as dag:
        getattr(AworkTimeEntriesSensor, preset)(task_id="wait", filterby="{{ params.own }}")
    result = run_dag(dag)
    assert result.task("wait").state == "failed"
    assert f"filterby: {said}" in result.logs
    assert awork.requests == []


def test_nothing_to_bill(awork: Sandbox, mode: dict[str, Any]) -> None:
    awork.faults.add(change_at(2, set_all_billed))
    result = run(mode, "sensor_billed", make=AworkTimeEntriesSensor.nothing_to_bill)
    assert (outcome(result), len(pokes(awork))) == (("success", 1), 2)


@pytest.mark.parametrize("event", [None, {}, {"status": "what"}, {"status": "success"}, "success"])
def test_an_event_that_is_not_understood_fails(event: Any) -> None:
    with pytest.raises(AworkPollError, match="not understood"):
        sensor({"deferrable": True}).execute_complete(cast(Context, {}), event)


def test_airflow_decides_whether_to_defer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not AworkTimeEntriesSensor(task_id="wait").deferrable
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    assert AworkTimeEntriesSensor(task_id="wait").deferrable
    assert not AworkTimeEntriesSensor(task_id="wait", deferrable=False).deferrable


# -- a key that sees only its own entries --------------------------------------------------------------------------


def hidden_warnings(result: DagResult) -> int:
    return result.logs.count("may not see other people's time entries")


def test_a_key_that_sees_only_its_own_entries_is_warned_of_once(awork: Sandbox, mode: dict[str, Any]) -> None:
    """Each poke is a process in reschedule mode, and deferred pokes are the triggerer's."""
    awork.settings.missing_permissions = True
    awork.faults.add(change_at(3, lambda store: store.delete(store.ids())))
    result = run(mode, "sensor_hidden", min_count=0, max_count=0)
    assert outcome(result) == ("success", 1)
    assert hidden_warnings(result) == 1
    paths = [request.path for request in awork.requests]
    assert paths[:3] == ["/me", "/me/permissions", "/timeentries"]
    assert paths.count("/me/permissions") == 1


def test_a_key_that_sees_all_entries_is_not_warned_of(awork: Sandbox, mode: dict[str, Any]) -> None:
    result = run(mode, "sensor_not_hidden")
    assert outcome(result) == ("success", 1)
    assert hidden_warnings(result) == 0


@pytest.mark.skipif("task_state_store" not in Context.__annotations__, reason="state stores came with Airflow 3.3")
def test_the_state_of_the_task_has_what_the_key_sees(awork: Sandbox) -> None:
    state = States()
    for limited in (False, True, False):
        awork.settings.missing_permissions = limited
        poked = AworkTimeEntriesSensor(task_id="wait")
        poked.poke(cast(Context, {"task_state_store": state}))
        own = {"sees_all_entries": False, "user_id": awork.me}
        everything = {"sees_all_entries": True, "user_id": None}
        assert state.get("awork_visibility") == (own if limited else everything if state else None)


class States(dict[str, Any]):
    """A state store as Airflow's, to be read without a run of Airflow's own."""

    set = dict.__setitem__
