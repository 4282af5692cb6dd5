"""What the transfers from awork to object storage have in common."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_awork.assets.outlet_events import tell_outlets
from airflow_provider_awork.client.entries.arguments import checked_flag
from airflow_provider_awork.client.identity import require_same_visibility
from airflow_provider_awork.exceptions import AworkConfigError, AworkEmptyError, AworkPublishError
from airflow_provider_awork.files.export import export_rows
from airflow_provider_awork.files.manifest import Manifest, ManifestRun, ManifestSource, verify_manifest
from airflow_provider_awork.files.marker import Owner
from airflow_provider_awork.files.publisher import Publisher
from airflow_provider_awork.files.spool import spool_folder
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.operators.base import AworkStoppableOperator
from airflow_provider_awork.transfers.export import Export, build_manifest, summarize
from airflow_provider_awork.transfers.lineage import ExportLineage
from airflow_provider_awork.transfers.output import Output, checked_count

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_awork.client.lists.rows import RowReader


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

    def checked_output(self) -> Output:
        """
        Check the parameters, and give those of the output.

        :raises AworkConfigError: one cannot work.
        :raises AworkMissingExtraError: a library is missing.
        """
        checked_count(self.max_concurrent_requests, "max_concurrent_requests", most=50)
        for name in self.flags:
            checked_flag(getattr(self, name), name)
        return Output.checked(
            destination=self.destination,
            file_format=self.file_format,
            compression=self.compression,
            max_rows_per_file=self.max_rows_per_file,
            csv_formula_guard=self.csv_formula_guard,
            spool_folder=self.spool_folder,
        )

    def publish(self, context: Context, export: Export, output: Output) -> dict[str, Any]:
        """
        Write all rows of an export to the destination, as one set of files.

        :return: the manifest's summary.
        """
        started = time.monotonic()
        destination, owner = output.path(export.folder), _owner(context)
        with (
            self.stoppable(),
            Publisher(destination, owner=owner) as publisher,
            spool_folder(output.spool_folder) as spool,
        ):
            reader = export.read()
            self._lineage = self._lineage_of(export, destination)
            unknown_fields = export_rows(
                reader,
                publisher,
                session=self.hook.client.session,
                spool=spool,
                model=export.model,
                file_format=output.kind.file_format,
                compression=output.kind.compression,
                max_rows_per_file=output.max_rows_per_file,
                csv_formula_guard=output.csv_formula_guard,
            )
            self._check_rows(export, reader)
            manifest = build_manifest(
                export,
                files=publisher.files,
                kind=output.kind,
                reader=reader,
                source=self._source(export),
                unknown_fields=unknown_fields,
                run=self._run(owner, reader, seconds=time.monotonic() - started),
            )
            publisher.commit(manifest)
        summary = self._report(context, export, destination, manifest)
        self._log_summary(summary)
        return summary

    def published(self, context: Context, export: Export, output: Output) -> dict[str, Any] | None:
        """
        What :meth:`publish` gives, if the whole set is published already, in this format; else None.

        For an export whose folder is named by its window, which an earlier try or run may have filled.

        :raises AworkConfigError: a set of another workspace, list or key lies there.
        """
        destination = output.path(export.folder)
        try:
            manifest = verify_manifest(destination)
        except (AworkPublishError, PermissionError) as error:  # publishing explains what is in the way
            self.log.debug("No earlier try has published this: %s", error)
            return None
        there, here = manifest.source.origin, self._source(export).origin
        if there != here:
            raise AworkConfigError(
                f"destination: {destination} holds a set of {there}, and this run is of {here}. Give each export a "
                "destination of its own, or remove that folder to export it again"
            )
        if (manifest.file_format, manifest.compression) != output.kind:
            return None
        self.log.info("The set is published already: %s", destination)
        return self._report(context, export, destination, manifest)

    def _check_rows(self, export: Export, reader: RowReader) -> None:
        """Check what was read, before anything is published."""
        if self.fail_if_empty and not reader.rows:
            raise AworkEmptyError(
                f"No {export.model.name} matches (filterby {export.filterby!r}, window {export.window})"
            )
        if export.folder:  # one of many windows that follow one another: nothing reads this one again
            require_same_visibility(self.hook.identity.visibility, self.hook.client.identity().visibility)

    def _run(self, owner: Owner, reader: RowReader, *, seconds: float) -> ManifestRun:
        return ManifestRun(
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(seconds, 3),
            requests=self.hook.client.session.requests_sent,
            rereads=reader.rereads,
            owner=owner,
        )

    def _source(self, export: Export) -> ManifestSource:
        return export.source(self.hook.identity, base_url=self.hook.config.base_url)

    def _report(
        self, context: Context, export: Export, destination: ObjectStoragePath, manifest: Manifest
    ) -> dict[str, Any]:
        """Report what is published to lineage and outlets; return its summary."""
        self._lineage = self._lineage_of(export, destination, manifest)
        summary = summarize(manifest, str(destination))
        tell_outlets(context, self.outlets, summary)
        return summary

    def _log_summary(self, summary: dict[str, Any]) -> None:
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

    def _lineage_of(
        self, export: Export, destination: ObjectStoragePath, manifest: Manifest | None = None
    ) -> ExportLineage:
        return ExportLineage(
            identity=self.hook.identity,
            list_path=export.list_path,
            model=export.model,
            destination=destination,
            manifest=manifest,
        )

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """
        The list that was read and the set that was written; after a failure, which leaves the former set, the list.

        OpenLineage asks for this in place of what it has seen of the files that were opened.
        """
        from airflow.providers.openlineage.extractors import OperatorLineage  # an optional provider

        return self._lineage.to_openlineage() if self._lineage else OperatorLineage()


def _owner(context: Context) -> Owner:
    instance = context["ti"]
    return Owner(
        dag_id=instance.dag_id,
        run_id=instance.run_id,
        task_id=instance.task_id,
        map_index=-1 if instance.map_index is None else instance.map_index,
        try_number=instance.try_number,
    )
