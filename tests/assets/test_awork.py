"""``awork://`` URIs as Airflow takes them, through the provider's metadata."""

from __future__ import annotations

import pytest
from airflow.sdk import Asset

from airflow_provider_awork.assets.awork import create_asset


def test_an_asset_of_a_list() -> None:
    asset = create_asset(workspace="my-agency.awork.com", resource="projects", extra={"team": "finance"})
    assert (asset.uri, asset.extra) == ("awork://my-agency.awork.com/projects", {"team": "finance"})


@pytest.mark.parametrize(
    "uri",
    [
        "awork://my-agency.awork.com/timeentries",
        "AWORK://My-Agency.awork.com//timeentries/",
        "awork://my-agency.awork.com/timeentries#lately",
    ],
)
def test_one_list_has_one_uri(uri: str) -> None:
    assert Asset(uri).uri == create_asset(workspace="my-agency.awork.com").uri


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("awork:///timeentries", "needs a workspace and a list"),
        ("awork://my-agency.awork.com", "needs a workspace and a list"),
        ("awork://my-agency.awork.com/", "needs a workspace and a list"),
        ("awork://awork_default@my-agency.awork.com/timeentries", "not who connects"),
        ("awork://my-agency.awork.com/timeentries?isBilled=true", "without a query"),
    ],
)
def test_a_uri_that_names_no_list_is_refused(uri: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Asset(uri)
