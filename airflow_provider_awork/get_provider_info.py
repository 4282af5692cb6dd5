"""
What Airflow learns about this package without importing anything else of it.

Read through the entry point ``apache_airflow_provider`` by every Airflow component, so this module imports nothing of
Airflow. Shapes: ``airflow/provider_info.schema.json`` and, for the connection form,
``airflow/provider.yaml.schema.json`` inside the Airflow package.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

# Names, defaults and limits repeat client/config.py on purpose: the form is plain data, and a test holds both together.
CONNECTION_TYPE: dict[str, Any] = {
    "connection-type": "awork",
    "hook-class-name": "airflow_provider_awork.hooks.awork.AworkHook",
    "hook-name": "awork",
    "ui-field-behaviour": {
        "hidden-fields": ["port", "schema"],
        "relabeling": {
            "password": "API key, or OAuth client secret",
            "login": "OAuth client id",
            "host": "Base URL",
        },
        "placeholders": {
            "password": "from awork: Settings > Integrations > API clients",
            "login": "empty for API keys",
            "host": "https://api.awork.com/api/v1",
        },
    },
    "conn-fields": {
        "connect_timeout": {
            "label": "Connect time-out",
            "description": "Seconds to wait for a connection.",
            "schema": {"type": ["number", "null"], "default": 10, "minimum": 1},
        },
        "read_timeout": {
            "label": "Read time-out",
            "description": "Seconds to wait for the next bytes of an answer.",
            "schema": {"type": ["number", "null"], "default": 60, "minimum": 1},
        },
        "outage_minutes": {
            "label": "Outage minutes",
            "description": "How long a read is tried again while awork does not answer, or answers with 5xx.",
            "schema": {"type": ["number", "null"], "default": 5, "minimum": 0, "maximum": 60},
        },
        "max_concurrent_requests": {
            "label": "Concurrent requests",
            "description": "How many requests may be in flight at once.",
            "schema": {"type": ["integer", "null"], "default": 8, "minimum": 1, "maximum": 50},
        },
        "requests_per_minute": {
            "label": "Requests per minute",
            "description": "What this connection may use of the workspace's budget; awork allows all clients of a "
            "workspace together 1000 (Enterprise: 3000).",
            "schema": {"type": ["integer", "null"], "default": 900, "minimum": 1},
        },
        "verify": {
            "label": "Verify TLS certificates",
            "description": "true, false, or the path of a CA bundle on the workers.",
            "schema": {"type": ["string", "null"], "default": "true"},
        },
        "proxies": {
            "label": "Proxies",
            "description": 'Proxy URL by scheme, for example {"https": "http://proxy.example.com:3128"}.',
            "schema": {"type": ["object", "null"]},
        },
        "order_by_id": {
            "label": "Order by id",
            "description": "Order pages by createdOn and id. Off orders by createdOn alone, for a server that refuses "
            "a second term.",
            "schema": {"type": ["boolean", "null"], "default": True},
        },
        "anchor_on_created_on": {
            "label": "Anchor on createdOn",
            "description": "Page by filtering on createdOn. Off pages by offset alone, with more requests, for a "
            "server that cannot filter on createdOn.",
            "schema": {"type": ["boolean", "null"], "default": True},
        },
        "literal_timezone": {
            "label": "Time zone of literals",
            "description": "IANA zone in which awork reads datetime literals of a filter.",
            "schema": {"type": ["string", "null"], "default": "UTC"},
        },
        "accept_short_pages": {
            "label": "Accept short pages",
            "description": "Go on after a page that lacks entries although more match, instead of failing.",
            "schema": {"type": ["boolean", "null"], "default": False},
        },
        "oauth_variable": {
            "label": "Token Variable",
            "description": "OAuth instead of an API key: the Airflow Variable that AworkRefreshTokenOperator keeps a "
            "token pair in. Its name ends in _token.",
            "schema": {"type": ["string", "null"]},
        },
    },
}

PROVIDER_INFO: dict[str, Any] = {
    "package-name": "airflow-provider-awork",
    "name": "awork",
    "description": "`awork <https://www.awork.com>`__: complete, exact exports of time entries.",
    "integrations": [
        {"integration-name": "awork", "external-doc-url": "https://developers.awork.com", "tags": ["service"]}
    ],
    "connection-types": [CONNECTION_TYPE],
    "hooks": [{"integration-name": "awork", "python-modules": ["airflow_provider_awork.hooks.awork"]}],
    "operators": [
        {
            "integration-name": "awork",
            "python-modules": [
                "airflow_provider_awork.operators.batch_time_entries",
                "airflow_provider_awork.operators.time_entries",
                "airflow_provider_awork.operators.tokens",
            ],
        }
    ],
    "sensors": [{"integration-name": "awork", "python-modules": ["airflow_provider_awork.sensors.time_entries"]}],
    "triggers": [{"integration-name": "awork", "python-modules": ["airflow_provider_awork.triggers.time_entries"]}],
    "transfers": [
        {
            "source-integration-name": "awork",
            "target-integration-name": "Object storage",
            "python-module": "airflow_provider_awork.transfers.awork_to_object_storage",
        }
    ],
    "asset-uris": [
        {
            "schemes": ["awork"],
            "handler": "airflow_provider_awork.assets.awork.sanitize_uri",
            "factory": "airflow_provider_awork.assets.awork.create_asset",
            "to_openlineage_converter": "airflow_provider_awork.assets.awork.convert_asset_to_openlineage",
        }
    ],
    "extra-links": ["airflow_provider_awork.links.awork.AworkLink", "airflow_provider_awork.links.files.FilesLink"],
    "cli": ["airflow_provider_awork.cli.get_cli_commands"],  # Airflow 3.2 and later
}


def get_provider_info() -> dict[str, Any]:
    """Give the metadata as a copy, since Airflow may change what it gets."""
    return deepcopy(PROVIDER_INFO)
