"""What one run of a transfer exports, and what its manifest and its XCom say of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_awork.exceptions import AworkMisfitError
from airflow_provider_awork.files.formats import FileFormat, OutputFormat
from airflow_provider_awork.files.manifest import (
    MANIFEST_NAME,
    MANIFEST_SCHEMA_VERSION,
    THIS_SOFTWARE,
    Manifest,
    ManifestColumn,
    ManifestRun,
    ManifestSource,
    ManifestWindow,
    set_sha256,
)
from airflow_provider_awork.transfers.destination import file_uris

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_awork.client.identity import Identity
    from airflow_provider_awork.client.lists.rows import RowReader
    from airflow_provider_awork.columns.leftovers import Leftovers
    from airflow_provider_awork.columns.model import RowModel
    from airflow_provider_awork.files.manifest import PublishedFile
    from airflow_provider_awork.windows.window import Window


log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Export:
    """
    What one run exports.

    :param list_path: path of the list below the base URL.
    :param model: what its rows are.
    :param read: starts to read them.
    :param decode: makes the model that decodes them, if that takes requests to awork; None takes ``model``.
    :param query_params: the list's query parameters; unset for time entries.
    :param filterby: the caller's filter.
    :param window: what the rows are limited to.
    :param open_window: whether rows may still come into the window.
    :param sees_all_rows: as in :class:`.ManifestSource`.
    :param folder: name of the prefix below the destination that it is written to; empty for the destination itself.
    """

    list_path: str
    model: RowModel
    read: Callable[[], RowReader]
    decode: Callable[[], RowModel] | None = None
    query_params: Mapping[str, Any] | msgspec.UnsetType = msgspec.UNSET
    filterby: str | None = None
    window: Window | None = None
    open_window: bool = False
    sees_all_rows: bool | msgspec.UnsetType | None = msgspec.UNSET
    folder: str = ""

    @property
    def manifest_window(self) -> ManifestWindow | None:
        return msgspec.convert(self.window.to_dict(), ManifestWindow) if self.window else None

    def column_names(self, file_format: FileFormat) -> frozenset[str]:
        """The names that a reader of the files has as columns; NDJSON has those of awork's JSON."""
        if file_format is FileFormat.NDJSON:
            return frozenset(column.path.partition(".")[0] for column in self.model.columns)
        return frozenset(column.name for column in self.model.columns)

    def source(self, identity: Identity, *, base_url: str) -> ManifestSource:
        query = self.query_params
        return ManifestSource(
            base_url=base_url,
            list_path=self.list_path,
            query_params=query if query is msgspec.UNSET else {name: str(value) for name, value in query.items()},
            sees_all_rows=self.sees_all_rows,
            workspace_id=identity.workspace_id,
            workspace_name=identity.workspace_name,
            user_id=identity.user_id,
            name=identity.name,
            sees_all_entries=identity.sees_all_entries,
        )


def check_misfits(leftovers: Leftovers, model: RowModel, *, allow: bool) -> None:
    """
    Warn about values that do not fit their column; refuse them where money rests on them.

    :param allow: only warn.
    :raises AworkMisfitError: a strict field of the model has one.
    """
    refused = [] if allow else sorted(leftovers.misfits.keys() & model.strict)
    if refused:
        first, count = refused[0], leftovers.misfits[refused[0]]
        raise AworkMisfitError(
            f"{first}: {count:,} {'value misfits' if count == 1 else 'values misfit'}, such as in "
            f"{leftovers.misfit_ids[first]}\n"
            f"These values do not fit their columns: {leftovers.describe_misfits(refused)}. Sums would be wrong, so "
            "nothing is published. Fix the entries in awork, or pass allow_misfits=True: the columns are null then, "
            "and extra has what awork sent. file_format='ndjson' keeps everything as it is."
        )
    if leftovers.misfits:
        log.warning(
            "Values that do not fit their column are null there and kept in the column extra: %s",
            leftovers.describe_misfits(sorted(leftovers.misfits)),
        )


def build_manifest(
    export: Export,
    *,
    files: tuple[PublishedFile, ...],
    kind: OutputFormat,
    reader: RowReader,
    source: ManifestSource,
    leftovers: Leftovers,
    run: ManifestRun,
) -> Manifest:
    """Describe the files of an export."""
    return Manifest(
        schema_version=MANIFEST_SCHEMA_VERSION,
        created_by=THIS_SOFTWARE,
        files=files,
        rows=sum(file.rows for file in files),
        bytes=sum(file.bytes for file in files),
        file_format=kind.file_format,
        compression=kind.compression,
        window=export.manifest_window,
        open_window=export.open_window,
        filterby=export.filterby,
        watermark=reader.frontier and f"{reader.frontier}Z",
        source=source,
        columns=manifest_columns(export.model, kind.file_format),
        unknown_fields=dict(leftovers.unknown_fields),
        misfits=dict(leftovers.misfits),
        run=run,
    )


def manifest_columns(model: RowModel, file_format: FileFormat) -> tuple[ManifestColumn, ...] | None:
    """Names and types of the columns; None for NDJSON, which has none."""
    if file_format is FileFormat.NDJSON:
        return None
    return tuple(ManifestColumn(name=column.name, type=column.type.value) for column in model.columns)


def summarize(manifest: Manifest, destination: ObjectStoragePath) -> dict[str, Any]:
    """What an XCom carries of a manifest, in JSON types."""
    return {
        "destination": str(destination),
        "manifest": str(destination / MANIFEST_NAME),
        "files": len(manifest.files),
        "uris": file_uris(destination, manifest.files),
        "sha256": set_sha256(manifest.files),
        "rows": manifest.rows,
        "bytes": manifest.bytes,
        "misfits": manifest.misfits,
        "sees_all_rows": manifest.source.sees_whole_list,
        "window": manifest.window and msgspec.to_builtins(manifest.window),
        "watermark": manifest.watermark,
        "requests": manifest.run.requests,
        "seconds": manifest.run.seconds,
    }
