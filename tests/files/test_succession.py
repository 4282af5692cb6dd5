"""Which set may replace which, as tables, and two tasks of one dag run at one destination."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from airflow_provider_awork.client.identity import Visibility
from airflow_provider_awork.exceptions import AworkConfigError, AworkShrunkSetError
from airflow_provider_awork.files.manifest import ManifestWindow, identify
from airflow_provider_awork.files.marker import Claim, Owner
from airflow_provider_awork.files.publisher import Publisher
from airflow_provider_awork.files.succession import (
    Replace,
    SetIdentity,
    Succession,
    compare,
    compare_for_replacement,
)
from tests.helpers.publishing import NEW_SET, OLD_SET, OTHER_RUN, OWNER, assert_only_set, export, source_of

ALL = Visibility.of_key(user_id="u", sees_all_entries=True)
OWN = Visibility.of_key(user_id="u", sees_all_entries=False)
OTHERS = Visibility.of_key(user_id="v", sees_all_entries=False)
UNKNOWN = Visibility.of_key(user_id="u", sees_all_entries=None)
IDENTITY = SetIdentity(
    workspace_id="w",
    list_path="timeentries",
    query_params={},
    filterby=None,
    window=("startDateLocal", "2026-11-26", "2026-11-27"),
    visibility=ALL,
)
OTHER_TASK = Owner(dag_id="export", run_id="run-1", task_id="other", map_index=-1, try_number=1)
OTHER_INDEX = Owner(dag_id="export", run_id="run-1", task_id="awork", map_index=3, try_number=1)


def changed(**parts: Any) -> SetIdentity:
    return SetIdentity(**{**{name: getattr(IDENTITY, name) for name in IDENTITY.__dataclass_fields__}, **parts})


@pytest.mark.parametrize(
    ("there", "parts"),
    [
        (IDENTITY, []),
        (changed(workspace_id="x"), ["workspace"]),
        (changed(list_path="users"), ["list"]),
        (changed(list_path="projects/p/timeentries"), ["list"]),
        (changed(filterby="isBilled eq true"), ["filterby"]),
        (changed(window=None), ["window"]),
        (changed(window=("startDateLocal", "2026-11-25", "2026-11-26")), ["window"]),
        (changed(window=("createdOn", "2026-11-26", "2026-11-27")), ["window"]),
        (changed(query_params={"showArchived": "true"}), ["query_params"]),
        (changed(query_params=None), []),
        (changed(visibility=None), []),
        (changed(list_path="users", filterby="a"), ["list", "filterby"]),
    ],
)
def test_what_differs(there: SetIdentity, parts: list[str]) -> None:
    assert [difference.part for difference in compare(there, IDENTITY)] == parts


@pytest.mark.parametrize(
    ("there", "here", "replaceable"),
    [
        (ALL, ALL, True),
        (OWN, OWN, True),
        (OWN, ALL, True),
        (UNKNOWN, ALL, True),
        (ALL, OWN, False),
        (ALL, UNKNOWN, False),
        (OWN, OTHERS, False),
        (UNKNOWN, OWN, False),
        (OWN, UNKNOWN, False),
        (ALL, None, False),
        (None, OWN, True),
    ],
)
def test_a_key_that_sees_more_may_replace(there: Visibility | None, here: Visibility | None, replaceable: bool) -> None:
    differences = compare_for_replacement(changed(visibility=there), changed(visibility=here))
    assert [difference.part for difference in differences] == ([] if replaceable else ["visibility"])


@pytest.mark.parametrize(
    ("source", "visibility"),
    [
        ({"sees_all_entries": True}, ALL),
        ({"sees_all_entries": False}, OWN),
        ({"sees_all_entries": False, "sees_all_rows": True}, ALL),
        ({"sees_all_entries": True, "sees_all_rows": False}, OWN),
        ({"sees_all_entries": False, "sees_all_rows": None}, None),
    ],
)
def test_what_a_key_sees_of_a_list(source: dict[str, Any], visibility: Visibility | None) -> None:
    described = msgspec.structs.replace(source_of("users", workspace_id="w"), **source)
    assert identify(described, filterby=None, window=None).visibility == visibility


def succession(destination: Any, folder: Path, owner: Owner = OTHER_RUN, **options: Any) -> Succession:
    """What another run may replace of a published set."""
    identity = export(destination, folder, OLD_SET).identity
    return Succession(identity=identity, owner=owner, **options)


def make(made: Succession) -> Callable[[], Succession]:
    return lambda: made


def test_a_successor_replaces_the_set(local: Any, tmp_path: Path) -> None:
    export(local, tmp_path, NEW_SET, OTHER_RUN, succession=make(succession(local, tmp_path)))
    assert_only_set(local, NEW_SET)


@pytest.mark.parametrize("owner", [OTHER_TASK, OTHER_INDEX])
@pytest.mark.parametrize("replace", list(Replace))
def test_another_task_of_the_run_is_refused(local: Any, tmp_path: Path, owner: Owner, replace: Replace) -> None:
    allowed = succession(local, tmp_path, owner, replace=replace)
    with pytest.raises(AworkConfigError, match=r"two tasks of one dag run.*\n.*task 'awork'.*'run-1'"):
        export(local, tmp_path, NEW_SET, owner, succession=make(allowed))
    assert_only_set(local, OLD_SET)


@pytest.mark.parametrize("owner", [OTHER_TASK, OTHER_INDEX])
def test_another_task_of_the_run_is_refused_at_once_while_the_first_writes(local: Any, owner: Owner) -> None:
    first = Publisher(local, owner=OWNER).__enter__()
    with pytest.raises(AworkConfigError, match="two tasks of one dag run"):
        Publisher(local, owner=owner).__enter__()
    first.__exit__(RuntimeError, RuntimeError(), None)


def test_a_set_that_came_while_waiting_is_looked_at_again(
    local: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = changed(filterby="isBilled eq true")
    take = Claim.take

    def publish_and_take(claim: Claim, **options: Any) -> None:
        monkeypatch.undo()
        export(local, tmp_path, OLD_SET)
        take(claim, **options)

    monkeypatch.setattr(Claim, "take", publish_and_take)
    with pytest.raises(AworkConfigError, match="another set lies there"):
        export(local, tmp_path, NEW_SET, OTHER_RUN, succession=make(Succession(identity=other, owner=OTHER_RUN)))
    assert_only_set(local, OLD_SET)


def test_another_set_is_replaced_where_that_is_meant(
    local: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    former = export(local, tmp_path, OLD_SET)
    other = identify(former.source, filterby=None, window=ManifestWindow(field="x", start=None, end="y", timezone=None))
    refused = Succession(identity=other, owner=OTHER_RUN)
    message = re.escape("window: createdOn from 2025-01-01 to 2025-02-01 there, x from any to y in this run")
    with pytest.raises(AworkConfigError, match=message) as raised:
        export(local, tmp_path, NEW_SET, OTHER_RUN, succession=make(refused))
    assert len(str(raised.value).splitlines()[0]) <= 80
    assert_only_set(local, OLD_SET)
    allowed = Succession(identity=other, owner=OTHER_RUN, replace=Replace.ANY, max_shrink=0.5)
    export(local, tmp_path, (), OTHER_RUN, succession=make(allowed))
    assert_only_set(local, ())
    assert "Replacing another set" in caplog.text


@pytest.mark.parametrize(
    ("former", "rows", "max_shrink", "plausible"),
    [
        (20, 10, 0.5, True),
        (20, 9, 0.5, False),
        (19, 0, 0.5, True),
        (189, 0, 0.5, False),
        (189, 0, None, True),
        (189, 0, 1, True),
        (100, 99, 0, False),
        (100, 100, 0, True),
        (100, 1000, 0, True),
    ],
)
def test_a_successor_that_shrank(
    local: Any, tmp_path: Path, former: int, rows: int, max_shrink: float | None, plausible: bool
) -> None:
    manifest = msgspec.structs.replace(export(local, tmp_path, OLD_SET), rows=former)
    check = Succession(identity=manifest.identity, owner=OTHER_RUN, max_shrink=max_shrink)
    if plausible:
        check.require_plausible(manifest.former_set, rows, local)
        return
    with pytest.raises(AworkShrunkSetError, match=f"max_shrink: {rows} rows would replace {former} rows"):
        check.require_plausible(manifest.former_set, rows, local)


def test_a_set_that_shrank_is_not_switched_to(local: Any, tmp_path: Path) -> None:
    many = tuple(f"row {number}" for number in range(20))
    former = export(local, tmp_path, many)
    with pytest.raises(AworkShrunkSetError):
        export(
            local,
            tmp_path,
            NEW_SET,
            OTHER_RUN,
            succession=make(Succession(identity=former.identity, owner=OTHER_RUN, max_shrink=0.5)),
        )
    assert_only_set(local, many)
