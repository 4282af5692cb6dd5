"""Why a list cannot be read exactly: the errors of the stitcher, each with the way out."""

from __future__ import annotations

from airflow_provider_awork.client.lists.pages import Page, PageRequest
from airflow_provider_awork.exceptions import AworkAssumptionError, AworkPagingError


def undated_rows() -> AworkPagingError:
    return AworkPagingError("rows without createdOn cannot be read in several pages without losing some")


def no_rows(total: int) -> AworkPagingError:
    return AworkPagingError(f"awork says that {total} rows match, but sends none")


def nothing_continues(frontier: str | None, tries: int) -> AworkPagingError:
    return AworkPagingError(
        f"no page continues the row created on {frontier} after {tries} tries: rows around it are being deleted or "
        "moved faster than they can be read, or answers are not snapshots in the order asked for. Run again when the "
        "workspace is quieter."
    )


def wrong_order() -> AworkAssumptionError:
    return AworkAssumptionError(
        "awork does not keep the order that was asked for (orderby=createdOn): pages cannot be read exactly. If only "
        "the second term is at fault, set the connection extra order_by_id to false."
    )


def row_before_anchor(request: PageRequest, page: Page) -> AworkAssumptionError:
    return AworkAssumptionError(
        f"createdOn ge datetime'{request.anchor}' brought a row of {page.keys[0]}: awork does not read datetime "
        "literals in the assumed time zone. Set the connection extra literal_timezone to the zone it uses, or "
        "anchor_on_created_on to false."
    )


def rows_left(remembered: int) -> AworkPagingError:
    return AworkPagingError(
        f"none of the last {remembered} delivered rows is in the list any more\n"
        "They were deleted during the run, or no longer match the filter, as when somebody bills the entries that an "
        "export of isBilled eq false reads. Another try reads what is left."
    )


def disorderly_group(frontier: str | None) -> AworkPagingError:
    return AworkPagingError(
        f"a group of rows created on {frontier} does not fit into one page, and awork does not keep rows with the same "
        "createdOn in one order (orderby=createdOn,id): some could be lost. Check the connection extra order_by_id, or "
        "export around that instant with a filter that makes the group smaller."
    )


def short_page(page: Page, size: int) -> AworkAssumptionError:
    return AworkAssumptionError(
        f"awork sends a page of {len(page.rows)} rows where {size} were asked for and more match ({page.total} in "
        "all): rows may be missing in between. Ask awork's support about it; to go on without these rows, set the "
        "connection extra accept_short_pages to true."
    )
