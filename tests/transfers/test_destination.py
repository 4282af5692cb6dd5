"""Destinations as tables: placeholders, parts of a path, shadowed columns, URIs."""

from __future__ import annotations

import re

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.files.manifest import PublishedFile
from airflow_provider_awork.transfers.destination import (
    file_uris,
    fill_placeholders,
    find_shadowed_column,
    parse_destination,
)
from airflow_provider_awork.windows.window import Window

DAY = Window.of(field="startDateLocal", start="2026-11-26", end="2026-11-27")
HOUR = Window.of(field="createdOn", start="2026-11-26T02:55:00+01:00", end="2026-11-26T03:55:00+01:00")
OPEN = Window.of(field="createdOn", start="2026-11-26")


@pytest.mark.parametrize(
    ("template", "window", "partition_key", "filled"),
    [
        ("s3://c@lake/day={window_start}", DAY, None, "s3://c@lake/day=2026-11-26"),
        ("s3://lake/{window_start}_{window_end}", DAY, None, "s3://lake/2026-11-26_2026-11-27"),
        ("/x/from={window_start}", HOUR, None, "/x/from=20261126T015500Z"),
        ("/x/{window_end}", HOUR, None, "/x/20261126T025500Z"),
        ("/x/from={window_start}", OPEN, None, "/x/from=20261126T000000Z"),
        ("/x/month={partition_key}", None, "2026-11", "/x/month=2026-11"),
        ("/x/no placeholder", None, None, "/x/no placeholder"),
    ],
)
def test_placeholders_are_filled(template: str, window: Window | None, partition_key: str | None, filled: str) -> None:
    assert fill_placeholders(template, window=window, partition_key=partition_key) == filled


@pytest.mark.parametrize(
    ("template", "window", "message"),
    [
        ("/x/{window_start}", None, "there is no start of a window for {window_start}"),
        ("/x/{window_end}", OPEN, "there is no end of a window for {window_end}"),
        ("/x/{partition_key}", DAY, "this run has no partition for {partition_key}"),
        ("/x/{window}", DAY, "no placeholder {window}"),
        ("/x/{}", DAY, "no placeholder {}"),
        ("/x/{{ ds }}", DAY, "no placeholder { ds }"),
        ("/x/{window_start", DAY, "a brace without its partner"),
        ("/x/window_start}", DAY, "a brace without its partner"),
    ],
)
def test_placeholders_that_cannot_be_filled(template: str, window: Window | None, message: str) -> None:
    with pytest.raises(AworkConfigError, match=re.escape(message)):
        fill_placeholders(template, window=window)


@pytest.mark.parametrize(
    "destination",
    ["/x", "/x/", "file:///x/y", "s3://lake", "s3://lake/", "s3://c@lake/a/b=c/", "file:///x/None of it", "gs://c@l/a"],
)
def test_destinations_that_work(destination: str) -> None:
    assert parse_destination(destination) == ObjectStoragePath(destination)


@pytest.mark.parametrize(
    ("destination", "message"),
    [
        ("s3://lake/a//b", "an empty part"),
        ("s3://lake//", "an empty part"),
        ("s3://c@/a", "an empty part"),
        ("s3://None/a", "the part 'None'"),
        ("file:////x", "an empty part"),
        ("/x/day=", "the part 'day='"),
        ("/x/day=/y", "the part 'day='"),
        ("s3://lake/day=None", "the part 'day=None'"),
        ("/x/None/y", "the part 'None'"),
        ("/x/../y", "the part '..'"),
    ],
)
def test_destinations_with_a_part_that_rendered_to_nothing(destination: str, message: str) -> None:
    with pytest.raises(AworkConfigError, match=re.escape(message)):
        parse_destination(destination)


@pytest.mark.parametrize(
    ("destination", "column"),
    [
        ("/x/work_date=2026-11-26", "work_date"),
        ("/x/work_date=2026-11-26/part=1", "work_date"),
        ("/x/day=2026-11-26", None),
        ("/x/work_date", None),
    ],
)
def test_a_folder_that_shadows_a_column(destination: str, column: str | None) -> None:
    assert find_shadowed_column(destination, ["id", "work_date"]) == column


@pytest.mark.parametrize(
    ("destination", "uri"),
    [
        ("s3://c@lake", "s3://lake/"),
        ("s3://c@lake/", "s3://lake/"),
        ("s3://c@lake/a/b/", "s3://lake/a/b/"),
        ("abfs://c@container/a", "abfs://container/a/"),
        ("file:///data/x", "file:///data/x/"),
        ("/data/x", "file:///data/x/"),
    ],
)
def test_uris_of_files(destination: str, uri: str) -> None:
    name = "part-00000-0123456789ab.parquet"
    file = PublishedFile(name=name, rows=1, bytes=1, sha256="0" * 64)
    assert file_uris(ObjectStoragePath(destination), [file]) == [uri + name]
