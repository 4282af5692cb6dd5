"""The picture of all errors in the module's docstring is the hierarchy that the module has."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from pkgutil import walk_packages
from typing import Any

import pytest

import airflow_provider_awork
from airflow_provider_awork import exceptions
from airflow_provider_awork.client.entries.models import BatchResult
from airflow_provider_awork.exceptions import (
    AworkApiError,
    AworkBatchError,
    AworkError,
    AworkRateLimitError,
)
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


ANSWER: dict[str, Any] = {
    "status": 400,
    "code": "some-code",
    "description": "What happened",
    "method": "GET",
    "path": "timeentries",
    "link": "https://developers.awork.com/error-handling",
    "details": ["a detail"],
    "validation_errors": [{"property": "duration", "message": "negative"}],
    "trace_id": "trace-1",
}


def error_classes() -> list[type[AworkError]]:
    """Every error class of the package, those outside of ``exceptions`` too."""
    for module in walk_packages(airflow_provider_awork.__path__, "airflow_provider_awork."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    return sorted(set(_tree(AworkError)), key=lambda error: error.__qualname__)


def _tree(error: type[AworkError]) -> Iterator[type[AworkError]]:
    yield error
    for each in error.__subclasses__():
        yield from _tree(each)


def an_error(error_class: type[AworkError]) -> AworkError:
    if issubclass(error_class, AworkBatchError):
        result = BatchResult(operation="setIsBilled", ok=("1",), not_found=("2", "3"))
        return error_class("setIsBilled", failures=result.failures(), result=result)
    if issubclass(error_class, AworkRateLimitError):
        return error_class(**ANSWER, retry_after=7.5)
    if issubclass(error_class, AworkApiError):
        return error_class(**ANSWER)
    error = error_class.__new__(error_class, "the cause\nthe way out")  # constructors elsewhere take what they like
    vars(error)["further"] = ("attribute",)
    return error


@pytest.mark.parametrize("error_class", error_classes(), ids=lambda each: each.__name__)
def test_each_error_survives_pickle_with_all_it_has(error_class: type[AworkError]) -> None:
    error = an_error(error_class)
    error.add_note("a note")

    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is error_class
    assert (str(copy), copy.args, vars(copy)) == (str(error), error.args, vars(error))


def _fail(error_class: type[AworkError]) -> None:
    raise an_error(error_class)


def test_an_error_leaves_a_pool_of_processes_as_itself() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        for error_class in (AworkBatchError, AworkRateLimitError):
            with pytest.raises(error_class) as caught:
                pool.submit(_fail, error_class).result()
            assert vars(caught.value).keys() >= vars(an_error(error_class)).keys()
