"""Proofs about literals are made once and hold for an hour, over real HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from airflow_provider_awork.client.client import AworkClient
from airflow_provider_awork.client.http.config import build_config
from airflow_provider_awork.client.lists import proofs
from airflow_provider_awork.exceptions import AworkAssumptionError
from airflow_provider_awork.sandbox import Sandbox

BOUND = datetime(2026, 1, 1, tzinfo=UTC)


def client_of(awork: Sandbox) -> AworkClient:
    return AworkClient(build_config(token=awork.token, base_url=awork.url))


@pytest.mark.parametrize(
    ("steps", "requests"),
    [
        # the newest entry and its second; two neighbours for each bound
        ([{}], 2),
        ([{}, {}], 2),
        ([{}, {"bounds": [BOUND]}], 4),
        ([{"bounds": [BOUND]}, {"bounds": [BOUND]}], 4),
        ([{}, {"field": "updatedOn"}], 4),
        ([{"bounds": [BOUND]}, {"bounds": [BOUND], "field": "updatedOn"}], 8),
    ],
)
def test_each_proof_is_made_once(steps: list[dict[str, object]], requests: int) -> None:
    with Sandbox(entries=20, seed=3) as awork:
        client = client_of(awork)
        for step in steps:
            client.check_literals(**step)  # type: ignore[arg-type]
        assert len(awork.requests) == requests


def test_threads_wait_for_one_proof() -> None:
    with Sandbox(entries=20, seed=3) as awork, ThreadPoolExecutor(4) as pool:
        client = client_of(awork)
        for proof in [pool.submit(client.check_literals) for _ in range(4)]:
            proof.result()
        assert len(awork.requests) == 2


def test_a_proof_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox(entries=20, seed=3) as awork:
        client = client_of(awork)
        client.check_literals()
        monkeypatch.setattr(proofs, "PROOF_HOLDS_SECONDS", 0)
        awork.settings.literal_timezone = "Europe/Berlin"

        with pytest.raises(AworkAssumptionError, match="literal_timezone"):
            client.check_literals()


def test_an_empty_workspace_proves_nothing() -> None:
    with Sandbox() as awork:
        client = client_of(awork)
        client.check_literals()
        client.check_literals()
        assert len(awork.requests) == 2


def test_a_field_that_awork_does_not_filter_on_names_the_way_out() -> None:
    with (
        Sandbox(entries=20, seed=3, unfilterable={"createdOn"}) as awork,
        pytest.raises(AworkAssumptionError, match=r"does not filter time entries by createdOn\n.*startDateLocal"),
    ):
        client_of(awork).check_literals()
