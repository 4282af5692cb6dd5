"""The rows around a window: they show whether awork leaves some of the window out."""

from __future__ import annotations

from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.client.lists.answers import page_decoder
from airflow_provider_awork.client.lists.bounds import Bounds
from airflow_provider_awork.client.lists.conditions import Condition
from airflow_provider_awork.client.lists.filters import all_of
from airflow_provider_awork.client.lists.pages import PAGE_SIZE, Page
from airflow_provider_awork.exceptions import AworkFilterError


def check_flanks(session: AworkSession, path: str, bounds: Bounds, *, filterby: str | Condition | None) -> None:
    """
    Prove that no row is left out at the bounds of a window.

    That takes one request. If the rows around the window do not fit into its page, one more for each bound finds the
    row next to it.

    :param path: the list, below the base URL.
    :param bounds: the window.
    :param filterby: the filter beside the window.
    :raises AworkAssumptionError: a row is left out.
    """
    decode = page_decoder(bounds.field)

    def fetch(part: str, **query: object) -> Page:
        return session.get(path, {"page": 1, "filterby": all_of(filterby, part), **query}, parse=decode)

    around = fetch(bounds.flanks(), pageSize=PAGE_SIZE)
    bounds.check_outside(around.values)
    if around.total is not None and len(around.rows) >= around.total:
        return
    for part, direction in bounds.neighbours():
        try:
            nearest = fetch(part, pageSize=1, orderby=f"{bounds.field} {direction}")
        except AworkFilterError:  # the order: the filter is known to work
            nearest = fetch(part, pageSize=1, orderby=f"createdOn {direction}")
        bounds.check_outside(nearest.values)
