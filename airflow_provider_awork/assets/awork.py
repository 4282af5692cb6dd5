"""awork's lists as assets: ``awork://my-agency.awork.com/timeentries``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import Asset

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from airflow.providers.common.compat.openlineage.facet import Dataset

EXAMPLE = "awork://my-agency.awork.com/timeentries"


def create_asset(*, workspace: str, resource: str = "timeentries", extra: dict[str, Any] | None = None) -> Asset:
    """
    The asset of a list.

    >>> create_asset(workspace="my-agency.awork.com").uri
    'awork://my-agency.awork.com/timeentries'

    :param workspace: the host under which people find the workspace.
    :param resource: path of the list below awork's base URL.
    :param extra: of the asset.
    """
    return Asset(uri=f"awork://{workspace}/{resource}", extra=extra)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """
    Bring a URI into the one form of its list; Airflow calls it for each asset with the scheme ``awork``.

    :raises ValueError: it does not name a workspace and a list, or more than these.
    """
    if not uri.netloc or not uri.path.strip("/"):
        raise ValueError(f"An awork:// URI needs a workspace and a list, such as {EXAMPLE}")
    if "@" in uri.netloc:
        raise ValueError(f"An awork:// URI names a workspace, not who connects to it, such as {EXAMPLE}")
    if uri.query:
        raise ValueError(f"An awork:// URI names a whole list, without a query, such as {EXAMPLE}")
    return uri._replace(netloc=uri.netloc.lower(), path=f"/{uri.path.strip('/')}", fragment="")


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> Dataset:
    """
    The OpenLineage dataset of an asset with the scheme ``awork``.

    :param lineage_context: what Airflow passes: the hook or operator that has to do with it.
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset  # an optional provider

    uri = urlsplit(asset.uri)
    return Dataset(namespace=f"awork://{uri.netloc}", name=uri.path.strip("/"))
