"""
Which set of files a run may replace: one of the same identity, which shrank by no more than is plausible.

Everything here is a pure function of what two manifests say.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from airflow_provider_awork.client.identity import Visibility
from airflow_provider_awork.exceptions import AworkConfigError, AworkShrunkSetError
from airflow_provider_awork.files.marker import Owner, require_other_run

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

SMALLEST_CHECKED_ROWS = 20  # smaller sets may shrink to any size


class Replace(StrEnum):
    """What a run may replace: a set of the same identity, or any set."""

    SUCCESSOR = "successor"
    ANY = "any"


@dataclass(frozen=True, kw_only=True)
class SetIdentity:
    """
    What two sets have in common if the later one replaces the earlier one.

    :param workspace_id: awork's workspace.
    :param list_path: path of the list below the base URL, which names the project, too.
    :param query_params: the list's query parameters; None if the set does not say them.
    :param filterby: the caller's filter.
    :param window: field, start and end of the window.
    :param visibility: which rows the key sees; None if the list has no such limit, or awork does not report it.
    """

    workspace_id: str | None
    list_path: str
    query_params: Mapping[str, str] | None
    filterby: str | None
    window: tuple[str, str | None, str | None] | None
    visibility: Visibility | None

    def __str__(self) -> str:
        return ", ".join(f"{name} {text}" for name, text in self.parts().items())

    def parts(self) -> dict[str, str]:
        """The parts by name, as a person reads them; visibility is compared separately."""
        query = self.query_params and " ".join(f"{name}={value}" for name, value in sorted(self.query_params.items()))
        window = self.window and "{} from {} to {}".format(*(bound or "any" for bound in self.window))
        parts = {
            "list": self.list_path,
            "workspace": self.workspace_id or "unknown",
            "window": window or "none",
            "filterby": repr(self.filterby) if self.filterby else "none",
            "query_params": query or "none",
        }
        return parts if self.query_params is not None else {**parts, "query_params": "unknown"}


@dataclass(frozen=True, kw_only=True)
class FormerSet:
    """What a manifest says of the set that lies at a destination: its identity, who wrote it, and its rows."""

    identity: SetIdentity
    owner: Owner
    rows: int


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A part in which two sets differ."""

    part: str
    there: str
    here: str

    def __str__(self) -> str:
        return f"{self.part}: {self.there} there, {self.here} in this run"


VISIBILITY = "visibility"


def compare(there: SetIdentity, here: SetIdentity) -> tuple[Difference, ...]:
    """Return in what the set that lies there differs from the one that is to come."""
    before, after = there.parts(), here.parts()
    if None in (there.query_params, here.query_params):
        del before["query_params"]
    found = [
        Difference(part=part, there=text, here=after[part]) for part, text in before.items() if after[part] != text
    ]
    if there.visibility and there.visibility != here.visibility:
        found.append(Difference(part=VISIBILITY, there=_sight(there), here=_sight(here)))
    return tuple(found)


def _sight(of_set: SetIdentity) -> str:
    if of_set.visibility is None:
        return "an unknown part of the list"
    text = str(of_set.visibility)
    return text if of_set.list_path.endswith("timeentries") else text.replace("time entries", "rows")


def compare_for_replacement(there: SetIdentity, here: SetIdentity) -> tuple[Difference, ...]:
    """Return what :func:`compare` does, but for a key that sees more: its set replaces that of one that sees less."""
    sees_all = here.visibility is not None and here.visibility.sees_all_entries
    return tuple(each for each in compare(there, here) if not (each.part == VISIBILITY and sees_all))


@dataclass(frozen=True, kw_only=True)
class Succession:
    """
    What one run may replace.

    :param identity: of the set that is to come.
    :param owner: the task instance that publishes it.
    :param replace: which sets it may replace.
    :param max_shrink: the largest share of the former rows that may be missing from the next set; None for any.
    """

    identity: SetIdentity
    owner: Owner
    replace: Replace = Replace.SUCCESSOR
    max_shrink: float | None = None

    def require_replaceable(self, former: FormerSet, destination: ObjectStoragePath) -> None:
        """
        Check that this run may replace a set.

        :raises AworkConfigError: it is another set, or the set of another task of the same dag run.
        """
        require_other_run(former.owner, self.owner, destination)
        differences = compare_for_replacement(former.identity, self.identity)
        if former.owner.is_same_task_instance(self.owner):  # somebody corrected a parameter and cleared the task
            differences = tuple(each for each in differences if each.part == VISIBILITY)
        if not differences:
            return
        if self.replace is Replace.ANY:
            log.warning("Replacing another set at %s: %s", destination, "; ".join(map(str, differences)))
            return
        raise another_set(former, self.identity, differences, destination)

    def require_plausible(self, former: FormerSet, rows: int, destination: ObjectStoragePath) -> None:
        """
        Check the number of rows of a successor.

        :raises AworkShrunkSetError: too many of the former rows are missing.
        """
        if self.max_shrink is None or former.rows < SMALLEST_CHECKED_ROWS:
            return
        if compare_for_replacement(former.identity, self.identity):
            return
        if rows < former.rows * (1 - self.max_shrink):
            raise AworkShrunkSetError(
                f"max_shrink: {rows:,} rows would replace {former.rows:,} rows of the same set\n"
                f"{destination} is unchanged. At most a share of {self.max_shrink:g} may be missing. If the rows are "
                "gone from awork on purpose, pass max_shrink=None for one run."
            )


def another_set(
    former: FormerSet, here: SetIdentity, differences: tuple[Difference, ...], destination: ObjectStoragePath
) -> AworkConfigError:
    lines = [
        "destination: another set lies there, which this run would replace",
        f"{destination} holds {former.identity}, {former.rows:,} rows by {former.owner}.",
        f"This run is of {here}.",
        *(f"They differ in {difference}." for difference in differences),
        "Give each export a destination of its own, for example with {window_start} in it, or remove that folder to "
        "export it again. Pass replace='any' if this run is meant to replace any set.",
    ]
    return AworkConfigError("\n".join(lines))
