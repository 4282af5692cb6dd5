"""Filters from Python values: their text, what a local awork makes of them, and their way through Airflow."""

from __future__ import annotations

import copy
import json
import operator
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import jinja2
import pendulum
import pytest
import requests
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import LazyDeserializedDAG
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_awork.client.lists.conditions import (
    Condition,
    check_balanced,
    eom,
    eow,
    field,
    item,
    me,
    now,
    som,
    sow,
    today,
)
from airflow_provider_awork.client.lists.filters import all_of
from airflow_provider_awork.client.lists.literals import datetime_literal, template
from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.operators.time_entries import AworkTimeEntriesOperator
from airflow_provider_awork.sandbox import Sandbox
from airflow_provider_awork.sandbox.filter_grammar import parse_filter
from airflow_provider_awork.sandbox.instants import parse_ticks, to_ticks
from airflow_provider_awork.sensors.time_entries import RUNNING_TIMERS, AworkTimeEntriesSensor
from airflow_provider_awork.transfers.awork_to_object_storage import (
    AworkListToObjectStorageOperator,
    AworkTimeEntriesToObjectStorageOperator,
)
from airflow_provider_awork.triggers.time_entries import AworkTimeEntriesEventTrigger, AworkTimeEntriesTrigger
from tests.helpers.airflow_harness import connection_in_environment, run_dag

Entry = dict[str, Any]
GUID = "0b5f6d4e-52c5-4c1b-9f53-0d8a4a1c7b11"
BERLIN = ZoneInfo("Europe/Berlin")
A, B, C = field("a") == 1, field("b") == 2, field("c") == 3


# -- text ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (field("note") == "it's", "note eq 'it''s'"),
        (field("note") == "", "note eq ''"),
        (field("note") == "' or 1 eq 1 or note eq '", "note eq ''' or 1 eq 1 or note eq '''"),
        (field("note") == GUID, f"note eq '{GUID}'"),
        (field("note") != None, "note ne null"),  # noqa: E711
        (field("userId").is_(None), "userId eq null"),
        (field("isBilled").is_not(True), "isBilled ne true"),
        (field("isBilled") == False, "isBilled eq false"),  # noqa: E712
        (field("projectId") == GUID.upper(), f"projectId eq guid'{GUID}'"),
        (field("project/id") == UUID(GUID), f"project/id eq guid'{GUID}'"),
        (field("createdBy") != GUID, f"createdBy ne guid'{GUID}'"),
        (field("duration") > 2**31 - 1, "duration gt 2147483647"),
        (field("resourceVersion") > 2**31, "resourceVersion gt 2147483648L"),
        (field("resourceVersion") >= -(2**31) - 1, "resourceVersion ge -2147483649L"),
        (field("duration") < 3599.5, "duration lt 3599.5"),
        (field("duration") < 1e21, "duration lt 1000000000000000000000.0"),
        (field("duration") < 1e-7, "duration lt 0.0000001"),
        (field("duration") <= Decimal("2.345"), "duration le 2.345M"),
        (field("duration") <= Decimal("1E+3"), "duration le 1000M"),
        (field("duration") > timedelta(hours=1), "duration gt 3600"),
        (field("duration") > pendulum.duration(days=1, minutes=1), "duration gt 86460"),
        (field("startDateLocal") >= date(2026, 11, 1), "startDateLocal ge datetime'2026-11-01T00:00'"),
        (field("startDateUtc") < pendulum.date(33, 1, 2), "startDateUtc lt datetime'0033-01-02T00:00'"),
        (field("createdOn") >= date(2026, 11, 1), "createdOn ge datetime'2026-11-01T00:00'"),
        (
            field("createdOn") >= datetime(2026, 11, 1, 1, 30, tzinfo=BERLIN),
            "createdOn ge datetime'2026-11-01T00:30:00'",
        ),
        (field("updatedOn") < pendulum.datetime(2026, 7, 1, tz=BERLIN), "updatedOn lt datetime'2026-06-30T22:00:00'"),
        (date(2026, 11, 1) <= field("startDateLocal"), "startDateLocal ge datetime'2026-11-01T00:00'"),
        (field("userId") == me.id, "userId eq me.id"),
        (field("startDateUtc") != field("startDateLocal"), "startDateUtc ne startDateLocal"),
        (field("startDateLocal") >= today - 30, "startDateLocal ge today-30d"),
        (field("startDateLocal") <= today + timedelta(days=5), "startDateLocal le today+5d"),
        (field("startDateLocal") == today + 5 - 5, "startDateLocal eq today"),
        (field("startDateLocal") == today + pendulum.duration(weeks=1), "startDateLocal eq today+7d"),
        ((field("a") >= sow) & (field("a") <= eow), "a ge sow and a le eow"),
        ((field("a") >= som) | (field("a") <= eom) | (field("a") < now), "a ge som or a le eom or a lt now"),
        (field("note").startswith("50 %"), "startswith(note,'50 %')"),
        (field("note").endswith("'"), "endswith(note,'''')"),
        (field("note").contains("a&b=c?"), "substringof('a&b=c?',note)"),
        (field("note").lower().contains("größe"), "substringof('größe',tolower(note))"),
        (~field("note").lower().startswith("x"), "startswith(tolower(note),'x') eq false"),
        (field("a").in_([1]), "a eq 1"),
        (field("projectId").in_(iter([GUID, None])), f"projectId eq guid'{GUID}' or projectId eq null"),
        (field("a").in_([1, 2]) & B, "(a eq 1 or a eq 2) and b eq 2"),
        (A & B & C, "a eq 1 and b eq 2 and c eq 3"),
        (A | B | C, "a eq 1 or b eq 2 or c eq 3"),
        (A | B & C, "a eq 1 or b eq 2 and c eq 3"),
        ((A | B) & C, "(a eq 1 or b eq 2) and c eq 3"),
        (A & (B | C), "a eq 1 and (b eq 2 or c eq 3)"),
        (~A, "not (a eq 1)"),
        (~(A & B) | ~C, "not (a eq 1 and b eq 2) or not (c eq 3)"),
        (~~A, "not (not (a eq 1))"),
        ((A | B) == False, "(a eq 1 or b eq 2) eq false"),  # noqa: E712
        (field("note").contains("x") != True, "substringof('x',note) ne true"),  # noqa: E712
        (field("isBillable") & ~field("isBilled"), "isBillable eq true and isBilled eq false"),
        (A | field("isBilled"), "a eq 1 or isBilled eq true"),
        (A & "x eq 1 or y eq ')'", "a eq 1 and (x eq 1 or y eq ')')"),
        (" x eq 1 " | A, "(x eq 1) or a eq 1"),
        ("x eq 1" & field("isBilled"), "(x eq 1) and isBilled eq true"),
        (field("isBilled") | "x eq 1", "isBilled eq true or (x eq 1)"),
        (field("breaks").any_(A & field("x/y").is_(None)), "breaks/any(x: x/a eq 1 and x/x/y eq null)"),
        (field("breaks").any_(field("isOpen")), "breaks/any(x: x/isOpen eq true)"),
        (field("userIds").any_(item == UUID(GUID)), f"userIds/any(x: x eq guid'{GUID}')"),
        (field("a").any_(field("b").any_(A) & B), "a/any(y: y/b/any(x: x/a eq 1) and y/b eq 2)"),
        (field("breaks").count() < 10, "breaks/count() lt 10"),
        (field("breaks").count(field("endDate").is_(None)) == 1, "breaks/count(x: x/endDate eq null) eq 1"),
    ],
)  # fmt: skip
def test_text(condition: Condition, text: str) -> None:
    assert str(condition) == text
    parse_filter(text)


def test_a_condition_equals_its_text() -> None:
    condition = field("a") == "x"
    assert not isinstance(condition, str)
    assert condition == (field("a") == "x")
    assert condition != (field("a") == "y")
    assert condition != 1
    assert condition == "a eq 'x'"
    assert condition != "a eq 'y'"
    assert {condition: 1}["a eq 'x'"] == 1
    assert json.dumps({"filterby": str(condition)}) == '{"filterby": "a eq \'x\'"}'
    assert f"{condition}" == repr(condition).strip('"') == "a eq 'x'"


@pytest.mark.parametrize("remade", [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_copy_still_combines(remade: Callable[[Condition], Condition]) -> None:
    condition = remade(A | B)
    assert condition & C == "(a eq 1 or b eq 2) and c eq 3"
    assert field("breaks").any_(condition) == "breaks/any(x: x/a eq 1 or x/b eq 2)"


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: field("createdOn") >= datetime(2026, 11, 1), "createdOn: 2026-11-01 00:00:00 has no time zone"),
        (lambda: field("createdOn") >= datetime(2026, 11, 1, 0, 0, 0, 1, UTC), "createdOn: 2026-11-01 00:00:00.000001"),
        (lambda: field("createdOn") >= datetime.min.replace(tzinfo=BERLIN), "createdOn: 0001-01-01 00:00:00+00:53:28"),
        (lambda: field("createdOn") >= "2026-11-01", "createdOn: '2026-11-01' is text"),
        (lambda: field("createdOn") >= template("{{ ts }}"), "createdOn: Template(text='{{ ts }}') is text"),
        (lambda: field("startDateLocal") >= "{{ ds }}", "startDateLocal: '{{ ds }}' is text where a moment belongs"),
        (lambda: field("startDateLocal") >= datetime(2026, 11, 1, tzinfo=UTC), "startDateLocal: 2026-11-01 00:00:00+0"),
        (lambda: field("startTimeUtc") >= time(8), "startTimeUtc: awork's filters cannot express datetime.time(8, 0)"),
        (lambda: field("duration") == float("nan"), "duration: nan is not a finite number"),
        (lambda: field("duration") == float("-inf"), "duration: -inf"),
        (lambda: field("duration") == 2**63, "duration: 9223372036854775808 does not fit into 64 bits"),
        (lambda: field("duration") == Decimal(2**96), "duration: 79228162514264337593543950336 does not fit"),
        (lambda: field("duration") == Decimal("1E-29"), "duration: 1E-29 does not fit"),
        (lambda: field("duration") == Decimal("NaN"), "duration: NaN does not fit"),
        (lambda: field("duration") > timedelta(milliseconds=5), "duration: 0:00:00.005000 is not in whole seconds"),
        (lambda: field("duration") > None, "duration: None has no order for 'gt'"),
        (lambda: field("isBilled") < True, "isBilled: True has no order for 'lt'"),
        (lambda: field("userId") >= UUID(GUID), "userId: UUID('0b5f6d4e-52c5-4c1b-9f53-0d8a4a1c7b11') has no order"),
        (lambda: field("userId") >= GUID, f"userId: '{GUID}' has no order"),
        (lambda: field("userId") == "anna", "userId: 'anna' is not a GUID"),
        (lambda: field("project/id").in_([GUID, "x' or 1 eq 1"]), '''project/id: "x' or 1 eq 1" is not a GUID'''),
        (lambda: field("userId") == me, "userId: awork's filters cannot express me (pass me.id)"),
        (lambda: field("note") == ["x"], "note: awork's filters cannot express ['x'] (list)"),
        (lambda: field("note") == b"x", "note: awork's filters cannot express b'x' (bytes)"),
        (lambda: field("note") == A, "note: awork's filters cannot express 'a eq 1' (Condition)"),
        (lambda: field("note").contains(5), "note: 5 is not text"),
        (lambda: field("note").contains(A), "note: 'a eq 1' is not text"),
        (lambda: field("note") == "a\0b", "note: 'a\\x00b' has a character that cannot be sent"),
        (lambda: field("note") == "\ud83d", "note: '\\ud83d' has a character"),
        (lambda: field("note") == "{{ x }}", "note: operators would render '{{ x }}' as a template"),
        (lambda: field("note") == "a\r\nb", "note: operators would render 'a\\r\\nb'"),
        (lambda: field("note").in_("abc"), "note: in_ takes a list of values, not 'abc'"),
        (lambda: field("note").in_(5), "note: in_ takes a list of values, not 5"),
        (lambda: field("note").in_([]), "note: in_ has no values"),
        (lambda: field("project.name"), "field: 'project.name' is not a path"),
        (lambda: field("x eq 1 or y"), "field: 'x eq 1 or y' is not a path"),
        (lambda: field("breaks[0]/duration"), "field: 'breaks[0]/duration'"),
        (lambda: field(""), "field: ''"),
        (lambda: field(7), "field: 7"),
        (lambda: template(7), "template: 7 is not text such as '{{ params.project }}'"),
        (lambda: today + 0.5, "today: 0.5 is not a whole number of days"),
        (lambda: today - timedelta(hours=1), "today: datetime.timedelta(seconds=3600) is not a whole number of days"),
        (lambda: today + True, "today: True is not a whole number of days"),
        (lambda: A & "x eq 1) or (y eq 2", "parentheses of 'x eq 1) or (y eq 2'"),
        (lambda: A & "x eq 'a", "a quote of \"x eq 'a\" is not closed"),
        (lambda: A & " ", "' ' is not a condition"),
        (lambda: A | None, "None is not a condition"),
        (lambda: A & 1, "1 is not a condition; put parentheses"),
        (lambda: field("a") == 1 & field("b") == 2, "1 is not a condition; put parentheses"),
        (lambda: field("a") == "x" | field("b") == "y", "a: awork's filters cannot express '(x) or b eq true'"),
        (lambda: field("breaks").any_(A & "duration gt 5"), "breaks: cannot place 'a eq 1 and (duration gt 5)'"),
        (lambda: field("breaks").any_("x: x/duration gt 5"), "breaks: cannot place 'x: x/duration gt 5'"),
        (lambda: field("a").any_(field("b").any_(field("c").any_(field("d").any_(A)))), "a: cannot place"),
        (lambda: A and B, "the condition 'a eq 1' has no truth value in Python"),
        (lambda: A or B, "'a eq 1' has no truth value"),
        (lambda: not A, "'a eq 1' has no truth value"),
        (lambda: 1 <= field("a") < 5, "'a ge 1' has no truth value"),
        (lambda: bool(field("isBilled")), "'isBilled' has no truth value"),
        (lambda: field("a") in [field("b")], "'b eq a' has no truth value"),
        (lambda: field("breaks").count() and A, "'breaks/count()' has no truth value"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_an_error_that_names_it(build: Callable[[], object], said: str) -> None:
    with pytest.raises(AworkConfigError) as raised:
        build()
    assert said in str(raised.value)


@pytest.mark.parametrize("text", ["", "a eq 1", "(a eq 1) or (b eq ')')", "note eq 'it''s :('", "note eq ''''"])
def test_balanced(text: str) -> None:
    check_balanced(text)


@pytest.mark.parametrize("text", [")", "(", ")(", "a eq 1) or (b eq 2", "note eq 'x", "note eq 'x')'", "'''' '"])
def test_unbalanced(text: str) -> None:
    with pytest.raises(AworkConfigError, match=r"quote|parentheses"):
        check_balanced(text)
    with pytest.raises(AworkConfigError, match=r"quote|parentheses"):
        all_of("a eq 1", text)


SETS_WRITTEN = """
from airflow_provider_awork.client.filters import field
print(field("note").in_({"Call", "Support", "Planung", "x"}) | field("duration").in_(frozenset([900, 1800, None])))
"""


def test_each_process_writes_a_set_alike() -> None:
    texts = {
        subprocess.run(
            [sys.executable, "-c", SETS_WRITTEN],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {
        "note eq 'Call' or note eq 'Planung' or note eq 'Support' or note eq 'x' or "
        "duration eq 1800 or duration eq 900 or duration eq null\n"
    }


def test_all_of() -> None:
    assert all_of(None, " ", "") is None
    assert all_of(" a eq 1 ", None) == "a eq 1"
    assert all_of(A | B, "c eq 3") == "(a eq 1 or b eq 2) and (c eq 3)"
    assert type(all_of(A)) is str


def test_a_literal_of_an_early_year_has_four_digits() -> None:
    assert datetime_literal(datetime(33, 4, 3, 15, tzinfo=UTC)) == "datetime'0033-04-03T15:00:00'"


CLOCKS_GO_BACK = {
    "Europe/Berlin": datetime(2025, 10, 26, 1, tzinfo=UTC),
    "America/New_York": datetime(2025, 11, 2, 6, tzinfo=UTC),
    "Australia/Lord_Howe": datetime(2025, 4, 5, 15, tzinfo=UTC),  # by half an hour
    "Pacific/Chatham": datetime(2025, 4, 5, 14, tzinfo=UTC),  # at a quarter to
    "Antarctica/Troll": datetime(2025, 10, 26, 1, tzinfo=UTC),  # by two hours
    "America/Goose_Bay": datetime(2010, 11, 7, 3, 1, tzinfo=UTC),  # across midnight
}


@given(zone=st.sampled_from([*CLOCKS_GO_BACK, "Asia/Kolkata", "UTC"]), seconds=st.floats(-15_000, 15_000))
def test_a_literal_is_never_later_than_its_instant_however_it_is_read(zone: str, seconds: float) -> None:
    instant = CLOCKS_GO_BACK.get(zone, datetime(2025, 1, 1, tzinfo=UTC)) + timedelta(seconds=seconds)
    clock = datetime.fromisoformat(datetime_literal(instant, zone=zone).removeprefix("datetime'").removesuffix("'"))
    readings = [clock.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1)]
    assert all(instant - timedelta(hours=4) < reading <= instant for reading in readings)


# -- templates -------------------------------------------------------------------------------------------------------


def rendered(condition: Condition, **params: Any) -> str:
    return jinja2.Environment().from_string(str(condition)).render(params=params, ds="2026-11-01")


def test_templates() -> None:
    assert rendered(field("note") == template("{{ params['x'] }}!"), x="it's") == "note eq 'it''s!'"
    assert rendered(field("note").contains(template("{{ params.x }}")), x="a") == "substringof('a',note)"
    assert rendered(field("projectId") == template("{{ params.x }}"), x=GUID) == f"projectId eq guid'{GUID}'"
    assert rendered(field("startDateUtc") < template("{{ ds }}")) == "startDateUtc lt datetime'2026-11-01T00:00'"
    assert rendered(A & "duration gt {{ params.x }}", x=5) == "a eq 1 and (duration gt 5)"


@given(st.text())
def test_what_a_template_renders_to_stays_within_its_quotes(value: str) -> None:
    assert (
        rendered(field("note") == template("{{ params.x }}"), x=value) == "note eq '" + value.replace("'", "''") + "'"
    )


def test_a_bad_id_in_a_template_cannot_leave_its_place() -> None:
    text = rendered(field("projectId") == template("{{ params.x }}"), x="' or 1 eq 1 or note eq '")
    assert text == "projectId eq guid''' or 1 eq 1 or note eq '''"


# -- what awork makes of it ------------------------------------------------------------------------------------------


class Pair(NamedTuple):
    """A condition, and the same in Python."""

    condition: Any
    holds: Callable[[Entry], bool]


@pytest.fixture(scope="module")
def awork() -> Iterator[Sandbox]:
    with Sandbox(entries=400, seed=13) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def entries(awork: Sandbox) -> list[Entry]:
    return awork.store.entries()


def matching(awork: Sandbox, filterby: str | Condition) -> set[str]:
    """Ask over HTTP."""
    answer = requests.get(
        f"{awork.url}/timeentries",
        params={"filterby": str(filterby), "pageSize": "1000"},
        headers={"Authorization": f"Bearer {awork.token}"},
        timeout=20,
    )
    assert answer.status_code == 200, (filterby, answer.text)
    return {row["id"] for row in answer.json()}


def at(entry: Entry, path: str) -> Any:
    value: Any = entry
    for name in path.split("/"):
        value = (value or {}).get(name)
    return value


EQUALITY = {"eq": operator.eq, "ne": operator.ne}
ORDER = {"lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge}
PLAIN_TEXT = st.text(st.characters(exclude_characters="\0\r{", exclude_categories=["Cs"]), max_size=8)
SAMPLE_TEXT = st.sampled_from(
    ["O'Neill Sports Europe", "Zürich Bikes", "progress", "Call", "Größe", "ö", "'", "''", ")", "Europe/Berlin", "🎉"]
)
TEXTS = PLAIN_TEXT | SAMPLE_TEXT
TEXT_FIELDS = st.sampled_from(
    ["note", "timezone", "project/company/name", "project/projectStatus/type", "user/lastName", "task/name"]
)
NUMBERS = (
    st.integers(0, 30_000)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(-1e6, 1e6).map(lambda number: round(number, 6))
    | st.decimals(-(10**5), 10**5, places=3)
    | st.integers(0, 30_000).map(lambda seconds: timedelta(seconds=seconds))
)
INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.sampled_from([UTC, BERLIN])).map(
    lambda moment: moment.replace(microsecond=0)
)
DAYS = st.dates(date(2026, 3, 1), date(2026, 12, 31))


def comparison(path: str, name: str, value: Any, plain: Any, get: Callable[[Any], Any] = lambda found: found) -> Pair:
    """A comparison of a field; null differs from all else and has no order."""
    compare = {**EQUALITY, **ORDER}[name]

    def holds(entry: Entry) -> bool:
        found = at(entry, path)
        if found is None or plain is None:
            return name in EQUALITY and bool(compare(found, plain))
        return bool(compare(get(found), plain))

    return Pair(compare(field(path), value), holds)


def _number(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


@st.composite
def comparisons(draw: st.DrawFn) -> Pair:
    name = draw(st.sampled_from([*EQUALITY, *ORDER]))
    equality = draw(st.sampled_from(list(EQUALITY)))
    kind = draw(st.sampled_from(["null", "bool", "text", "number", "instant", "day"]))
    if kind == "null":
        return comparison(draw(TEXT_FIELDS | st.sampled_from(["userId", "endTimeUtc", "task"])), equality, None, None)
    if kind == "bool":
        flag = draw(st.booleans())
        return comparison(draw(st.sampled_from(["isBilled", "isBillable"])), equality, flag, flag)
    if kind == "text":
        text = draw(TEXTS)
        return comparison(draw(TEXT_FIELDS), name, text, text)
    if kind == "number":
        number = draw(NUMBERS)
        return comparison(draw(st.sampled_from(["duration", "breakDuration"])), name, number, _number(number))
    if kind == "instant":
        instant = draw(INSTANTS)
        return comparison(
            draw(st.sampled_from(["createdOn", "updatedOn"])), name, instant, to_ticks(instant), parse_ticks
        )
    day = draw(DAYS)
    path = draw(st.sampled_from(["startDateLocal", "startDateUtc"]))
    return comparison(path, name, day, day.isoformat(), lambda found: found[:10])


@st.composite
def text_tests(draw: st.DrawFn) -> Pair:
    path, text, lower = draw(TEXT_FIELDS), draw(TEXTS), draw(st.booleans())
    operand = field(path).lower() if lower else field(path)

    def value(entry: Entry) -> str | None:
        found: str | None = at(entry, path)
        return found.lower() if found is not None and lower else found

    forms: dict[str, tuple[Condition, Callable[[str], bool]]] = {
        "startswith": (operand.startswith(text), lambda found: found.startswith(text)),
        "endswith": (operand.endswith(text), lambda found: found.endswith(text)),
        "contains": (operand.contains(text), lambda found: text in found),
        "eq": (operand == text, lambda found: found == text),
    }
    condition, test = forms[draw(st.sampled_from(list(forms)))]
    return Pair(condition, lambda entry: (found := value(entry)) is not None and test(found))


@st.composite
def item_tests(draw: st.DrawFn) -> Pair:
    seconds, wanted = draw(st.integers(0, 2000)), draw(st.integers(0, 3))
    is_open = draw(st.booleans())
    inner = field("endDate").is_(None) | (field("duration") > seconds) if is_open else field("duration") <= seconds

    def meets(each: Entry) -> bool:
        longer = "duration" in each and each["duration"] > seconds
        return "endDate" not in each or longer if is_open else "duration" in each and each["duration"] <= seconds

    def met(entry: Entry) -> int:
        return sum(map(meets, entry.get("breaks", [])))

    forms = [
        Pair(field("breaks").any_(inner), lambda entry: met(entry) > 0),
        Pair(field("breaks").count(inner) == wanted, lambda entry: met(entry) == wanted),
        Pair(field("breaks").count() >= wanted, lambda entry: len(entry.get("breaks", [])) >= wanted),
    ]
    return draw(st.sampled_from(forms))


@st.composite
def memberships(draw: st.DrawFn) -> Pair:
    path, values = draw(TEXT_FIELDS), draw(st.lists(TEXTS | st.none(), min_size=1, max_size=4))
    return Pair(field(path).in_(values), lambda entry: at(entry, path) in values)


def bare_fields(path: str) -> Pair:
    return Pair(field(path), lambda entry: bool(entry[path]))


def negated(pair: Pair) -> Pair:
    return Pair(~pair.condition, lambda entry: not pair.holds(entry))


def flagged(pair: Pair, flag: bool) -> Pair:
    return Pair(pair.condition == flag, lambda entry: pair.holds(entry) == flag)


def joined(left: Pair, right: Pair, word: str, as_text: bool) -> Pair:
    other = str(right.condition) if as_text and isinstance(right.condition, Condition) else right.condition
    if word == "and":
        return Pair(left.condition & other, lambda entry: left.holds(entry) and right.holds(entry))
    return Pair(left.condition | other, lambda entry: left.holds(entry) or right.holds(entry))


PAIRS = st.recursive(
    comparisons()
    | text_tests()
    | item_tests()
    | memberships()
    | st.sampled_from(["isBilled", "isBillable"]).map(bare_fields),
    lambda pairs: (
        pairs.map(negated)
        | st.builds(flagged, pairs, st.booleans())
        | st.builds(joined, pairs, pairs, st.sampled_from(["and", "or"]), st.booleans())
    ),
    max_leaves=6,
)


@settings(max_examples=150)
@given(PAIRS)
def test_awork_finds_what_python_finds(awork: Sandbox, entries: list[Entry], pair: Pair) -> None:
    condition = pair.condition & (field("id") != None)  # noqa: E711 - makes a condition of a bare field
    assert matching(awork, condition) == {entry["id"] for entry in entries if pair.holds(entry)}


@given(PAIRS)
def test_airflows_rendering_changes_nothing(pair: Pair) -> None:
    condition = pair.condition & A
    assert jinja2.Environment().from_string(str(condition)).render() == str(condition)


@pytest.mark.parametrize("path", ["id", "userId", "projectId", "task/id", "createdBy", "user/id"])
def test_ids(awork: Sandbox, entries: list[Entry], path: str) -> None:
    wanted = next(found for entry in entries[50:] if (found := at(entry, path)))
    same = {entry["id"] for entry in entries if at(entry, path) == wanted}
    assert matching(awork, field(path) == wanted) == same == matching(awork, field(path).in_([UUID(wanted)]))
    assert matching(awork, field(path) != wanted) == {entry["id"] for entry in entries} - same


def test_me_and_tags_of_tasks(awork: Sandbox, entries: list[Entry]) -> None:
    hers = matching(awork, field("userId") == me.id)
    assert matching(awork, field("user/id") == me.id) == hers
    assert hers < {entry["id"] for entry in entries}
    tagged = matching(awork, field("task/tags").any_(field("name").in_(["dringend", "x"])))
    assert tagged == matching(awork, "task/tags/any(t: t/name eq 'dringend')")
    assert 0 < len(tagged) < len(entries)
    assert matching(awork, ~field("task/tags").any_(field("name") == "dringend")).isdisjoint(tagged)


def test_date_words() -> None:
    moment = datetime(2026, 5, 20, 22, 30, tzinfo=UTC)  # a Wednesday
    with Sandbox(entries=0, seed=1, now=moment) as awork:
        days = [date(2026, 4, 1) + timedelta(days=day) for day in range(91)]
        made = {day: awork.make_entry(startDateLocal=f"{day}T00:00:00") for day in days}
        awork.store.add(*made.values())

        def found(condition: Condition) -> list[date]:
            ids = matching(awork, condition)
            return [day for day in days if made[day]["id"] in ids]

        day = field("startDateLocal")
        assert found(day == today) == [date(2026, 5, 20)]
        assert found((day >= today - 2) & (day < today + 5)) == days[47:54]
        assert found((day >= sow) & (day <= eow)) == days[47:54]
        assert found((day >= som) & (day <= eom)) == days[30:61]
        assert found(day > now - 1) == days[49:]


# -- through Airflow -------------------------------------------------------------------------------------------------


@pytest.fixture
def workspace() -> Iterator[tuple[Sandbox, list[str]]]:
    """A workspace and the ids that :func:`unbilled` is to find in it."""
    with Sandbox(entries=120, seed=4) as sandbox, connection_in_environment(sandbox.url, sandbox.token):
        wanted = [
            entry["id"]
            for entry in sandbox.store.entries()
            if not entry["isBilled"] and entry["startDateLocal"] >= "2026-04-10" and "O'" not in entry.get("note", "")
        ]
        made = sandbox.make_entry(isBilled=False, note="O'Neill", startDateLocal="2026-04-10T00:00:00")
        sandbox.store.add(made)
        assert wanted
        yield sandbox, [*wanted, made["id"]]


def unbilled(note: object) -> Condition:
    written = (field("note") == note) | ~field("note").contains("O'") | field("note").is_(None)
    return ~field("isBilled") & (field("startDateLocal") >= date(2026, 4, 10)) & written


RENDERED = (
    "isBilled eq false and startDateLocal ge datetime'2026-04-10T00:00' and "
    "(note eq 'O''Neill' or substringof('O''',note) eq false or note eq null)"
)


def test_in_operators(workspace: tuple[Sandbox, list[str]], tmp_path: Any) -> None:
    _, wanted = workspace
    condition = unbilled(template("{{ params['note'] }}"))
    with DAG("filters", schedule=None, start_date=pendulum.datetime(2026, 1, 1), params={"note": "O'Neill"}) as dag:
        AworkTimeEntriesOperator(task_id="pull", filterby=condition, fields=["id"])
        AworkTimeEntriesOperator.partial(task_id="mapped", fields=["id"]).expand(
            filterby=[condition, field("isBilled") & (field("note") == "nothing")]
        )
        AworkTimeEntriesToObjectStorageOperator(
            task_id="export", destination=f"file://{tmp_path}", filterby=condition, compression="none"
        )
    result = run_dag(dag)
    assert result.state == "success", result.logs
    assert sorted(row["id"] for row in result.xcom("pull")) == sorted(wanted)
    assert sorted(row["id"] for row in result.xcom("mapped", map_index=0)) == sorted(wanted)
    assert result.xcom("mapped", map_index=1) == []
    assert [result.task(task_id).rendered_fields["filterby"] for task_id in ("pull", "export")] == [RENDERED] * 2
    manifest = json.loads((tmp_path / "_manifest.json").read_text())
    (file,) = manifest["files"]
    exported = [json.loads(line)["id"] for line in (tmp_path / file["name"]).read_text().splitlines()]
    assert sorted(exported) == sorted(wanted)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Condition]:
    """The conditions whose truth was asked; Airflow catches errors of that in some places."""
    conditions: list[Condition] = []
    refuse = Condition.__bool__

    def refuse_and_record(condition: Condition) -> bool:
        conditions.append(condition)
        return refuse(condition)

    monkeypatch.setattr(Condition, "__bool__", refuse_and_record)
    return conditions


def test_in_mapped_operators_and_default_args(
    workspace: tuple[Sandbox, list[str]], asked: list[Condition], tmp_path: Any
) -> None:
    _, wanted = workspace
    condition = unbilled(template("{{ params['note'] }}"))
    dag = DAG(
        "filters_in_defaults",
        schedule=None,
        start_date=pendulum.datetime(2026, 1, 1),
        params={"note": "O'Neill"},
        default_args={"filterby": condition},
    )
    with dag:
        AworkTimeEntriesOperator(task_id="pull", fields=["id"])
        AworkTimeEntriesOperator.partial(task_id="defaults").expand(fields=[["id"], ["id", "note"]])
        AworkTimeEntriesOperator.partial(task_id="partial", filterby=condition).expand(fields=[["id"]])
        AworkTimeEntriesOperator.partial(task_id="kwargs").expand_kwargs([{"filterby": condition, "fields": ["id"]}])
        AworkTimeEntriesSensor(task_id="wait")
        AworkTimeEntriesSensor.partial(task_id="waits", filterby=condition).expand(min_count=[1])
        AworkTimeEntriesToObjectStorageOperator.partial(task_id="export", filterby=condition).expand(
            destination=[f"file://{tmp_path}"]
        )
        AworkListToObjectStorageOperator(
            task_id="users",
            resource="users",
            destination=f"file://{tmp_path}/users",
            filterby=field("isArchived").is_not(True),
        )
    result = run_dag(dag)
    assert result.state == "success", result.logs
    assert asked == []
    pulled = [("pull", -1), ("defaults", 0), ("defaults", 1), ("partial", 0), ("kwargs", 0)]
    for task_id, map_index in pulled:
        assert sorted(row["id"] for row in result.xcom(task_id, map_index=map_index)) == sorted(wanted)
    for task_id, map_index in [*pulled, ("wait", -1), ("waits", 0), ("export", 0)]:
        assert result.task(task_id, map_index=map_index).rendered_fields["filterby"] == RENDERED
    assert result.task("users").rendered_fields["filterby"] == "isArchived ne true"
    manifest = json.loads((tmp_path / "_manifest.json").read_text())
    assert (manifest["filterby"], manifest["rows"]) == (RENDERED, len(wanted))


def test_serialized_dags_hold_text(asked: list[Condition]) -> None:
    with DAG("serialized_filters", schedule=None, default_args={"filterby": A | B}) as dag:
        AworkTimeEntriesOperator(task_id="pull")
        AworkTimeEntriesOperator.partial(task_id="partial", filterby=A).expand(fields=[["id"]])
        AworkTimeEntriesOperator.partial(task_id="mapped").expand(filterby=[B, C])
        AworkTimeEntriesSensor(task_id="wait", filterby=~A)
        AworkTimeEntriesToObjectStorageOperator(task_id="export", destination="s3://bucket", filterby=C)
    serialized = LazyDeserializedDAG.from_dag(dag).data
    json.dumps(serialized)
    tasks = {task["__var"]["task_id"]: task["__var"] for task in serialized["dag"]["tasks"]}
    assert asked == []
    assert serialized["dag"]["default_args"]["__var"]["filterby"] == "a eq 1 or b eq 2"
    assert tasks["pull"]["filterby"] == "a eq 1 or b eq 2"
    assert tasks["partial"]["partial_kwargs"]["filterby"] == "a eq 1"
    assert tasks["mapped"]["expand_input"]["value"]["__var"] == {"filterby": ["b eq 2", "c eq 3"]}
    assert tasks["wait"]["filterby"] == "not (a eq 1)"
    assert tasks["export"]["filterby"] == "c eq 3"


def test_operators_and_triggers_keep_text(asked: list[Condition]) -> None:
    made: list[Any] = [
        AworkTimeEntriesOperator(task_id="pull", filterby=A),
        AworkTimeEntriesSensor(task_id="wait", filterby=A),
        AworkTimeEntriesToObjectStorageOperator(task_id="export", destination="s3://bucket", filterby=A),
        AworkListToObjectStorageOperator(task_id="users", resource="users", destination="s3://bucket", filterby=A),
        AworkTimeEntriesTrigger(filterby=A),
        AworkTimeEntriesEventTrigger(filterby=A),
    ]
    assert [(type(each.filterby), each.filterby) for each in made] == [(str, "a eq 1")] * len(made)
    for trigger in made[-2:]:
        assert json.loads(json.dumps(trigger.serialize()[1]))["filterby"] == "a eq 1"
    assert asked == []
    narrowed = AworkTimeEntriesSensor.no_running_timers(task_id="stopped", filterby=A)
    assert (type(narrowed.filterby), narrowed.filterby) == (str, f"(a eq 1) and {RUNNING_TIMERS}")


@pytest.mark.parametrize("window", [{}, {"window_field": "createdOn", "window_start": "2020-01-01"}])
def test_in_the_hook(workspace: tuple[Sandbox, list[str]], window: dict[str, str]) -> None:
    sandbox, wanted = workspace
    hook = AworkHook()
    condition = unbilled("O'Neill")
    assert sorted(row["id"] for row in hook.get_time_entries(filterby=condition, **window)) == sorted(wanted)
    assert hook.count_time_entries(filterby=condition, **window) == len(wanted)
    assert list(hook.get_list("timeentries", orderby="createdOn desc", filterby=condition))
    with pytest.raises(AworkConfigError, match="filterby: awork returns this list whole"):
        list(hook.get_list("roles", filterby=condition))
    active = list(hook.get_list("users", filterby=field("isArchived").is_not(True)))
    assert active == list(hook.get_list("users", filterby="isArchived ne true"))
    assert sandbox.requests
