"""What the transfers from awork to object storage have in common."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_awork.exceptions import AworkConfigError, AworkEmptyError, AworkPublishError
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.operators.base import AworkStoppableOperator

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_awork.client.lists.rows import RowReader
    from airflow_provider_awork.columns.time_entry import RowModel
    from airflow_provider_awork.files.manifest import ManifestBody
    from airflow_provider_awork.files.marker import Owner
    from airflow_provider_awork.transfers.lineage import ExportLineage
    from airflow_provider_awork.windows.window import Window

# A path without a scheme would be seen from the worker's current folder, and file:// without a third slash, too.
_ABSOLUTE = re.compile(r"/|(?:file|local)://(?:[^/]*@)?/|(?!(?:file|local):)[a-z][a-z0-9+.-]*://.", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Export:
    """
    What one run exports.

    :param list: path of the list below the base URL.
    :param model: what its rows are.
    :param read: starts to read them.
    :param window: what they are limited to.
    :param source: what the manifest says of the list beside its path.
    :param folder: name of the prefix below the destination that it is written to; empty for the destination itself.
    """

    list: str
    model: RowModel
    read: Callable[[], RowReader]
    window: Window | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    folder: str = ""


class AworkToObjectStorageOperator(AworkStoppableOperator):
    """
    Base of the transfers: takes the parameters of the output, and publishes what a subclass exports.

    Parameters as in :class:`~airflow_provider_awork.transfers.awork_to_object_storage\
.AworkTimeEntriesToObjectStorageOperator`.
    """

    template_fields: Sequence[str] = (
        "destination",
        "filterby",
        "file_format",
        "compression",
        "spool_folder",
        "awork_conn_id",
    )
    #: Parameters that are not templated: the text ``False`` would count as true.
    flags: Sequence[str] = ("csv_formula_guard", "fail_if_empty")
    _lineage: ExportLineage | None = None

    def __init__(
        self,
        *,
        destination: str | ObjectStoragePath,
        filterby: str | None = None,
        file_format: str = "ndjson",
        compression: str | None = None,
        max_rows_per_file: int | None = 250_000,
        csv_formula_guard: bool = False,
        max_concurrent_requests: int | None = None,
        fail_if_empty: bool = False,
        spool_folder: str | None = None,
        awork_conn_id: str = AworkHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.destination = destination
        self.filterby = filterby
        self.file_format = file_format
        self.compression = compression
        self.max_rows_per_file = max_rows_per_file
        self.csv_formula_guard = csv_formula_guard
        self.max_concurrent_requests = max_concurrent_requests
        self.fail_if_empty = fail_if_empty
        self.spool_folder = spool_folder
        self.awork_conn_id = awork_conn_id

    def check_parameters(self) -> None:
        """
        Check the parameters of the output.

        :raises AworkConfigError: one cannot work.
        :raises AworkMissingExtraError: a library is missing.
        """
        from airflow_provider_awork.client.entries.arguments import checked_flag
        from airflow_provider_awork.files.writers import check_format

        if not _ABSOLUTE.match(str(self.destination).strip()):
            raise AworkConfigError(
                f"destination: {str(self.destination)!r} has no scheme and is no absolute path; pass a prefix such as "
                "s3://aws_default@bucket/awork or file:///data/awork"
            )
        for name, most in (("max_rows_per_file", None), ("max_concurrent_requests", 50)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1 or (most and value > most)):
                upto = f" up to {most}" if most else ""
                raise AworkConfigError(f"{name}: {value!r} is not a positive whole number{upto}")
        for name in self.flags:
            checked_flag(getattr(self, name), name)
        check_format(self.file_format, self.compression)

    def publish(self, context: Context, export: Export) -> dict[str, Any]:
        """
        Write all rows of an export to the destination, as one set of files.

        :return: the manifest's summary.
        """
        from airflow_provider_awork.files.export import export_rows
        from airflow_provider_awork.files.publisher import Publisher
        from airflow_provider_awork.files.spool import spool_folder

        started = time.monotonic()
        destination = self.destination_path(export.folder)
        with (
            self.stoppable(),
            Publisher(destination, owner=_owner(context)) as publisher,
            spool_folder(Path(self.spool_folder) if self.spool_folder else None) as spool,
        ):
            reader = export.read()
            self._lineage = self._lineage_of(export, destination)
            unknown_fields = export_rows(
                reader,
                publisher,
                session=self.hook.client.session,
                spool=spool,
                model=export.model,
                file_format=self.file_format,
                compression=self.compression,
                max_rows_per_file=self.max_rows_per_file,
                csv_formula_guard=self.csv_formula_guard,
            )
            if self.fail_if_empty and not reader.rows:
                raise AworkEmptyError(
                    f"No {export.model.name} matches (filterby {self.filterby!r}, window {export.window})"
                )
            if export.folder:
                self._check_rights_are_kept()
            manifest = publisher.commit(self._manifest(export, reader, unknown_fields, time.monotonic() - started))
        summary = self._tell(context, export, destination, manifest)
        self.log.info(
            "%s rows in %d files, %s bytes, %d requests, %.1f s "
            "(%.0f rows a second, %.1f s waited for the rate limit): %s",
            f"{summary['rows']:,}",
            summary["files"],
            f"{summary['bytes']:,}",
            summary["requests"],
            summary["seconds"],
            summary["rows"] / max(summary["seconds"], 0.001),
            self.hook.client.session.limiter.waited_seconds,
            summary["manifest"],
        )
        return summary

    def _check_rights_are_kept(self) -> None:
        """What a key stopped to see while it read would be missing from its window for good."""
        from airflow_provider_awork.client.identity import visible_entries

        before, now = (visible_entries(each.to_dict()) for each in (self.hook.identity, self.hook.client.identity()))
        if before != now:
            raise AworkConfigError(
                f"awork_conn_id: the key saw {before!r} of the time entries at first, {now!r} at last; "
                "nothing is published. Give its rights back and clear the task"
            )

    def published(self, context: Context, export: Export) -> dict[str, Any] | None:
        """
        What :meth:`publish` gives, if the set lies there whole already, in this format; else None.

        For an export whose folder is named by its window, which an earlier try or run may have filled.

        :raises AworkConfigError: a set of another workspace, list or key lies there.
        """
        from airflow_provider_awork.files.manifest import verify_manifest
        from airflow_provider_awork.files.writers import check_format

        destination = self.destination_path(export.folder)
        try:
            manifest = verify_manifest(destination)
        except (AworkPublishError, PermissionError) as error:  # publishing explains what is in the way
            self.log.debug("No earlier try has published this: %s", error)
            return None
        there, here = (_origin(source) for source in (manifest["source"], self._source(export)))
        if there != here:
            raise AworkConfigError(
                f"destination: {destination} holds a set of {there}, and this run is of {here}. Give each export a "
                "destination of its own, or remove that folder to export it again"
            )
        if (manifest["format"], manifest["compression"]) != check_format(self.file_format, self.compression):
            return None
        self.log.info("The set is published already: %s", destination)
        return self._tell(context, export, destination, manifest)

    def _tell(
        self, context: Context, export: Export, destination: ObjectStoragePath, manifest: dict[str, Any]
    ) -> dict[str, Any]:
        """Tell lineage and outlets what is published; give its summary."""
        from airflow_provider_awork.assets.outlet_events import tell_outlets

        self._lineage = self._lineage_of(export, destination, manifest)
        summary = summary_of(manifest, str(destination))
        tell_outlets(context, self.outlets, summary)
        return summary

    def _lineage_of(
        self, export: Export, destination: ObjectStoragePath, manifest: dict[str, Any] | None = None
    ) -> ExportLineage:
        from airflow_provider_awork.transfers.lineage import ExportLineage

        return ExportLineage(
            identity=self.hook.identity,
            list=export.list,
            model=export.model,
            destination=destination,
            manifest=manifest,
        )

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """
        The list that was read and the set that was written; after a failure, which leaves the former set, the list.

        OpenLineage asks for this in place of what it has seen of the files that were opened.
        """
        from airflow.providers.openlineage.extractors import OperatorLineage

        return self._lineage.to_openlineage() if self._lineage else OperatorLineage()

    def _manifest(
        self, export: Export, reader: RowReader, unknown_fields: Mapping[str, int], seconds: float
    ) -> ManifestBody:
        from airflow_provider_awork.files.writers import check_format

        file_format, compression = check_format(self.file_format, self.compression)
        return {
            "format": file_format,
            "compression": compression,
            "window": export.window.to_dict() if export.window else None,
            "filterby": self.filterby,
            "watermark": reader.frontier and f"{reader.frontier}Z",
            "source": self._source(export),
            "columns": columns_of(export.model, file_format),
            "unknown_fields": unknown_fields,
            "run": {
                "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "seconds": round(seconds, 3),
                "requests": self.hook.client.session.requests_sent,
                "rereads": reader.rereads,
            },
        }

    def _source(self, export: Export) -> dict[str, Any]:
        return {
            "base_url": self.hook.config.base_url,
            "list": export.list,
            **export.source,
            **self.hook.identity.to_dict(),
        }

    def destination_path(self, folder: str = "") -> ObjectStoragePath:
        """The destination, or a folder below it."""
        from airflow.sdk import ObjectStoragePath

        try:
            given = self.destination.strip() if isinstance(self.destination, str) else self.destination
            return ObjectStoragePath(given).joinpath(*filter(None, [folder]))
        except ValueError as error:
            raise AworkConfigError(
                f"destination: {self.destination!r} is not a prefix such as s3://conn_id@bucket/prefix ({error})"
            ) from None


def columns_of(model: RowModel, file_format: str) -> list[dict[str, str]] | None:
    """Names and types of the columns for the manifest; None for NDJSON, which has none."""
    if file_format == "ndjson":
        return None
    return [{"name": column.name, "type": column.type.value} for column in model.columns]


def summary_of(manifest: dict[str, Any], destination: str) -> dict[str, Any]:
    """What an XCom should carry of a manifest."""
    from airflow_provider_awork.files.manifest import set_sha256

    return {
        "destination": destination,
        "manifest": f"{destination.rstrip('/')}/_manifest.json",
        "files": len(manifest["files"]),
        "sha256": set_sha256(manifest),
        **{key: manifest[key] for key in ("rows", "bytes", "window", "watermark")},
        **{key: manifest["run"][key] for key in ("requests", "seconds")},
    }


def _origin(source: Mapping[str, Any]) -> str:
    """What two sets of one window must have in common to be the same; from a manifest's ``source``."""
    from airflow_provider_awork.client.identity import visible_entries

    key = f"a key that sees {visible_entries(source)!r} of the time entries"
    return f"{source['list']} of workspace {source['workspace_id']}, by {key}"


def _owner(context: Context) -> Owner:
    from airflow_provider_awork.files.marker import Owner

    instance = context["ti"]
    return Owner(
        dag_id=instance.dag_id,
        run_id=instance.run_id,
        task_id=instance.task_id,
        map_index=-1 if instance.map_index is None else instance.map_index,
        try_number=instance.try_number,
    )
