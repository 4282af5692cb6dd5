"""What the task log tells of a long export, in real DAG runs."""

from __future__ import annotations

import re

import pytest

from airflow_provider_awork.files import export as export_module
from airflow_provider_awork.sandbox import Delay, Sandbox, every
from tests.helpers.destinations import Destination, export

SECONDS = 0.2
PROGRESS = re.compile(
    r"([\d,]+) rows(?: of ([\d,]+) \((\d+)%\))? in (\d+) pages, (\d+) rows a second, "
    r"(\d+) s waited for the rate limit(?:, about (\d+) s to go)?"
)


def number(text: str) -> int:
    return int(text.replace(",", ""))


@pytest.fixture
def slow_awork(awork: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setattr(export_module, "PROGRESS_SECONDS", SECONDS)
    awork.settings.max_page_size = 10
    awork.faults.add(every(1, Delay(0.1)))
    return awork


@pytest.mark.usefixtures("slow_awork")
def test_progress_is_told_now_and_then_and_summed_up(local: Destination) -> None:
    result = export(local, max_concurrent_requests=1)
    seconds = result.xcom("export")["seconds"]
    lines = PROGRESS.findall(result.logs)
    assert 3 <= len(lines) <= seconds / SECONDS
    rows = [number(line[0]) for line in lines]
    assert rows == sorted(set(rows))
    assert {number(line[1]) for line in lines} == {250}
    assert [number(line[2]) for line in lines] == [round(100 * each / 250) for each in rows]
    for line, each in zip(lines, rows, strict=True):
        assert each / 10 <= number(line[3])  # pages of at most 10 rows
        to_go, rate = number(line[6]), number(line[4])
        # Both are rounded, and the rate of a first page that took long is small.
        assert (to_go + 0.5) * (rate + 0.5) >= 250 - each >= (to_go - 0.5) * (rate - 0.5)
    assert re.search(
        r"250 rows in 1 files, [\d,]+ bytes, \d+ requests, [\d.]+ s "
        r"\(\d+ rows a second, [\d.]+ s waited for the rate limit\): file://.*_manifest.json",
        result.logs,
    )


def test_without_totals_only_what_is_known_is_told(slow_awork: Sandbox, local: Destination) -> None:
    slow_awork.settings.total_header = False
    lines = PROGRESS.findall(export(local, max_concurrent_requests=1).logs)
    assert lines
    assert {(line[1], line[6]) for line in lines} == {("", "")}


def test_a_quick_export_has_a_summary_alone(awork: Sandbox, local: Destination) -> None:
    result = export(local)
    assert not PROGRESS.search(result.logs)
    assert "250 rows in 1 files" in result.logs
