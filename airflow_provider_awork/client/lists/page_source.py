"""The pages of one list endpoint, as :class:`.paging.PageReader` requests them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_awork.client.behaviour import AworkBehaviour
from airflow_provider_awork.client.http.answer import Answer
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.client.instants import second_of
from airflow_provider_awork.client.lists.answers import decode_page, page_decoder
from airflow_provider_awork.client.lists.bounds import Bounds
from airflow_provider_awork.client.lists.filters import all_of
from airflow_provider_awork.client.lists.flanks import check_flanks
from airflow_provider_awork.client.lists.literal_checks import check_bound
from airflow_provider_awork.client.lists.literals import compare_instant
from airflow_provider_awork.client.lists.pages import Page, PageRequest
from airflow_provider_awork.client.lists.refusals import explain_refusal
from airflow_provider_awork.exceptions import AworkFilterError

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PageSource:
    """
    Gets pages of a list endpoint.

    :param session: sends the requests.
    :param path: path below the base URL.
    :param behaviour: what is assumed of awork.
    :param filterby: only rows that match.
    :param params: further query parameters.
    :param bounds: the window that awork is asked for, beside ``filterby``; each answer is checked against it.
    """

    session: AworkSession
    path: str
    behaviour: AworkBehaviour
    filterby: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    bounds: Bounds | None = None

    def fetch(self, request: PageRequest) -> Page:
        """
        Get a page; an empty one if awork refuses the order of the newest rows, as no promise rests on them.

        :raises AworkFilterError: awork refuses the filter that was passed in.
        :raises AworkAssumptionError: awork refuses the order, the anchor or the window's field, or sends a row outside
            the window; the message names the way out.
        """
        try:
            page = self.session.get(self.path, self._query(request), parse=self._decode)
        except AworkFilterError as error:
            if request.newest_first:
                log.info("The end of %s is found without its newest rows: %s", self.path, error)
                return Page([], [], [])
            raise explain_refusal(
                self.session,
                self.path,
                error,
                filterby=self._expression,
                bounds=self.bounds,
                is_anchored=request.anchor is not None,
                order_by_id=self.behaviour.order_by_id,
            ) from error
        if self.bounds:
            self.bounds.check_inside(page.values)
        return page

    def check_bounds(self) -> None:
        """
        Prove that no row is left out at the bounds of the window, if there is one.

        :raises AworkAssumptionError: a row is left out.
        """
        if self.bounds:
            check_flanks(self.session, self.path, self.bounds, filterby=self.filterby)

    def check_anchor(self, request: PageRequest) -> None:
        """
        Prove that awork reads the anchor of a page as assumed, as far as the rows around it show.

        :raises AworkAssumptionError: it does not; the message names the way out.
        """
        if request.anchor is not None:
            anchor = second_of(request.anchor, "createdOn")
            zone = self.behaviour.literal_timezone
            check_bound(self.session, self.path, zone=zone, field="createdOn", bound=anchor)

    def _decode(self, answer: Answer) -> Page:
        return page_decoder(self.bounds.field)(answer) if self.bounds else decode_page(answer)

    def _query(self, request: PageRequest) -> dict[str, Any]:
        orderby = "createdOn,id" if self.behaviour.order_by_id else "createdOn"
        return {
            **self.params,
            "page": request.number,
            "pageSize": request.size,
            "orderby": "createdOn desc" if request.newest_first else orderby,
            "filterby": all_of(self._expression, self._from_anchor(request)),
        }

    @property
    def _expression(self) -> str | None:
        """The filter within the window."""
        return self.bounds.restrict(self.filterby) if self.bounds else self.filterby

    def _from_anchor(self, request: PageRequest) -> str | None:
        if request.anchor is None:
            return None
        instant = second_of(request.anchor, "createdOn")
        return compare_instant("createdOn", "ge", instant, zone=self.behaviour.literal_timezone)
