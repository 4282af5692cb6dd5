"""What of some rows has no place in their columns and is in ``extra``, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple


class Leftover(NamedTuple):
    """
    A value that is in ``extra``.

    :param path: where it is in awork's JSON, such as ``task.lists``.
    :param is_misfit: whether the model has the path, but its column cannot hold the value.
    """

    path: str
    is_misfit: bool


@dataclass
class Leftovers:
    """
    What of all rows is in ``extra``.

    :param unknown_fields: how many rows have each path that the model does not know, or an id that differs from the
        one beside it.
    :param misfits: how many rows have a value that does not fit its column, by path.
    :param misfit_ids: the id of the first of these rows, by path.
    """

    unknown_fields: Counter[str] = field(default_factory=Counter)
    misfits: Counter[str] = field(default_factory=Counter)
    misfit_ids: dict[str, str | None] = field(default_factory=dict)

    def add(self, leftovers: Iterable[Leftover], row_id: str | None) -> None:
        """Count what one row has in ``extra``."""
        for path, is_misfit in leftovers:
            if is_misfit:
                self.misfits[path] += 1
                self.misfit_ids.setdefault(path, row_id)
            else:
                self.unknown_fields[path] += 1

    def describe_misfits(self, paths: Iterable[str]) -> str:
        """
        Describe the misfits of some fields in one line.

        >>> leftovers = Leftovers()
        >>> leftovers.add([Leftover("duration", True)], "5b0d")
        >>> leftovers.describe_misfits(["duration"])
        'duration in 1 row (such as 5b0d)'
        """
        counts = ((path, self.misfits[path], self.misfit_ids[path]) for path in paths)
        return ", ".join(
            f"{path} in {count:,} row{'s' * (count != 1)}" + (f" (such as {row_id})" if row_id else "")
            for path, count, row_id in counts
        )
