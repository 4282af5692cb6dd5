"""
``filterby`` expressions from Python values. Source: https://developers.awork.com/filtering

A condition goes wherever a ``filterby`` text goes: operators, sensors, triggers and the hook take both. Operators keep
its text, so rendered fields, serialised DAGs and manifests show what awork is asked.

>>> print((field("startDateLocal") >= date(2026, 11, 1)) & field("isBillable") & ~field("isBilled"))
startDateLocal ge datetime'2026-11-01T00:00' and isBillable eq true and isBilled eq false
>>> print((field("userId") == me.id) | field("project/company/name").in_(["O'Neill", "Zürich Bikes"]))
userId eq me.id or project/company/name eq 'O''Neill' or project/company/name eq 'Zürich Bikes'
>>> print((field("startDateLocal") >= today - 30) & "duration gt 0")
startDateLocal ge today-30d and (duration gt 0)
>>> print(field("task/tags").any_(field("name").startswith("urgent")))
task/tags/any(x: startswith(x/name,'urgent'))

Python's ``and``, ``or``, ``not`` and ``a <= field < b`` cannot be rendered and would drop a half of the filter in
silence, so in your code they raise: write ``&``, ``|``, ``~``, and parentheses around each comparison.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NoReturn, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from airflow_provider_awork.exceptions import AworkConfigError

__all__ = [
    "Condition", "Field", "Operand", "Template", "Text", "all_of", "check_balanced", "datetime_literal", "day_literal",
    "eom", "eow", "field", "filter_text", "item", "me", "now", "som", "sow", "template", "today",
]  # fmt: skip

T = TypeVar("T")
Value = object
"""None, bool, int, float, Decimal, str, UUID, date, aware datetime, timedelta, Template or another operand."""

# Inside any() and count() awork wants a variable before each path. Until a condition is written out, this character
# holds the variable's place: "\0/name" is a property, "\0" alone the item, "\0!" marks text whose paths are unknown.
_PLACE = "\0"

_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")
# In awork's document each property with such a name is a GUID (exception: traceId, which no list can be filtered by).
_ID = re.compile(r"(?:^|/)(?:id|\w*I[dD]|createdBy|updatedBy)$")
_DAY = re.compile(r"Date(?:Local|Utc)$")
_MOMENT = re.compile(r"(?:On|Date|DateLocal|DateUtc)$")
_CHANGED_BY_JINJA = re.compile(r"\{[{%#]|\r")

_OR, _AND, _COMPARISON, _CALL = range(4)


def all_of(*expressions: str | Condition | None) -> str | None:
    """
    Join expressions with ``and``; None and blank ones are left out.

    :raises AworkConfigError: one is not text, or could reach into another: quotes or parentheses do not match.

    >>> all_of("isBilled eq false", None, "duration gt 0 or isBillable eq true")
    '(isBilled eq false) and (duration gt 0 or isBillable eq true)'
    """
    texts = [filter_text(each) for each in expressions]
    for text in texts:
        if not isinstance(text, str | None):
            raise AworkConfigError(f"filterby: {text!r} is not text; write an expression such as 'isBilled eq false'")
    given = [text.strip() for text in texts if text is not None and text.strip()]
    if len(given) < 2:
        return "".join(given) or None
    for each in given:
        check_balanced(each)
    return " and ".join(f"({each})" for each in given)


def filter_text(filterby: T | Condition) -> T | str:
    """Return the text of a condition, and anything else as it is: text, None, or a value that Airflow renders later."""
    return str(filterby) if isinstance(filterby, Condition) else filterby


def check_balanced(expression: str) -> None:
    """
    Refuse text that could reach out of parentheses put around it.

    :raises AworkConfigError: its quotes or parentheses do not match.
    """
    outside_quotes = re.sub(r"'[^']*'", "", expression)
    if "'" in outside_quotes:
        raise AworkConfigError(f"filterby: a quote of {expression!r} is not closed; within text write '' for a quote")
    depth = 0
    for character in outside_quotes:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
    if depth:
        raise AworkConfigError(f"filterby: the parentheses of {expression!r} do not match")


def day_literal(day: date) -> str:
    """
    A day as awork's literal; awork keeps days as dates at midnight.

    >>> day_literal(date(2026, 11, 1))
    "datetime'2026-11-01T00:00'"
    """
    return f"datetime'{day.year:04}-{day.month:02}-{day.day:02}T00:00'"


def is_repeated(local: datetime) -> bool:
    """Whether the zone's clock shows this time twice, at the end of summer time, so that a literal does not tell it."""
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


def datetime_literal(instant: datetime, *, zone: str = "UTC") -> str:
    """
    An instant as awork's literal, which carries neither zone nor fraction.

    :param instant: aware; its fraction of a second is cut off.
    :param zone: IANA zone in which awork reads literals. Where its clock shows the same time twice (end of summer
        time), the second before that hour is used, so that the literal is never later than the instant.

    >>> datetime_literal(datetime(2026, 11, 1, 8, 30, tzinfo=UTC))
    "datetime'2026-11-01T08:30:00'"
    """
    local = instant.astimezone(ZoneInfo(zone)).replace(microsecond=0)
    while is_repeated(local):  # in some zones more than an hour
        earliest = local.replace(minute=0, second=0, fold=0).astimezone(UTC) - timedelta(seconds=1)
        local = earliest.astimezone(ZoneInfo(zone))
    return f"datetime'{local.replace(tzinfo=None).isoformat()}'"


def compare_instant(field: str, operator: str, instant: datetime, *, zone: str) -> str:
    """
    Write the comparison of a field with an instant.

    :param operator: awork's, such as ``ge``.
    :param instant: aware.
    :param zone: IANA zone in which awork reads literals.

    >>> compare_instant("updatedOn", "ge", datetime(2026, 11, 1, 8, 30, tzinfo=UTC), zone="Europe/Berlin")
    "updatedOn ge datetime'2026-11-01T09:30:00'"
    """
    return f"{field} {operator} {datetime_literal(instant, zone=zone)}"


class Condition:
    """
    A condition on entries, to be combined with ``&``, ``|`` and ``~``, also with text of your own.

    Comparisons of a field make it. ``str(condition)`` is awork's text. A condition equals a condition or a text that
    reads the same, and hashes like that text; ``== True`` and ``== False`` build another condition (``… eq false``).
    Text of your own is put into parentheses and must be balanced. A condition has no truth value.

    >>> print((field("duration") > 3600) | "isBilled eq true and isBillable eq true")
    duration gt 3600 or (isBilled eq true and isBillable eq true)
    """

    def __init__(self, markup: str, binding: int = _OR) -> None:
        self._markup = markup
        self._binding = binding

    def __str__(self) -> str:
        return self._markup.replace(f"{_PLACE}/", "").replace(f"{_PLACE}!", "").replace(_PLACE, "item")

    def __repr__(self) -> str:
        return f"Condition({str(self)!r})"

    def __and__(self, other: str | Condition | Field) -> Condition:
        return _joined("and", self, other)

    def __rand__(self, other: str | Condition | Field) -> Condition:
        return _joined("and", other, self)

    def __or__(self, other: str | Condition | Field) -> Condition:
        return _joined("or", self, other)

    def __ror__(self, other: str | Condition | Field) -> Condition:
        return _joined("or", other, self)

    def __invert__(self) -> Condition:
        # awork documents "any(...) eq false" as the negation of a call, and "not" for the rest.
        if self._binding == _CALL:
            return self._compared("eq", False)
        return Condition(f"not ({self._markup})", _COMPARISON)

    def __eq__(self, other: object) -> Any:
        if isinstance(other, bool):
            return self._compared("eq", other)
        return str(self) == str(other) if isinstance(other, Condition | str) else NotImplemented

    def __ne__(self, other: object) -> Any:
        if isinstance(other, bool):
            return self._compared("ne", other)
        return str(self) != str(other) if isinstance(other, Condition | str) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def __bool__(self) -> bool:
        _refuse_truth(f"the condition {str(self)!r}")

    def _compared(self, operator: str, value: bool) -> Condition:
        return Condition(f"{_within(self, _CALL)} {operator} {str(value).lower()}", _COMPARISON)


class Operand:
    """
    What has a value to compare: ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=`` with a Python value or another operand.

    None is ``null``, and only equality is defined for None, booleans and GUIDs. A ``date`` is its midnight, an aware
    ``datetime`` its second in UTC, a ``timedelta`` seconds, a ``UUID`` a GUID. Connections with the extra
    ``literal_timezone`` read instants otherwise: use ``window_field`` there.

    :raises AworkConfigError: awork's grammar cannot express the value, named with its field.
    """

    def __init__(self, markup: str, name: str) -> None:
        self._markup = markup
        self._name = name

    def __repr__(self) -> str:
        return self._name

    def __eq__(self, other: Value) -> Condition:  # type: ignore[override]  # an expression, not a truth
        return _compared(self, "eq", other)

    def __ne__(self, other: Value) -> Condition:  # type: ignore[override]  # as __eq__
        return _compared(self, "ne", other)

    def __lt__(self, other: Value) -> Condition:
        return _ordered(self, "lt", other)

    def __le__(self, other: Value) -> Condition:
        return _ordered(self, "le", other)

    def __gt__(self, other: Value) -> Condition:
        return _ordered(self, "gt", other)

    def __ge__(self, other: Value) -> Condition:
        return _ordered(self, "ge", other)

    __hash__ = None  # type: ignore[assignment]  # as Python does it beside __eq__

    def __bool__(self) -> bool:
        _refuse_truth(repr(self._name))

    def is_(self, value: bool | None) -> Condition:
        """``==`` for None, True and False, where linters frown on ``==``."""
        return self == value

    def is_not(self, value: bool | None) -> Condition:
        """``!=`` for None, True and False, where linters frown on ``!=``."""
        return self != value

    def in_(self, values: Iterable[Value]) -> Condition:
        """
        One of the values, written as ``eq`` joined by ``or``: awork documents ``in`` inside ``any`` alone.

        :raises AworkConfigError: there are no values; then nothing can match, and no request is needed.

        >>> print(field("duration").in_([900, 1800]) & (field("userId") == me.id))
        (duration eq 900 or duration eq 1800) and userId eq me.id
        """
        if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
            raise AworkConfigError(f"{self._name}: in_ takes a list of values, not {values!r}")
        tests = [self == value for value in values]
        if isinstance(values, Set):  # its order differs between processes, and with it DAG hashes and watermark keys
            tests.sort(key=str)
        if not tests:
            raise AworkConfigError(f"{self._name}: in_ has no values; nothing can match, so leave out the request")
        return tests[0] if len(tests) == 1 else Condition(" or ".join(test._markup for test in tests), _OR)


class Text(Operand):
    """
    An operand that may hold text.

    awork does not document whether upper and lower case differ; ``field("note").lower()`` makes sure that they do not.
    """

    def startswith(self, text: str | Template) -> Condition:
        """
        The value begins with a text.

        >>> print(field("note").startswith("Call"))
        startswith(note,'Call')
        """
        return Condition(f"startswith({self._markup},{_quoted(self._name, text)})", _CALL)

    def endswith(self, text: str | Template) -> Condition:
        """The value ends with a text."""
        return Condition(f"endswith({self._markup},{_quoted(self._name, text)})", _CALL)

    def contains(self, text: str | Template) -> Condition:
        """
        The value has a text in it.

        >>> print(~field("note").contains("it's"))
        substringof('it''s',note) eq false
        """
        return Condition(f"substringof({_quoted(self._name, text)},{self._markup})", _CALL)


class Field(Text):
    """
    A property of the entry, or inside ``any_`` and ``count`` of the item. Made by :func:`field`.

    In ``&``, ``|`` and ``~`` a field stands for a boolean: ``~field("isBilled")`` is ``isBilled eq false``.
    """

    def __and__(self, other: str | Condition | Field) -> Condition:
        return self.is_(True) & other

    def __rand__(self, other: str | Condition | Field) -> Condition:
        return other & self.is_(True)

    def __or__(self, other: str | Condition | Field) -> Condition:
        return self.is_(True) | other

    def __ror__(self, other: str | Condition | Field) -> Condition:
        return other | self.is_(True)

    def __invert__(self) -> Condition:
        return self.is_(False)

    def lower(self) -> Text:
        """
        The text in lower case; compare it with lower-case text.

        >>> print(field("user/lastName").lower() == "o'brien")
        tolower(user/lastName) eq 'o''brien'
        """
        return Text(f"tolower({self._markup})", self._name)

    def any_(self, condition: Condition | Field) -> Condition:
        """
        At least one item of this collection meets a condition; ``field`` in it is a property of the item.

        :raises AworkConfigError: the condition holds text of your own, whose fields cannot be told from the entry's.

        >>> print(~field("breaks").any_(field("duration") > 600))
        breaks/any(x: x/duration gt 600) eq false
        """
        return Condition(f"{self._markup}/any({self._on_items(condition)})", _CALL)

    def count(self, condition: Condition | Field | None = None) -> Operand:
        """
        How many items the collection has, or how many of them meet a condition as in :meth:`any_`.

        >>> print(field("breaks").count() < 10)
        breaks/count() lt 10
        >>> print(field("breaks").count(field("endDate").is_(None)) > 0)
        breaks/count(x: x/endDate eq null) gt 0
        """
        inside = "" if condition is None else self._on_items(condition)
        return Operand(f"{self._markup}/count({inside})", f"{self._name}/count()")

    def _on_items(self, condition: Condition | Field) -> str:
        markup = _condition(condition)._markup
        variable = next((each for each in "xyz" if f"({each}:" not in markup), None)
        if f"{_PLACE}!" in markup or variable is None:
            raise AworkConfigError(
                f"{self._name}: cannot place {str(condition)!r} inside any_ or count, because it holds text of your "
                "own or nests too deep; build it of fields alone, or write the whole expression as text"
            )
        return f"{variable}: {markup.replace(_PLACE, variable)}"


class DateWord(Operand):
    """A moment that awork works out when it is asked; ``today + 5`` is five days later, ``today - 30`` a month ago."""

    def __init__(self, word: str, days: int = 0) -> None:
        self._word = word
        self._days = days
        text = f"{word}{days:+}d" if days else word
        super().__init__(text, text)

    def __add__(self, days: int | timedelta) -> DateWord:
        return DateWord(self._word, self._days + self._whole_days(days))

    def __sub__(self, days: int | timedelta) -> DateWord:
        return DateWord(self._word, self._days - self._whole_days(days))

    def _whole_days(self, days: int | timedelta) -> int:
        if isinstance(days, timedelta) and days == timedelta(days=days.days):
            return days.days
        if isinstance(days, int) and not isinstance(days, bool):
            return days
        raise AworkConfigError(f"{self._name}: {days!r} is not a whole number of days")


@dataclass(frozen=True)
class Template:
    """Text that Airflow renders before awork sees it. Made by :func:`template`."""

    text: str


class Me:
    """The user whose key asks; for an API key that is the API user, not a person."""

    id = Operand("me.id", "me.id")

    def __repr__(self) -> str:
        return "me (pass me.id)"


me = Me()
# awork's documentation says neither in which zone these are meant nor on which day a week begins.
now, today = DateWord("now"), DateWord("today")
sow, eow, som, eom = DateWord("sow"), DateWord("eow"), DateWord("som"), DateWord("eom")
item = Field(_PLACE, "item")
"""The item itself inside ``any_``, for collections of plain values: ``field("userIds").any_(item == user_id)``."""


def field(path: str) -> Field:
    """
    A property by its name in awork's JSON, nested ones with a slash as in awork's documents.

    Text for an id (``id``, ``…Id``, ``createdBy``, ``updatedBy``) is a GUID, since awork compares ids with nothing
    else; any other text stays text. Days (``startDateLocal``, ``endDateUtc``, ...) take dates.

    :param path: such as ``duration`` or ``project/company/name``.
    :raises AworkConfigError: it is no path.

    >>> print(field("projectId") == "5A6D7B2E-0C7F-4E0B-9F65-3B1C1A2D3E4F")
    projectId eq guid'5a6d7b2e-0c7f-4e0b-9f65-3b1c1a2d3e4f'
    """
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise AworkConfigError(f"field: {path!r} is not a path of names and slashes such as 'project/company/name'")
    return Field(f"{_PLACE}/{path}", path)


def template(text: str) -> Template:
    """
    A value that Airflow renders, for the templated parameters of operators; the hook renders nothing.

    Quotes in what it renders to are doubled, so the value cannot leave its place. For a day it must render to
    ``YYYY-MM-DD``, for an id to a GUID. Instants and numbers cannot be templates; write text for them.

    :param text: Jinja template such as ``{{ params.project }}``.
    :raises AworkConfigError: it is not text.

    >>> print(field("startDateLocal") >= template("{{ ds }}"))
    startDateLocal ge datetime'{% filter replace("'", "''") %}{{ ds }}{% endfilter %}T00:00'
    """
    if not isinstance(text, str):
        raise AworkConfigError(f"template: {text!r} is not text such as '{{{{ params.project }}}}'")
    return Template(text)


def _refuse_truth(what: str) -> NoReturn:
    raise AworkConfigError(
        f"filterby: {what} has no truth value in Python. Join conditions with &, | and ~ instead of and, or and not; "
        "write (field >= a) & (field < b) instead of a <= field < b; compare with `is not None` instead of `if`"
    )


def _joined(word: str, left: str | Condition | Field, right: str | Condition | Field) -> Condition:
    binding = _AND if word == "and" else _OR
    return Condition(f"{_within(left, binding)} {word} {_within(right, binding)}", binding)


def _within(value: str | Condition | Field, binding: int) -> str:
    """Markup of a condition, in parentheses if it binds less than what is around it."""
    condition = _condition(value)
    return condition._markup if condition._binding >= binding else f"({condition._markup})"


def _condition(value: object) -> Condition:
    if isinstance(value, Condition):
        return value
    if isinstance(value, Field):
        return value.is_(True)
    if not isinstance(value, str) or not value.strip() or _PLACE in value:
        raise AworkConfigError(
            f"filterby: {value!r} is not a condition; put parentheses around each comparison, as in "
            '(field("a") == 1) & (field("b") == 2)'
        )
    check_balanced(value)
    return Condition(f"({_PLACE}!{value.strip()})", _CALL)


def _compared(left: Operand, operator: str, right: Value) -> Condition:
    return Condition(f"{left._markup} {operator} {_written(left._name, right)}", _COMPARISON)


def _ordered(left: Operand, operator: str, right: Value) -> Condition:
    if right is None or isinstance(right, bool | UUID) or (_ID.search(left._name) and isinstance(right, str)):
        raise AworkConfigError(f"{left._name}: {right!r} has no order for {operator!r}; awork compares it by == and !=")
    return _compared(left, operator, right)


def _written(name: str, value: Value) -> str:
    """A value in awork's grammar, for the field of that name."""
    if isinstance(value, Operand):
        return value._markup
    if value is None:
        return "null"
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write(name, value)
    raise AworkConfigError(
        f"{name}: awork's filters cannot express {value!r} ({type(value).__name__}); pass None, a bool, number, str, "
        "UUID, date, aware datetime or timedelta"
    )


def _written_text(name: str, value: str | Template) -> str:
    if _MOMENT.search(name) and (isinstance(value, str) or not _DAY.search(name)):
        kind = "a date" if _DAY.search(name) else "a date or an aware datetime"
        raise AworkConfigError(f"{name}: {value!r} is text where a moment belongs; pass {kind}")
    if _ID.search(name):
        return f"guid{_quoted(name, value if isinstance(value, Template) else _guid(name, value))}"
    if isinstance(value, Template) and _DAY.search(name):
        return f"datetime{_quoted(name, value)[:-1]}T00:00'"
    return _quoted(name, value)


def _guid(name: str, text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise AworkConfigError(f"{name}: {text!r} is not a GUID, which an id has to be") from None


def _quoted(name: str, value: object) -> str:
    if isinstance(value, Template):
        return f"""'{{% filter replace("'", "''") %}}{value.text}{{% endfilter %}}'"""
    if not isinstance(value, str):
        raise AworkConfigError(f"{name}: {value!r} is not text")
    if _CHANGED_BY_JINJA.search(value):
        raise AworkConfigError(
            f"{name}: operators would render {value!r} as a template, which changes '{{{{', '{{%', '{{#' and carriage "
            "returns. Is it a template, pass template(...); else write the expression as text for the hook"
        )
    if _PLACE in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise AworkConfigError(f"{name}: {value!r} has a character that cannot be sent (NUL or half a surrogate pair)")
    return "'" + value.replace("'", "''") + "'"


def _written_datetime(name: str, value: datetime) -> str:
    if _DAY.search(name):
        raise AworkConfigError(f"{name}: {value} is an instant, but the field holds a day; pass a date")
    if value.utcoffset() is None:
        raise AworkConfigError(f"{name}: {value} has no time zone; pass an aware datetime, or a date")
    if value.microsecond:
        raise AworkConfigError(f"{name}: {value} has a fraction of a second, which awork's filters cannot express")
    try:
        return datetime_literal(value)
    except OverflowError:
        raise AworkConfigError(f"{name}: {value} is too near to the end of the calendar") from None


def _written_int(name: str, value: int) -> str:
    if not -(2**63) <= value < 2**63:
        raise AworkConfigError(f"{name}: {value} does not fit into 64 bits")
    return f"{value}" if -(2**31) <= value < 2**31 else f"{value}L"


def _written_float(name: str, value: float) -> str:
    if not math.isfinite(value):
        raise AworkConfigError(f"{name}: {value} is not a finite number")
    text = f"{Decimal(repr(float(value))):f}"
    return text if "." in text else f"{text}.0"


def _written_decimal(name: str, value: Decimal) -> str:
    """.NET's decimals have 96 bits and at most 28 decimal places."""
    _, digits, exponent = value.as_tuple()
    if isinstance(exponent, int) and -28 <= exponent <= 28:
        size = int("".join(map(str, digits))) * 10 ** max(0, exponent)
        if size < 2**96:
            return f"{value:f}M"
    raise AworkConfigError(f"{name}: {value} does not fit into a decimal of 28 places")


def _written_timedelta(name: str, value: timedelta) -> str:
    seconds = value.total_seconds()
    if not seconds.is_integer():
        raise AworkConfigError(f"{name}: {value} is not in whole seconds, in which awork counts durations")
    return _written_int(name, int(seconds))


# The first that fits: a bool is an int, a datetime is a date.
_WRITERS: tuple[tuple[type, Callable[[str, Any], str]], ...] = (
    (bool, lambda name, value: str(value).lower()),
    (int, _written_int),
    (float, _written_float),
    (Decimal, _written_decimal),
    (str, _written_text),
    (Template, _written_text),
    (UUID, lambda name, value: f"guid'{value}'"),
    (datetime, _written_datetime),
    (date, lambda name, value: day_literal(value)),
    (timedelta, _written_timedelta),
)
