"""
The ids of a published set of time entries, read back from its files.

All files are read and checked before the first id is given, so that nobody acts on half a set. The ids wait in a local
file, so memory does not grow with their number.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import msgspec

from airflow_provider_awork.billing.entry_keys import EntryKey
from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.exceptions import AworkConfigError, AworkPublishError
from airflow_provider_awork.files.formats import Compression, FileFormat, check_format
from airflow_provider_awork.files.manifest import MANIFEST_NAME, Manifest, fetch_files, read_manifest, set_sha256

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

COLUMNS = list(EntryKey.__struct_fields__)
BATCH_ROWS = 5_000

_decode = json_text.decoder(EntryKey)


class PublishedKeys(Collection[EntryKey]):
    """The entries of a set, in the order of its files; iterate as often as you like. Made by :func:`read_keys`."""

    def __init__(self, file: Path, rows: int) -> None:
        self._file = file
        self._rows = rows

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[EntryKey]:
        with self._file.open("rb") as lines:
            yield from map(_decode, lines)

    def __contains__(self, key: object) -> bool:
        return any(each == key for each in self)


def read_keys(
    destination: ObjectStoragePath, *, folder: Path, workspace_id: str | None, sha256: str | None = None
) -> PublishedKeys:
    """
    Read which entries a published set holds, and in which versions.

    :param destination: the prefix that holds the manifest.
    :param folder: existing local folder for the ids and for one data file at a time.
    :param workspace_id: the workspace that the set must be of.
    :param sha256: the digest that the set must have (see :func:`.set_sha256`); None takes the set that is there.
    :raises AworkConfigError: there is no manifest, or it is of another list, workspace or set.
    :raises AworkPublishError: a file is missing or holds other bytes than the manifest says.
    :raises AworkMissingExtraError: a library for the format is missing; the message has the line to run.
    """
    manifest = _checked_manifest(destination, workspace_id, sha256)
    check_format(manifest.file_format, manifest.compression)
    file = folder / "keys.ndjson"
    with file.open("wb") as keys:
        for published, copy in fetch_files(destination, manifest, folder):
            try:
                rows = _copy_keys(_keys_in(copy, manifest.file_format, manifest.compression), keys)
            except msgspec.DecodeError as error:
                raise AworkPublishError(
                    f"{destination / published.name} holds a time entry that is not as documented: {error}"
                ) from None
            if rows != published.rows:
                raise AworkPublishError(
                    f"{destination / published.name} holds {rows} time entries, its manifest says {published.rows}"
                )
    return PublishedKeys(file, manifest.rows)


def _copy_keys(keys: Iterator[EntryKey], file: BinaryIO) -> int:
    rows = 0
    for key in keys:
        file.write(msgspec.json.encode(key) + b"\n")
        rows += 1
    return rows


def _checked_manifest(destination: ObjectStoragePath, workspace_id: str | None, sha256: str | None) -> Manifest:
    manifest = read_manifest(destination)
    if manifest is None:
        raise AworkConfigError(
            f"manifest: {destination} holds no {MANIFEST_NAME}, so no complete set of time entries is published there. "
            "Pass the transfer's output or its destination, and let the transfer finish first."
        )
    listed, source = manifest.source.list_path, manifest.source.workspace_id
    if not listed.endswith("timeentries"):
        raise AworkConfigError(f"manifest: {destination} holds awork's list {listed}, not time entries")
    if source is None or source != workspace_id:
        raise AworkConfigError(
            f"manifest: {destination} was exported from workspace {source}, but the connection's key belongs to "
            f"workspace {workspace_id}. Use the connection that the export used."
        )
    if sha256 is not None and set_sha256(manifest.files) != sha256:
        raise AworkConfigError(
            f"manifest: {destination} holds another set of time entries than the export that this task was given: it "
            "was exported again meanwhile. Find out which of both sets was worked with, and give each run a "
            "destination of its own."
        )
    return manifest


def _keys_in(file: Path, file_format: str, compression: str) -> Iterator[EntryKey]:
    if file_format == FileFormat.PARQUET:
        return _keys_in_parquet(file)
    reader = _keys_in_csv if file_format == FileFormat.CSV else _keys_in_ndjson
    return reader(file, compression)


def _keys_in_ndjson(file: Path, compression: str) -> Iterator[EntryKey]:
    with _unpacked(file, compression) as lines:
        yield from map(_decode, lines)


def _keys_in_csv(file: Path, compression: str) -> Iterator[EntryKey]:
    csv.field_size_limit(sys.maxsize)  # notes can be longer than its default of 128 KB
    with _unpacked(file, compression) as data, io.TextIOWrapper(data, encoding="utf-8-sig", newline="") as text:
        for row in csv.DictReader(text):
            yield _key_of({name: row[name] or None for name in COLUMNS})


def _keys_in_parquet(file: Path) -> Iterator[EntryKey]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(batch_size=BATCH_ROWS, columns=COLUMNS):
            yield from map(_key_of, batch.to_pylist())


def _key_of(row: Mapping[str, Any]) -> EntryKey:
    return msgspec.convert({_CAMEL[name]: value for name, value in row.items()}, EntryKey, strict=False)


_CAMEL = dict(zip(EntryKey.__struct_fields__, EntryKey.__struct_encode_fields__, strict=True))


def _unpacked(file: Path, compression: str) -> BinaryIO:
    if compression == Compression.GZIP:
        return cast(BinaryIO, gzip.open(file, "rb"))
    if compression == Compression.ZSTD:
        import zstandard

        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, zstandard.open(file, "rb"))))
    return file.open("rb")
