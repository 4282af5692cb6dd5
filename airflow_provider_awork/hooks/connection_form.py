"""
The connection form for Airflow 3.1, from the same data as the declarative form that 3.2 and later read.

Airflow 3.2 and later take the form from ``get_provider_info`` and never call these functions.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_awork.get_provider_info import CONNECTION_TYPE


def ui_field_behaviour() -> dict[str, Any]:
    """Give what ``get_ui_field_behaviour`` of a hook returns: hidden standard fields, labels, placeholders."""
    return {name.replace("-", "_"): value for name, value in CONNECTION_TYPE["ui-field-behaviour"].items()}


def connection_form_widgets() -> dict[str, Any]:
    """
    Give what ``get_connection_form_widgets`` of a hook returns: one WTForms field for each extra, by name.

    3.1 knows whole numbers, switches and text, and no limits: proxies are typed as JSON text, and limits are checked
    when the connection is used.

    :raises ImportError: without WTForms. Airflow's web server puts a stand-in of its own in its place.
    """
    return {name: _form_field(field) for name, field in CONNECTION_TYPE["conn-fields"].items()}


def _form_field(field: dict[str, Any]) -> Any:
    from wtforms import BooleanField, IntegerField, StringField

    schema = field["schema"]
    by_type = {"boolean": BooleanField, "integer": IntegerField, "number": IntegerField}
    field_class = by_type.get(schema["type"][0], StringField)
    return field_class(label=field["label"], description=field["description"], default=schema.get("default"))
