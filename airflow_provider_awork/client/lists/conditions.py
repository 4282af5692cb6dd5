"""
``filterby`` expressions from Python values. Source: https://developers.awork.com/filtering

Whatever takes a ``filterby`` takes a condition: operators, sensors, triggers and the hook. ``str`` gives awork's text.

>>> from datetime import date
>>> (field("startDateLocal") >= date(2026, 11, 1)) & field("isBillable") & ~field("isBilled")
"startDateLocal ge datetime'2026-11-01T00:00' and isBillable eq true and isBilled eq false"
>>> (field("userId") == me.id) | field("project/company/name").in_(["O'Neill", "Zürich Bikes"])
"userId eq me.id or project/company/name eq 'O''Neill' or project/company/name eq 'Zürich Bikes'"
>>> (field("startDateLocal") >= today - 30) & "duration gt 0"
'startDateLocal ge today-30d and (duration gt 0)'
>>> field("task/tags").any_(field("name").startswith("urgent"))
"task/tags/any(x: startswith(x/name,'urgent'))"

Python's ``and``, ``or``, ``not`` and ``a <= field < b`` would silently drop half of the filter, so they raise an
error. Write ``&``, ``|``, ``~``, and parentheses around each comparison.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import NoReturn, overload
from uuid import UUID

from airflow_provider_awork.client.lists.literals import Template, is_id, quoted, value_literal
from airflow_provider_awork.exceptions import AworkConfigError

Value = object
"""None, bool, int, float, Decimal, str, UUID, date, aware datetime, timedelta, Template or another operand."""

# Inside any() and count() awork wants a variable before each path. Until a condition is written out, this character
# holds the variable's place: "\0/name" is a property, "\0" alone the item, "\0!" marks text whose paths are unknown.
_PLACE = "\0"

_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")

_OR, _AND, _COMPARISON, _CALL = range(4)


class Condition:
    """
    A condition on entries, to be combined with ``&``, ``|``, ``~``, also with text of your own.

    Comparisons of a field make it. Text of your own is put into parentheses and must be balanced.

    A condition equals a condition or text that reads the same, and has the hash of that text. Compared with True or
    False it makes another condition (``... eq false``).

    >>> (field("duration") > 3600) | "isBilled eq true and isBillable eq true"
    'duration gt 3600 or (isBilled eq true and isBillable eq true)'
    """

    def __init__(self, markup: str, binding: int = _OR) -> None:
        self._markup = markup
        self._binding = binding

    def __str__(self) -> str:
        return self._markup.replace(f"{_PLACE}/", "").replace(f"{_PLACE}!", "").replace(_PLACE, "item")

    def __repr__(self) -> str:
        return repr(str(self))

    def __and__(self, other: str | Condition | Field) -> Condition:
        return _join("and", self, other)

    def __rand__(self, other: str | Condition | Field) -> Condition:
        return _join("and", other, self)

    def __or__(self, other: str | Condition | Field) -> Condition:
        return _join("or", self, other)

    def __ror__(self, other: str | Condition | Field) -> Condition:
        return _join("or", other, self)

    def __invert__(self) -> Condition:
        # awork documents "any(...) eq false" as the negation of a call, and "not" for the rest.
        if self._binding == _CALL:
            return self._compare_truth("eq", False)
        return Condition(f"not ({self._markup})", _COMPARISON)

    @overload
    def __eq__(self, other: bool) -> Condition: ...  # type: ignore[overload-overlap]  # an expression
    @overload
    def __eq__(self, other: object) -> bool: ...
    def __eq__(self, other: object) -> Condition | bool:
        if isinstance(other, bool):
            return self._compare_truth("eq", other)
        return str(self) == str(other) if isinstance(other, str | Condition) else NotImplemented

    @overload
    def __ne__(self, other: bool) -> Condition: ...  # type: ignore[overload-overlap]  # as __eq__
    @overload
    def __ne__(self, other: object) -> bool: ...
    def __ne__(self, other: object) -> Condition | bool:
        if isinstance(other, bool):
            return self._compare_truth("ne", other)
        return str(self) != str(other) if isinstance(other, str | Condition) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def __bool__(self) -> bool:
        _refuse_truth(f"the condition {self!r}")

    def _compare_truth(self, operator: str, value: bool) -> Condition:
        return Condition(f"{_enclose(self, _CALL)} {operator} {str(value).lower()}", _COMPARISON)


class Operand:
    """
    A value to compare: ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=`` with a Python value or another operand.

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
        return _compare(self, "eq", other)

    def __ne__(self, other: Value) -> Condition:  # type: ignore[override]  # as __eq__
        return _compare(self, "ne", other)

    def __lt__(self, other: Value) -> Condition:
        return _compare_order(self, "lt", other)

    def __le__(self, other: Value) -> Condition:
        return _compare_order(self, "le", other)

    def __gt__(self, other: Value) -> Condition:
        return _compare_order(self, "gt", other)

    def __ge__(self, other: Value) -> Condition:
        return _compare_order(self, "ge", other)

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

        The values of a set are sorted by their text, so that each process writes the same expression. A request holds
        some hundred values: the error for a longer one (414) says how many fit.

        :raises AworkConfigError: there are no values; then nothing can match, and no request is needed.

        >>> field("duration").in_([900, 1800]) & (field("userId") == me.id)
        '(duration eq 900 or duration eq 1800) and userId eq me.id'
        """
        if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
            raise AworkConfigError(f"{self._name}: in_ takes a list of values, not {values!r}")
        tests = [self == value for value in values]
        if not tests:
            raise AworkConfigError(f"{self._name}: in_ has no values; nothing can match, so leave out the request")
        if isinstance(values, set | frozenset):
            tests.sort(key=str)
        return tests[0] if len(tests) == 1 else Condition(" or ".join(test._markup for test in tests), _OR)


class Text(Operand):
    """
    An operand that may hold text.

    awork does not document whether upper and lower case differ; ``field("note").lower()`` makes sure that they do not.
    """

    def startswith(self, text: str | Template) -> Condition:
        """
        The value begins with a text.

        >>> field("note").startswith("Call")
        "startswith(note,'Call')"
        """
        return Condition(f"startswith({self._markup},{quoted(self._name, text)})", _CALL)

    def endswith(self, text: str | Template) -> Condition:
        """The value ends with a text."""
        return Condition(f"endswith({self._markup},{quoted(self._name, text)})", _CALL)

    def contains(self, text: str | Template) -> Condition:
        """
        The value has a text in it.

        >>> ~field("note").contains("it's")
        "substringof('it''s',note) eq false"
        """
        return Condition(f"substringof({quoted(self._name, text)},{self._markup})", _CALL)


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

        >>> field("user/lastName").lower() == "o'brien"
        "tolower(user/lastName) eq 'o''brien'"
        """
        return Text(f"tolower({self._markup})", self._name)

    def any_(self, condition: Condition | Field) -> Condition:
        """
        At least one item of this collection meets a condition; ``field`` in it is a property of the item.

        :raises AworkConfigError: the condition holds text of your own, whose fields cannot be told from the entry's.

        >>> ~field("breaks").any_(field("duration") > 600)
        'breaks/any(x: x/duration gt 600) eq false'
        """
        return Condition(f"{self._markup}/any({self._on_items(condition)})", _CALL)

    def count(self, condition: Condition | Field | None = None) -> Operand:
        """
        How many items the collection has, or how many of them meet a condition as in :meth:`any_`.

        >>> field("breaks").count() < 10
        'breaks/count() lt 10'
        >>> field("breaks").count(field("endDate").is_(None)) > 0
        'breaks/count(x: x/endDate eq null) gt 0'
        """
        inside = "" if condition is None else self._on_items(condition)
        return Operand(f"{self._markup}/count({inside})", f"{self._name}/count()")

    def _on_items(self, condition: Condition | Field) -> str:
        markup = _to_condition(condition)._markup
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

    >>> field("projectId") == "5A6D7B2E-0C7F-4E0B-9F65-3B1C1A2D3E4F"
    "projectId eq guid'5a6d7b2e-0c7f-4e0b-9f65-3b1c1a2d3e4f'"
    """
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise AworkConfigError(f"field: {path!r} is not a path of names and slashes such as 'project/company/name'")
    return Field(f"{_PLACE}/{path}", path)


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


def _refuse_truth(subject: str) -> NoReturn:
    raise AworkConfigError(
        f"filterby: {subject} has no truth value in Python. Join conditions with &, | and ~ instead of and, or and "
        "not; write (field >= a) & (field < b) instead of a <= field < b; compare with `is not None` instead of `if`"
    )


def _join(word: str, left: str | Condition | Field, right: str | Condition | Field) -> Condition:
    binding = _AND if word == "and" else _OR
    return Condition(f"{_enclose(left, binding)} {word} {_enclose(right, binding)}", binding)


def _enclose(value: str | Condition | Field, binding: int) -> str:
    """Markup of a condition, in parentheses if it binds less than what is around it."""
    condition = _to_condition(value)
    return condition._markup if condition._binding >= binding else f"({condition._markup})"


def _to_condition(value: object) -> Condition:
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


def _compare(left: Operand, operator: str, right: Value) -> Condition:
    literal = right._markup if isinstance(right, Operand) else value_literal(left._name, right)
    return Condition(f"{left._markup} {operator} {literal}", _COMPARISON)


def _compare_order(left: Operand, operator: str, right: Value) -> Condition:
    if right is None or isinstance(right, bool | UUID) or (is_id(left._name) and isinstance(right, str)):
        raise AworkConfigError(f"{left._name}: {right!r} has no order for {operator!r}; awork compares it by == and !=")
    return _compare(left, operator, right)
