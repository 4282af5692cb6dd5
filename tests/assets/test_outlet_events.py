"""What waits for an export is told: real DAG runs, and the events that Airflow stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG, Asset, AssetAlias

from airflow_provider_awork.assets.awork import create_asset
from airflow_provider_awork.sandbox import Sandbox
from airflow_provider_awork.transfers.awork_to_object_storage import (
    AworkListToObjectStorageOperator,
    AworkTimeEntriesToObjectStorageOperator,
)
from tests.helpers.airflow_harness import DagResult, connection_in_environment, run_dag
from tests.helpers.storage_emulators import S3Emulator

START = pendulum.datetime(2026, 1, 1, tz="UTC")
ENTRIES = 50


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=ENTRIES, seed=13) as sandbox, connection_in_environment(sandbox.url, sandbox.token):
        yield sandbox


def export(dag_id: str, *, transfer: type = AworkTimeEntriesToObjectStorageOperator, **parameters: Any) -> DagResult:
    with DAG(dag_id, schedule=None, start_date=START) as dag:
        transfer(task_id="export", **parameters)
    return run_dag(dag)


def events_of(dag_id: str) -> dict[str, dict[str, Any]]:
    """The extra of each event that a DAG's runs gave, by the URI of its asset."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        events = session.scalars(select(AssetEvent).where(AssetEvent.source_dag_id == dag_id)).all()
        return {event.asset.uri: event.extra for event in events}


def test_an_asset_is_told_what_was_published(awork: Sandbox, tmp_path: Path) -> None:
    asset, other = create_asset(workspace="my-agency.awork.com"), Asset("lake://entries")
    result = export(
        "tells_assets",
        destination=f"file://{tmp_path}/entries",
        window_field="startDateLocal",
        window_start=awork.start,
        window_end=awork.end,
        outlets=[asset, other],
    )
    told = events_of("tells_assets")
    assert told.keys() == {asset.uri, other.uri}
    for extra in told.values():
        assert extra["rows"] == result.xcom("export")["rows"] > 0
        assert (extra["files"], extra["manifest"]) == (1, f"file://{tmp_path}/entries/_manifest.json")
        assert extra["window"]["start"] == awork.start.isoformat()
        assert extra["watermark"] == max(entry["createdOn"] for entry in awork.store.entries())
        assert len(json.dumps(extra)) < 1000


def test_an_alias_is_told_where_the_set_is(awork: Sandbox, tmp_path: Path) -> None:
    export(
        "tells_alias",
        transfer=AworkListToObjectStorageOperator,
        resource="users",
        destination=f"file://{tmp_path}/users",
        outlets=[AssetAlias("awork-users")],
    )
    ((uri, extra),) = events_of("tells_alias").items()
    assert uri == f"file://{tmp_path}/users"
    assert extra["rows"] == len(awork.store.texts("users"))


@pytest.mark.emulator
def test_the_asset_of_an_alias_has_no_connection_id(awork: Sandbox, s3_emulator: S3Emulator) -> None:
    prefix = f"{s3_emulator.create_bucket('outlet-events')}/awork/entries"
    export("tells_s3", destination=prefix, outlets=[AssetAlias("awork-entries")])
    ((uri, extra),) = events_of("tells_s3").items()
    assert "@" not in uri
    assert uri.partition("://")[2] == "outlet-events/awork/entries"
    assert extra["destination"] == prefix


def test_each_mapped_task_tells_of_its_own_set(awork: Sandbox, tmp_path: Path) -> None:
    with DAG("tells_mapped", schedule=None, start_date=START) as dag:
        AworkListToObjectStorageOperator.partial(
            task_id="export",
            destination=f"file://{tmp_path}/{{{{ task.resource }}}}",
            outlets=[AssetAlias("awork-lists")],
        ).expand(resource=["teams", "companies"])
    run_dag(dag)
    told = events_of("tells_mapped")
    assert {uri.rpartition("/")[2]: extra["rows"] for uri, extra in told.items()} == {
        "teams": len(awork.store.texts("teams")),
        "companies": len(awork.store.texts("companies")),
    }


def test_nothing_is_told_of_what_was_not_published(awork: Sandbox, tmp_path: Path) -> None:
    asset = Asset("lake://nothing")
    failed = export("tells_failed", destination=f"file://{tmp_path}/x", filterby="frobnicate", outlets=[asset])
    assert failed.state == "failed"
    assert events_of("tells_failed") == {}


@pytest.mark.parametrize("outlets", [[Asset("lake://estimated")], [AssetAlias("awork-estimated")]])
def test_an_estimate_starts_nothing_that_waits_for_outlets(awork: Sandbox, tmp_path: Path, outlets: list[Any]) -> None:
    before = len(awork.requests)
    result = export("tells_estimate", destination=f"file://{tmp_path}/x", estimate=True, outlets=outlets)
    assert (result.task("export").state, result.task("export").try_number) == ("failed", 1)
    assert "estimate and outlets: an estimate writes nothing" in result.logs
    assert events_of("tells_estimate") == {}
    assert len(awork.requests) == before


def test_outlets_without_events_are_passed_over(awork: Sandbox, tmp_path: Path) -> None:
    asset = Asset("lake://told")
    others: list[Any] = ["a text", {"dataset": "a dict"}, Asset("lake://one") & Asset("lake://two")]
    result = export("tells_some", destination=f"file://{tmp_path}/z", outlets=[*others, asset])
    assert result.state == "success"
    assert events_of("tells_some")[asset.uri]["rows"] == ENTRIES


def test_without_outlets_there_are_no_events(awork: Sandbox, tmp_path: Path) -> None:
    export("tells_nobody", destination=f"file://{tmp_path}/y")
    assert events_of("tells_nobody") == {}
