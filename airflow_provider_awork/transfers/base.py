"""What the transfers from awork to object storage have in common."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_awork.assets.outlet_events import tell_outlets
from airflow_provider_awork.client.entries.arguments import checked_flag
from airflow_provider_awork.client.lists.conditions import Condition
from airflow_provider_awork.client.lists.filters import filter_text
from airflow_provider_awork.client.selection import refuse_blank_parameters
from airflow_provider_awork.exceptions import AworkEmptyError, AworkPublishError
from airflow_provider_awork.files.export import export_rows
from airflow_provider_awork.files.manifest import (
    Manifest,
    ManifestRun,
    ManifestSource,
    identify,
    verify_manifest,
)
from airflow_provider_awork.files.marker import Owner, require_other_run
from airflow_provider_awork.files.publisher import Publisher
from airflow_provider_awork.files.spool import spool_folder
from airflow_provider_awork.files.succession import Replace, Succession, another_set, compare
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.links.files import FilesLink
from airflow_provider_awork.operators.base import AworkStoppableOperator
from airflow_provider_awork.transfers.destination import find_shadowed_column
from airflow_provider_awork.transfers.export import Export, build_manifest, check_misfits, summarize
from airflow_provider_awork.transfers.lineage import ExportLineage
from airflow_provider_awork.transfers.output import Output, checked_count
from airflow_provider_awork.version_compat import partition_of

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_awork.client.lists.rows import RowReader


class AworkToObjectStorageOperator(AworkStoppableOperator):
    """
    Base of the transfers: takes the parameters of the output, and publishes what a subclass exports.

    Parameters as in :class:`~airflow_provider_awork.transfers.awork_to_object_storage\
.AworkTimeEntriesToObjectStorageOperator`.
    """

    operator_extra_links = (*AworkStoppableOperator.operator_extra_links, FilesLink())
    #: Where the files are written, once that is known.
    located: ObjectStoragePath | None = None
    template_fields: Sequence[str] = (
        "destination",
        "filterby",
        "file_format",
        "compression",
        "spool_folder",
        "awork_conn_id",
    )
    #: Parameters that are not templated: the text ``False`` would count as true.
    flags: Sequence[str] = ("csv_formula_guard", "csv_bom", "fail_if_empty")
    #: Parameters whose blank text is an error: a template that rendered to nothing would export everything.
    texts: Sequence[str] = ("filterby", "project_id")
    #: Whether to publish although a field that money rests on does not fit its column.
    allow_misfits: bool = False
    _lineage: ExportLineage | None = None

    def __init__(
        self,
        *,
        destination: str | ObjectStoragePath,
        filterby: str | Condition | None = None,
        file_format: str = "ndjson",
        compression: str | None = None,
        max_rows_per_file: int | None = 250_000,
        csv_formula_guard: bool = False,
        csv_bom: bool = False,
        max_concurrent_requests: int | None = None,
        fail_if_empty: bool = False,
        replace: str = Replace.SUCCESSOR.value,
        max_shrink: float | None = 0.5,
        spool_folder: str | None = None,
        awork_conn_id: str = AworkHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.destination = destination
        self.filterby = filter_text(filterby)
        self.file_format = file_format
        self.compression = compression
        self.max_rows_per_file = max_rows_per_file
        self.csv_formula_guard = csv_formula_guard
        self.csv_bom = csv_bom
        self.max_concurrent_requests = max_concurrent_requests
        self.fail_if_empty = fail_if_empty
        self.replace = replace
        self.max_shrink = max_shrink
        self.spool_folder = spool_folder
        self.awork_conn_id = awork_conn_id

    def checked_output(self) -> Output:
        """
        Check the parameters, and give those of the output.

        :raises AworkConfigError: one cannot work.
        :raises AworkMissingExtraError: a library is missing.
        """
        refuse_blank_parameters(self, *self.texts)
        checked_count(self.max_concurrent_requests, "max_concurrent_requests", most=50)
        for name in self.flags:
            checked_flag(getattr(self, name), name)
        return Output.checked(
            destination=self.destination,
            file_format=self.file_format,
            compression=self.compression,
            max_rows_per_file=self.max_rows_per_file,
            csv_formula_guard=self.csv_formula_guard,
            csv_bom=self.csv_bom,
            spool_folder=self.spool_folder,
            replace=self.replace,
            max_shrink=self.max_shrink,
        )

    def publish(self, context: Context, export: Export, output: Output) -> dict[str, Any]:
        """
        Write all rows of an export to the destination, as one set of files.

        :return: the manifest's summary.
        """
        started = time.monotonic()
        destination, owner = self._locate(context, export, output), Owner.of(context["ti"])
        self.located = destination
        self._warn_of_shadowed_column(export, output, destination)
        _ = self.hook.config  # a connection that cannot work fails the task before the destination is claimed
        export = self.await_complete(export)
        with (
            self.stoppable(),
            Publisher(
                destination, owner=owner, succession=lambda: self._succession(export, output, owner)
            ) as publisher,
            spool_folder(output.spool_folder) as spool,
        ):
            # The window is over: a set that stands has more of its changes than are left in it now.
            if export.folder and (found := self.published(context, export, output)):
                publisher.keep_former()
                return found
            manifest = self._write(export, output, publisher, spool=spool, owner=owner, started=started)
            publisher.commit(manifest)
        summary = self._report(context, export, destination, manifest)
        self._log_summary(summary)
        return summary

    def await_complete(self, export: Export) -> Export:
        """Wait until all that belongs to an export is there; a list is complete at any time."""
        return export

    def _write(
        self, export: Export, output: Output, publisher: Publisher, *, spool: Path, owner: Owner, started: float
    ) -> Manifest:
        """Read all rows, put their files, and describe them."""
        self._lineage = self._lineage_of(export, publisher.destination)
        model = export.decode() if export.decode else export.model
        reader = export.read()
        leftovers = export_rows(
            reader,
            publisher,
            session=self.hook.client.session,
            spool=spool,
            model=model,
            file_format=output.kind.file_format,
            compression=output.kind.compression,
            max_rows_per_file=output.max_rows_per_file,
            csv_formula_guard=output.csv_formula_guard,
            csv_bom=output.csv_bom,
        )
        check_misfits(leftovers, model, allow=self.allow_misfits)
        self._check_rows(export, reader)
        return build_manifest(
            export,
            files=publisher.files,
            kind=output.kind,
            reader=reader,
            source=self._source(export),
            leftovers=leftovers,
            run=self._run(owner, reader, seconds=time.monotonic() - started),
        )

    def published(self, context: Context, export: Export, output: Output) -> dict[str, Any] | None:
        """
        What :meth:`publish` gives, if the whole set is published already, in this format; else None.

        For an export whose folder is named by its window, which an earlier try or run may have filled.

        :raises AworkConfigError: another set lies there, such as that of another workspace, list or key.
        """
        destination = self._locate(context, export, output)
        try:
            manifest = verify_manifest(destination)
        except (AworkPublishError, PermissionError) as error:  # publishing explains what is in the way
            self.log.debug("No earlier try has published this: %s", error)
            return None
        succession = self._succession(export, output, Owner.of(context["ti"]))
        if differences := compare(manifest.identity, succession.identity):
            if output.replace is Replace.ANY:
                return None
            raise another_set(manifest.former_set, succession.identity, differences, destination)
        require_other_run(manifest.run.owner, succession.owner, destination)
        if (manifest.file_format, manifest.compression) != output.kind:
            return None
        self.log.info("The set is published already: %s", destination)
        return self._report(context, export, destination, manifest)

    def _locate(self, context: Context, export: Export, output: Output) -> ObjectStoragePath:
        partition = partition_of(context)
        return output.locate(
            window=export.window, partition_key=partition.key if partition else None, folder=export.folder
        )

    def _warn_of_shadowed_column(self, export: Export, output: Output, destination: ObjectStoragePath) -> None:
        column = find_shadowed_column(str(destination), export.column_names(output.kind.file_format))
        if column:
            self.log.warning(
                "destination: DuckDB, pyarrow and pandas take the folder %s=... for the column of the files that has "
                "that name. Name the folder otherwise, such as day={window_start}",
                column,
            )

    def _succession(self, export: Export, output: Output, owner: Owner) -> Succession:
        identity = identify(self._source(export), filterby=export.filterby, window=export.manifest_window)
        return Succession(identity=identity, owner=owner, replace=output.replace, max_shrink=output.max_shrink)

    def _check_rows(self, export: Export, reader: RowReader) -> None:
        """Check what was read, before anything is published."""
        if self.fail_if_empty and not reader.rows:
            raise AworkEmptyError(
                f"No {export.model.name} matches (filterby {export.filterby!r}, window {export.window})"
            )

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
        summary = summarize(manifest, destination)
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
