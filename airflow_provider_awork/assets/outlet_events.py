"""What an export tells those who wait for its outlets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.definitions.asset import AssetRef

if TYPE_CHECKING:
    from airflow.sdk import Context

IN_EVENTS = ("destination", "manifest", "files", "rows", "bytes", "window", "watermark")


def tell_outlets(context: Context, outlets: Iterable[Any], summary: Mapping[str, Any]) -> None:
    """
    Put what was published into the events of a task's outlets.

    An asset's event has it in ``extra``. An alias has an event of the asset of the destination, which is named by its
    URI without a connection id: one asset for each destination, so a templated destination registers one with each run.
    Outlets that Airflow has no events of, such as a text or ``Asset & Asset``, are passed over.

    :param context: of the task that ends well.
    :param outlets: its outlets.
    :param summary: of the manifest.
    """
    extra = {key: summary[key] for key in IN_EVENTS}
    for outlet in outlets:
        if isinstance(outlet, AssetAlias):
            context["outlet_events"][outlet].add(Asset(uri=_without_connection(summary["destination"])), extra=extra)
        elif isinstance(outlet, Asset | AssetRef):
            context["outlet_events"][outlet].extra.update(extra)


def _without_connection(destination: str) -> str:
    uri = urlsplit(destination)
    return uri._replace(netloc=uri.netloc.rpartition("@")[2]).geturl()
