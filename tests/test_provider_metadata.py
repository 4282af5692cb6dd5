"""What the package tells Airflow is valid, true and seen by Airflow's own commands and connection form."""

from __future__ import annotations

import importlib.util
import json
import os
import pkgutil
import subprocess
import sys
import tomllib
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

import airflow_provider_awork
from airflow_provider_awork.client.http.config import EXTRA_NAMES, ConnectionExtras, build_config
from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.get_provider_info import CONNECTION_TYPE, get_provider_info

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
DISTRIBUTION = "airflow-provider-awork"
CONN_FIELDS: dict[str, Any] = CONNECTION_TYPE["conn-fields"]


def _airflow_schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((Path(airflow.__file__).parent / name).read_text())
    return schema


def test_metadata_is_valid_for_the_schema_that_airflow_applies_at_run_time() -> None:
    jsonschema.validate(get_provider_info(), _airflow_schema("provider_info.schema.json"))


def test_metadata_is_valid_for_the_stricter_schema_that_describes_the_connection_form() -> None:
    schema = _airflow_schema("provider.yaml.schema.json")
    # Also requires what only Airflow's own release process needs, such as all versions ever released.
    del schema["required"]
    info = get_provider_info()
    if "cli" not in schema["properties"]:  # Airflow 3.1 takes no commands, and no notice of the key
        del info["cli"]

    jsonschema.validate(info, schema)


def test_package_name_is_the_name_of_the_distribution() -> None:
    """Airflow's discovery raises on any difference, which breaks every component of the installation."""
    declared = tomllib.loads(PYPROJECT.read_text())["project"]["name"]

    assert get_provider_info()["package-name"] == declared == metadata.metadata(DISTRIBUTION)["Name"] == DISTRIBUTION


def test_entry_point_leads_to_the_metadata() -> None:
    entry_points = metadata.distribution(DISTRIBUTION).entry_points.select(group="apache_airflow_provider")

    assert [entry_point.load()() for entry_point in entry_points] == [get_provider_info()]


def test_a_caller_cannot_change_the_metadata() -> None:
    get_provider_info()["connection-types"].clear()

    assert get_provider_info()["connection-types"]


def _listed_modules() -> set[str]:
    info = get_provider_info()
    sections = [info.get(name, []) for name in ("operators", "hooks", "sensors", "triggers")]
    listed = [module for section in sections for entry in section for module in entry["python-modules"]]
    return {*listed, *(entry["python-module"] for entry in info.get("transfers", []))}


def _modules_of_airflow_classes() -> set[str]:
    """Modules that define an operator, sensor, trigger or hook of their own; bases are not for users."""
    from airflow.sdk import BaseHook, BaseOperator
    from airflow.triggers.base import BaseTrigger

    found = set()
    for package in ("hooks", "operators", "sensors", "transfers", "triggers"):
        name = f"{airflow_provider_awork.__name__}.{package}"
        if importlib.util.find_spec(name) is None:
            continue
        for module_info in pkgutil.iter_modules(import_module(name).__path__, prefix=f"{name}."):
            if module_info.name.endswith(".base"):
                continue
            members = vars(import_module(module_info.name)).values()
            own = [m for m in members if isinstance(m, type) and m.__module__ == module_info.name]
            if any(issubclass(member, (BaseHook, BaseOperator, BaseTrigger)) for member in own):
                found.add(module_info.name)
    return found


def test_exactly_the_modules_that_exist_are_listed() -> None:
    assert _listed_modules() == _modules_of_airflow_classes()


def test_hook_class_fits_its_declaration() -> None:
    module, _, name = CONNECTION_TYPE["hook-class-name"].rpartition(".")
    hook_class = getattr(import_module(module), name)

    assert hook_class.conn_type == CONNECTION_TYPE["connection-type"]
    assert hook_class.hook_name == CONNECTION_TYPE["hook-name"]
    assert hook_class.default_conn_name == "awork_default"
    assert getattr(hook_class(awork_conn_id="other"), hook_class.conn_name_attr) == "other"


def test_form_has_exactly_the_extras_that_the_client_knows() -> None:
    assert list(CONN_FIELDS) == list(EXTRA_NAMES)


def test_defaults_of_the_form_are_those_of_the_client() -> None:
    defaults = {name: field["schema"].get("default") for name, field in CONN_FIELDS.items()}

    assert build_config(token="key", extras=defaults).extras == ConnectionExtras()


@pytest.mark.parametrize("name", [name for name in CONN_FIELDS if "minimum" in CONN_FIELDS[name]["schema"]])
def test_limits_of_the_form_are_accepted_by_the_client(name: str) -> None:
    schema = CONN_FIELDS[name]["schema"]

    for value in (schema["minimum"], schema.get("maximum", 10**6)):
        assert getattr(build_config(token="key", extras={name: value}).extras, name) == value


@pytest.mark.parametrize("name", [name for name in CONN_FIELDS if "maximum" in CONN_FIELDS[name]["schema"]])
def test_above_the_limits_of_the_form_the_client_refuses(name: str) -> None:
    with pytest.raises(AworkConfigError, match=name):
        build_config(token="key", extras={name: CONN_FIELDS[name]["schema"]["maximum"] + 1})


CONNECTION_FORM_SCRIPT = """
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

for form in HookMetaService.hook_meta_data():
    if form.connection_type == "awork":
        print("FORM", form.model_dump_json(by_alias=True))
"""


@pytest.fixture(scope="module")
def connection_form() -> dict[str, Any]:
    """Give what the web server sends to the browser; in a process of its own, as 3.1 puts stand-ins for WTForms."""
    run = subprocess.run(
        [sys.executable, "-c", CONNECTION_FORM_SCRIPT], capture_output=True, text=True, check=True, timeout=120
    )
    forms = [line.removeprefix("FORM ") for line in run.stdout.splitlines() if line.startswith("FORM ")]
    assert len(forms) == 1, run.stdout + run.stderr
    form: dict[str, Any] = json.loads(forms[0])
    return form


def test_web_form_shows_the_standard_fields_as_declared(connection_form: dict[str, Any]) -> None:
    fields = connection_form["standard_fields"]

    assert connection_form["hook_name"] == "awork"
    assert fields["password"]["title"] == "API key, or OAuth client secret"
    assert fields["host"]["title"] == "Base URL"
    assert fields["host"]["placeholder"] == "https://api.awork.com/api/v1"
    assert fields["login"]["title"] == "OAuth client id"
    hidden = [name for name in ("login", "port", "url_schema") if fields[name]["hidden"]]
    assert hidden == ["port", "url_schema"]


def test_web_form_shows_every_extra_with_its_label_and_default(connection_form: dict[str, Any]) -> None:
    shown = {
        name: (field["schema"]["title"], field["description"], field["value"])
        for name, field in connection_form["extra_fields"].items()
    }

    assert shown == {
        name: (field["label"], field["description"], field["schema"].get("default"))
        for name, field in CONN_FIELDS.items()
    }


def test_web_form_of_each_extra_allows_its_default_and_null(connection_form: dict[str, Any]) -> None:
    for field in connection_form["extra_fields"].values():
        jsonschema.validate(field["value"], field["schema"])
        jsonschema.validate(None, field["schema"])


AIRFLOW_COMMANDS = {
    "list": ["list"],
    "get": ["get", DISTRIBUTION, "--full"],
    "hooks": ["hooks"],
    "behaviours": ["behaviours"],
}


AIRFLOW_COMMANDS_SCRIPT = """
import io, json, sys
from contextlib import redirect_stdout
from airflow.__main__ import main

outputs = {}
for name, arguments in json.loads(sys.argv[1]).items():
    sys.argv = ["airflow", "providers", *arguments, "--output", "json"]
    with redirect_stdout(io.StringIO()) as output:
        main()
    outputs[name] = output.getvalue()
print()
print(json.dumps(outputs))
"""


@pytest.fixture(scope="module")
def airflow_providers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give the output of ``airflow providers`` by subcommand, all of one process: each takes seconds to start."""
    run = subprocess.run(
        [sys.executable, "-c", AIRFLOW_COMMANDS_SCRIPT, json.dumps(AIRFLOW_COMMANDS)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        # A home of its own: the commands write an airflow.cfg, which others might read half written.
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path_factory.mktemp("providers"))},
    )
    assert run.returncode == 0, run.stderr
    outputs = {}
    for name, output in json.loads(run.stdout.splitlines()[-1]).items():
        # Log lines come before the rows; no rows are a sentence instead.
        _, bracket, rows = output.partition("[{")
        outputs[name] = json.loads(bracket + rows) if bracket else []
    return outputs


def _only(rows: list[dict[str, Any]], **column: str) -> dict[str, Any]:
    (name, value), *_ = column.items()
    (row,) = [row for row in rows if row[name] == value]
    return row


def test_airflow_lists_the_provider_with_its_version(airflow_providers: dict[str, Any]) -> None:
    row = _only(airflow_providers["list"], package_name=DISTRIBUTION)

    assert row["version"] == airflow_provider_awork.__version__


def test_airflow_shows_the_provider_in_full(airflow_providers: dict[str, Any]) -> None:
    row = _only(airflow_providers["get"], name="awork")

    assert row["package-name"] == DISTRIBUTION
    assert row["transfers"] == get_provider_info()["transfers"]
    assert "https://" in row["documentation-url"]


def test_airflow_imports_the_hook_and_can_test_its_connection(airflow_providers: dict[str, Any]) -> None:
    row = _only(airflow_providers["hooks"], connection_type="awork")

    assert row["class"] == CONNECTION_TYPE["hook-class-name"]
    assert row["conn_id_attribute_name"] == "awork_conn_id"
    assert row["package_name"] == DISTRIBUTION
    assert row["hook_name"] == "awork"


@pytest.mark.skipif(
    airflow.__version__.startswith("3.1."), reason="Airflow 3.1's command needs WTForms; its web server does not"
)
def test_airflow_shows_the_behaviour_of_the_form(airflow_providers: dict[str, Any]) -> None:
    assert _only(airflow_providers["behaviours"], field_behaviours="awork")
