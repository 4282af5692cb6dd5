"""The picture of all errors in the module's docstring is the hierarchy that the module has."""

from __future__ import annotations

import re

from airflow_provider_awork import exceptions
from airflow_provider_awork.exceptions import AworkError
from airflow_provider_awork.version_compat import AirflowFailException

LINE = re.compile(r"^(?P<indent>[ |]*?)(?:\+-- )?(?P<name>Awork\w+)(?P<permanent> \*)?(?:  |$)")


def test_the_picture_shows_each_error_below_its_base_and_marks_the_permanent_ones() -> None:
    drawn = {}
    parents: dict[int, str] = {}
    for line in (exceptions.__doc__ or "").partition("::\n")[2].splitlines():
        if found := LINE.match(line):
            depth = len(found["indent"])
            bases = [name for at, name in parents.items() if at < depth]
            parents = {at: name for at, name in parents.items() if at < depth} | {depth: found["name"]}
            drawn[found["name"]] = (bases[-1] if bases else None, bool(found["permanent"]))

    assert drawn == {
        error.__name__: (_parent(error), issubclass(error, AirflowFailException))
        for error in vars(exceptions).values()
        if isinstance(error, type) and issubclass(error, AworkError)
    }


def _parent(error: type[AworkError]) -> str | None:
    return next((base.__name__ for base in error.__bases__ if issubclass(base, AworkError)), None)
