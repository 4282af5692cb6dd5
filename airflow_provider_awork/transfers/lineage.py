"""
Exports as OpenLineage datasets: the list that was read, and the set of files that was written.

Names follow https://openlineage.io/docs/spec/naming, in the way of Airflow's own asset converters, so that both sides
of a dataset meet. Functions import them, since OpenLineage's providers are optional.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_awork.columns.model import DERIVED

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import InputDataset, OutputDataset, SchemaDatasetFacet
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_awork.client.identity import Identity
    from airflow_provider_awork.columns.model import RowModel
    from airflow_provider_awork.files.manifest import Manifest

_STORES = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "local": "file", "abfs": "abfss"}


@dataclass(frozen=True, kw_only=True)
class ExportLineage:
    """
    What is known of an export.

    :param identity: who asked.
    :param list_path: path of the list below the base URL.
    :param model: what its rows are.
    :param destination: where the set lies.
    :param manifest: of the set; None as long as it is not published.
    """

    identity: Identity
    list_path: str
    model: RowModel
    destination: ObjectStoragePath
    manifest: Manifest | None = None

    def to_openlineage(self) -> OperatorLineage[Any, Any]:
        """The list as input and, once it is published, the set of files as output."""
        from airflow.providers.openlineage.extractors import OperatorLineage

        return OperatorLineage(inputs=[self._input()], outputs=[self._output(self.manifest)] if self.manifest else [])

    def _input(self) -> InputDataset:
        from airflow.providers.common.compat.openlineage.facet import InputDataset

        fields = [(column.path, column.type.value) for column in self.model.columns if column.path != DERIVED]
        return InputDataset(namespace=self._workspace(), name=self.list_path, facets={"schema": _schema(fields)})

    def _workspace(self) -> str:
        host = urlsplit(self.identity.workspace_url or "").netloc
        return f"awork://{host or self.identity.workspace_id or 'unknown'}"

    def _output(self, manifest: Manifest) -> OutputDataset:
        from airflow.providers.common.compat.openlineage.facet import (
            OutputDataset,
            OutputStatisticsOutputDatasetFacet,
        )

        namespace, name = dataset_name(self.destination)
        fields = [(column.name, column.type) for column in manifest.columns or ()]
        statistics = OutputStatisticsOutputDatasetFacet(
            rowCount=manifest.rows, size=manifest.bytes, fileCount=len(manifest.files)
        )
        return OutputDataset(
            namespace=namespace,
            name=name,
            facets={"schema": _schema(fields)} if fields else {},
            outputFacets={"outputStatistics": statistics},
        )


def dataset_name(path: ObjectStoragePath) -> tuple[str, str]:
    """
    OpenLineage's namespace and name of a prefix.

    >>> from airflow.sdk import ObjectStoragePath
    >>> dataset_name(ObjectStoragePath("gs://google_cloud_default@lake/awork/users"))
    ('gs://lake', 'awork/users')
    """
    store = _STORES.get(path.protocol, path.protocol)
    if store == "file":
        return "file", path.path
    if store == "abfss":
        account = path.fs.account_name or path.fs.service_client.account_name  # the latter of a connection string
        return f"abfss://{path.bucket}@{account}.dfs.core.windows.net", path.key or "/"
    return f"{store}://{path.bucket.rpartition('@')[2]}", path.key or "/"


def _schema(fields: Iterable[tuple[str, str]]) -> SchemaDatasetFacet:
    from airflow.providers.common.compat.openlineage.facet import SchemaDatasetFacet, SchemaDatasetFacetFields

    return SchemaDatasetFacet(fields=[SchemaDatasetFacetFields(name=name, type=kind) for name, kind in fields])
