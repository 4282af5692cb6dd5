"""Why awork refused a request for a page."""

from __future__ import annotations

from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.client.lists.answers import decode_page
from airflow_provider_awork.client.lists.bounds import Bounds
from airflow_provider_awork.exceptions import AworkAssumptionError, AworkFilterError, AworkRequestError


def explain_refusal(
    session: AworkSession,
    path: str,
    error: AworkFilterError,
    *,
    filterby: str | None,
    bounds: Bounds | None,
    is_anchored: bool,
    order_by_id: bool,
) -> AworkRequestError | AworkAssumptionError:
    """
    Return the error to raise: awork refused our order, our anchor, or the filter that was passed in.

    :param filterby: the filter that was passed in.
    :param bounds: the window in it.
    :param is_anchored: whether the page had our filter on ``createdOn``.
    :param order_by_id: whether the page was ordered by ``createdOn,id``.
    """
    if is_anchored:
        return AworkAssumptionError(
            f"awork does not filter {path} by createdOn\n"
            "Set the connection extra anchor_on_created_on to false: pages are then found by offset alone, with more "
            f"requests when entries change.\n{error}"
        )
    if bounds and not accepts(session, path, filterby=bounds.filterby()):
        return not_filterable(bounds.field, error)
    if not accepts(session, path, filterby=filterby):
        return error
    if order_by_id and accepts(session, path, filterby=filterby, orderby="createdOn"):
        return AworkAssumptionError(
            f"awork does not order {path} by a second term\nSet the connection extra order_by_id to false.\n{error}"
        )
    return AworkAssumptionError(
        f"awork does not order {path} by createdOn\nWithout that order, it cannot be read exactly.\n{error}"
    )


def not_filterable(field: str, error: AworkFilterError) -> AworkAssumptionError:
    """Return the error for a field of a window that awork does not filter time entries by."""
    return AworkAssumptionError(
        f"awork does not filter time entries by {field}\n"
        "Export a rolling window instead, such as the last 60 days by window_field='startDateLocal', to a prefix of "
        f"each run, and upsert by id.\n{error}"
    )


def accepts(session: AworkSession, path: str, *, filterby: str | None = None, orderby: str | None = None) -> bool:
    """Whether awork accepts a filter and an order."""
    query = {"page": 1, "pageSize": 1, "filterby": filterby, "orderby": orderby}
    try:
        session.get(path, query, parse=decode_page)
    except AworkFilterError:
        return False
    return True
