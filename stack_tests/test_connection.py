"""The connection form as the UI gets it, and its Test button as a worker answers it."""

from __future__ import annotations

from typing import Any

from airflow_provider_awork.get_provider_info import CONNECTION_TYPE
from airflow_provider_awork.sandbox import Sandbox
from stack_tests.rest_api import RestApi, wait_for


def press_test(airflow: RestApi, **connection: Any) -> dict[str, Any]:
    """Do what the Test button does, and wait for what the worker says."""
    token = airflow.post("/api/v2/connections/enqueue-test", conn_type="awork", **connection)["token"]
    return wait_for(
        "the worker's answer",
        lambda: airflow.request(
            "GET", "/api/v2/connections/enqueue-test", headers={"Airflow-Connection-Test-Token": token}
        ),
        lambda answer: answer["state"] in ("success", "failed"),
    )


def test_the_form_has_our_fields_and_names(airflow: RestApi) -> None:
    (form,) = (form for form in airflow.get("/ui/connections/hook_meta") if form["connection_type"] == "awork")
    assert (form["hook_name"], form["default_conn_name"]) == ("awork", None)
    behaviour = CONNECTION_TYPE["ui-field-behaviour"]
    standard = {name.replace("url_schema", "schema"): field or {} for name, field in form["standard_fields"].items()}
    assert {name for name, field in standard.items() if field.get("hidden")} == set(behaviour["hidden-fields"])
    assert {name: field["title"] for name, field in standard.items() if field.get("title")} == behaviour["relabeling"]
    for name, placeholder in behaviour["placeholders"].items():
        assert standard[name]["placeholder"] == placeholder
    fields = CONNECTION_TYPE["conn-fields"]
    assert list(form["extra_fields"]) == list(fields)
    for name, field in fields.items():
        shown = form["extra_fields"][name]
        assert shown["schema"]["title"] == field["label"]
        assert shown["value"] == field["schema"].get("default")
        assert shown["description"] == field["description"]


def test_the_test_button_names_workspace_and_identity_and_saves(airflow: RestApi, awork: Sandbox) -> None:
    answer = press_test(
        airflow,
        connection_id="from_the_form",
        host=awork.url,
        password=awork.token,
        extra='{"requests_per_minute": 500}',
        commit_on_success=True,
    )
    assert answer["state"] == "success", answer
    assert awork.settings.workspace.name in answer["result_message"]
    saved = airflow.get("/api/v2/connections/from_the_form")
    assert (saved["conn_type"], saved["host"]) == ("awork", awork.url)
    assert awork.token not in str(saved)


def test_the_test_button_says_what_is_wrong_without_the_key(airflow: RestApi, awork: Sandbox) -> None:
    answer = press_test(airflow, connection_id="wrong_key", host=awork.url, password="no-such-key")
    assert answer["state"] == "failed"
    assert "401" in answer["result_message"]
    assert "no-such-key" not in answer["result_message"]
