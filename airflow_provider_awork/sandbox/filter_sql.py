"""
``filterby`` and ``orderby`` as SQL over the store, with bound parameters.

Where awork's documents are silent this follows .NET's habits: ``null ne 'x'`` is true, any other comparison with null
is false, texts compare with regard to case, GUIDs without. A comparison of different kinds (a GUID with a text) is an
error. Weeks begin on Monday.
"""

# ruff: noqa: S608 - names in SQL come from the models, values are bound
from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from lark import Token, Tree

from airflow_provider_awork.sandbox.filter_grammar import FilterError, OrderTerm, parse_filter, parse_order
from airflow_provider_awork.sandbox.instants import to_ticks
from airflow_provider_awork.sandbox.models import Kind, Model, Property

Parameter = str | int | float | None

_OPERATORS = {"eq": "IS", "ne": "IS NOT", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_EQUALITY_ONLY = {Kind.BOOL, Kind.GUID}
_MOMENTS = {Kind.INSTANT, Kind.DATE, Kind.MOMENT_LITERAL}


@dataclass(frozen=True)
class Sql:
    """
    A piece of SQL, the values of its ``?``, and what it yields.

    :param computed: a condition worked out from others, whose null counts as false; a stored null stays null.
    :param moment: the value of a date-time literal, naive.
    """

    text: str
    parameters: tuple[Parameter, ...] = ()
    kind: Kind = Kind.BOOL
    computed: bool = False
    moment: datetime | None = None


@dataclass(frozen=True)
class Scope:
    """
    What a name in an expression can refer to.

    :param properties: the properties in reach.
    :param column: SQL of a property by its path, for those with a column of their own.
    :param document: SQL of the JSON text that holds the others.
    :param collections: SQL of the JSON text and path of collections that the document lacks, by path.
    """

    properties: Model
    document: str
    column: Mapping[str, str] = field(default_factory=dict)
    collections: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """
    What an expression's meaning depends on besides the expression.

    :param me: id of the user that asks.
    :param now: aware; what ``now`` and ``today`` rest on.
    :param zone: in which date-time literals and date words are read.
    :param shifted_days: whether that also holds for literals that are compared with days.
    :param literal_seconds: whether the seconds of date-time literals are ``read``, ``dropped`` or ``refused``.
    """

    me: str
    now: datetime
    zone: ZoneInfo
    shifted_days: bool = False
    literal_seconds: str = "read"


def filter_sql(expression: str, scope: Scope, context: Context, refused: Collection[str] = ()) -> Sql:
    """
    The condition of a ``filterby`` expression.

    :param refused: paths of properties that the server is to refuse.
    :raises FilterError: it is malformed, names an unknown property or compares what cannot be compared.
    """
    condition = _Translator(scope, context, _lower(refused)).translate(parse_filter(expression))
    return _condition(condition, "filterby")


def order_sql(expression: str, scope: Scope, refused: Collection[str] = ()) -> list[str]:
    """
    The SQL of each term of an ``orderby`` expression.

    :raises FilterError: it is malformed or names a property that is unknown, refused or no plain value.
    """
    return [_order_term(term, scope, _lower(refused)) for term in parse_order(expression)]


def both(left: Sql, right: Sql) -> Sql:
    """The condition that both hold."""
    return _computed(f"({left.text} AND {right.text})", [left, right])


def _lower(paths: Collection[str]) -> frozenset[str]:
    return frozenset(path.lower() for path in paths)


def _order_term(term: OrderTerm, scope: Scope, refused: Collection[str]) -> str:
    prop, path = _find(scope.properties, term.path)
    if path.lower() in refused or prop.kind in (Kind.OBJECT, Kind.COLLECTION):
        raise FilterError(f"cannot order by {path!r}")
    return f"{_property_sql(scope, prop, path)} {'DESC' if term.descending else 'ASC'}"


class _Translator:
    """Walks a syntax tree from the top, because names inside ``any`` need the variable around them."""

    def __init__(
        self,
        scope: Scope,
        context: Context,
        refused: frozenset[str],
        variables: Mapping[str, tuple[Property, str]] = MappingProxyType({}),
    ) -> None:
        self._scope = scope
        self._context = context
        self._refused = refused
        self._variables = variables
        self._rules: dict[str, Callable[[Tree[Token]], Sql]] = {
            "disjunction": lambda tree: self._connect(tree, "OR"),
            "conjunction": lambda tree: self._connect(tree, "AND"),
            "negation": self._negation,
            "comparison": self._comparison,
            "membership": self._membership,
            "call": self._call,
            "any": self._any,
            "count": self._count,
            "path": self._path,
            "literal": self._literal,
        }

    def translate(self, tree: Tree[Token]) -> Sql:
        return self._rules[tree.data](tree)

    def _children(self, tree: Tree[Token]) -> list[Sql]:
        return [self.translate(child) for child in tree.children if isinstance(child, Tree)]

    def _connect(self, tree: Tree[Token], word: str) -> Sql:
        parts = [_condition(child, word.lower()) for child in self._children(tree)]
        return _computed(f"({f' {word} '.join(part.text for part in parts)})", parts)

    def _negation(self, tree: Tree[Token]) -> Sql:
        (inner,) = self._children(tree)
        return _computed(f"(NOT coalesce({_condition(inner, 'not').text}, 0))", [inner])

    def _comparison(self, tree: Tree[Token]) -> Sql:
        left, right = self._children(tree)
        return self._compare(left, str(tree.children[1]), right)

    def _membership(self, tree: Tree[Token]) -> Sql:
        value, *options = self._children(tree)
        tests = [self._compare(value, "eq", option) for option in options]
        return _computed(f"({' OR '.join(test.text for test in tests)})", tests)

    def _compare(self, left: Sql, operator: str, right: Sql) -> Sql:
        kinds = {left.kind, right.kind}
        if Kind.COLLECTION in kinds or Kind.OBJECT in kinds:
            if kinds != {Kind.OBJECT, Kind.NULL}:
                raise FilterError(f"an object or collection cannot be compared with {operator!r}")
        elif not (len(kinds) == 1 or Kind.NULL in kinds or kinds <= _MOMENTS):
            raise FilterError(f"{left.kind.value} and {right.kind.value} cannot be compared")
        if operator not in ("eq", "ne") and (kinds & _EQUALITY_ONLY or Kind.NULL in kinds):
            raise FilterError(f"{left.kind.value} and {right.kind.value} have no order for {operator!r}")
        left, right = self._moments(left, right), self._moments(right, left)
        if operator in ("eq", "ne"):
            left, right = _two_valued(left), _two_valued(right)
        return _computed(f"({left.text} {_OPERATORS[operator]} {right.text})", [left, right])

    def _moments(self, value: Sql, other: Sql) -> Sql:
        """A date-time literal as ticks: a day against days, else an instant in the literals' zone."""
        if value.moment is None:
            return value
        is_day = other.kind is Kind.DATE and not self._context.shifted_days
        aware = value.moment if is_day else value.moment.replace(tzinfo=self._context.zone)
        return Sql("?", (to_ticks(aware),), Kind.INSTANT)

    def _call(self, tree: Tree[Token]) -> Sql:
        name = str(tree.children[0])
        arguments = self._children(tree)
        wanted = 1 if name == "tolower" else 2
        if len(arguments) != wanted or any(argument.kind is not Kind.STRING for argument in arguments):
            raise FilterError(f"{name} takes {wanted} text(s)")
        if name == "substringof":
            arguments.reverse()
        call = _computed(f"{name}({', '.join(argument.text for argument in arguments)})", arguments)
        return replace(call, kind=Kind.STRING) if name == "tolower" else call

    def _any(self, tree: Tree[Token]) -> Sql:
        rows, condition = self._items(tree)
        return _computed(f"EXISTS (SELECT 1 FROM {rows} WHERE {condition.text})", [condition])

    def _count(self, tree: Tree[Token]) -> Sql:
        rows, condition = self._items(tree)
        return Sql(f"(SELECT count(*) FROM {rows} WHERE {condition.text})", condition.parameters, Kind.NUMBER)

    def _items(self, tree: Tree[Token]) -> tuple[str, Sql]:
        """The rows of a collection as a table, and the condition on them."""
        collection, variable, body = tree.children
        names = [str(name) for name in collection.children]  # type: ignore[union-attr]
        prop, source = self._collection(names)
        alias = f"item{len(self._variables) + 1}"
        rows = f"json_each({source}) AS {alias}"
        if body is None:
            return rows, Sql("1")
        variables = {**self._variables, str(variable): (prop, alias)}
        inner = _Translator(self._scope, self._context, self._refused, variables)
        return rows, _condition(inner.translate(body), "any and count")  # type: ignore[arg-type]

    def _collection(self, names: Sequence[str]) -> tuple[Property, str]:
        prop, scope, path = self._resolve(names)
        if prop.kind is not Kind.COLLECTION:
            raise FilterError(f"{path!r} is no collection")
        document, json_path = scope.collections.get(path, (scope.document, _json_path(path)))
        return prop, f"{document}, '{json_path}'"

    def _path(self, tree: Tree[Token]) -> Sql:
        names = [str(name) for name in tree.children]
        if len(names) == 1 and names[0] in self._variables:
            prop, alias = self._variables[names[0]]
            return Sql(f"{alias}.value", kind=prop.item_kind)
        prop, scope, path = self._resolve(names)
        return Sql(_property_sql(scope, prop, path), kind=prop.kind)

    def _resolve(self, names: Sequence[str]) -> tuple[Property, Scope, str]:
        if names[0] in self._variables:
            collection, alias = self._variables[names[0]]
            scope, names = Scope(collection.items, f"{alias}.value"), names[1:]
        else:
            scope = self._scope
        prop, path = _find(scope.properties, names)
        if path.lower() in self._refused and scope is self._scope:
            raise FilterError(f"cannot filter by {path!r}")
        return prop, scope, path

    def _literal(self, tree: Tree[Token]) -> Sql:
        (token,) = tree.scan_values(lambda value: isinstance(value, Token))
        return _LITERALS[token.type](str(token), self._context)


def _find(properties: Model, names: Sequence[str]) -> tuple[Property, str]:
    """The property at the end of a path, and the path as JSON spells it."""
    prop: Property | None = None
    spelt = []
    for name in names:
        prop = properties.get(name.lower())
        if prop is None:
            raise FilterError(f"there is no property {'/'.join(names)!r}")
        spelt.append(prop.name)
        properties = prop.items if prop.kind is Kind.OBJECT else {}
    if prop is None:
        raise FilterError("a property is missing")
    return prop, "/".join(spelt)


def _property_sql(scope: Scope, prop: Property, path: str) -> str:
    if path in scope.column:
        return scope.column[path]
    value = f"json_extract({scope.document}, '{_json_path(path)}')"
    return f"ticks({value})" if prop.kind in (Kind.INSTANT, Kind.DATE) else value


def _json_path(path: str) -> str:
    return "$." + path.replace("/", ".")


def _condition(value: Sql, where: str) -> Sql:
    if value.kind is not Kind.BOOL:
        raise FilterError(f"{where} needs a condition, not a {value.kind.value}")
    return value


def _computed(text: str, parts: Sequence[Sql]) -> Sql:
    return Sql(text, tuple(parameter for part in parts for parameter in part.parameters), computed=True)


def _two_valued(value: Sql) -> Sql:
    if not value.computed or value.kind is not Kind.BOOL:
        return value
    return replace(value, text=f"coalesce({value.text}, 0)")


def _moment(text: str, context: Context) -> Sql:
    try:
        moment = datetime.fromisoformat(text[len("datetime'") : -1])
    except ValueError as error:
        raise FilterError(f"{text} is no date") from error
    if context.literal_seconds == "refused" and text.count(":") > 1:
        raise FilterError(f"{text} has seconds")
    if context.literal_seconds == "dropped":
        moment = moment.replace(second=0, microsecond=0)
    return Sql("?", kind=Kind.MOMENT_LITERAL, moment=moment)


def _date_word(text: str, context: Context) -> Sql:
    word, days = re.fullmatch(r"([a-z]+)([+-]\d+)?d?", text).groups()  # type: ignore[union-attr]
    now = context.now.astimezone(context.zone).replace(tzinfo=None)
    try:
        moment = _DATE_WORDS[word](now) + timedelta(days=int(days or 0))
    except OverflowError as error:
        raise FilterError(f"{text} is out of range") from error
    return Sql("?", kind=Kind.MOMENT_LITERAL, moment=moment)


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment, time())


def _end_of(day: datetime) -> datetime:
    return _midnight(day) + timedelta(days=1, microseconds=-1)


def _next_month(moment: datetime) -> datetime:
    return _midnight(moment.replace(day=1) + timedelta(days=32)).replace(day=1)


_DATE_WORDS: dict[str, Callable[[datetime], datetime]] = {
    "now": lambda now: now,
    "today": _midnight,
    "sow": lambda now: _midnight(now - timedelta(days=now.weekday())),
    "eow": lambda now: _end_of(now + timedelta(days=6 - now.weekday())),
    "som": lambda now: _midnight(now.replace(day=1)),
    "eom": lambda now: _end_of(_next_month(now) - timedelta(days=1)),
}


def _number(convert: Callable[[str], int | float], suffix: str = "") -> Callable[[str, Context], Sql]:
    def literal(text: str, context: Context) -> Sql:
        number = convert(text.removesuffix(suffix))
        if isinstance(number, int) and not -(2**63) <= number < 2**63:
            raise FilterError(f"{text} does not fit into 64 bits")
        return Sql("?", (number,), Kind.NUMBER)

    return literal


_LITERALS: dict[str, Callable[[str, Context], Sql]] = {
    "NULL": lambda *_: Sql("NULL", kind=Kind.NULL),
    "TRUE": lambda *_: Sql("1"),
    "FALSE": lambda *_: Sql("0"),
    "ME": lambda _, context: Sql("?", (context.me,), Kind.GUID),
    "STRING": lambda text, _: Sql("?", (text[1:-1].replace("''", "'"),), Kind.STRING),
    "GUID": lambda text, _: Sql("?", (text[len("guid'") : -1].lower(),), Kind.GUID),
    "DATETIME": _moment,
    "DATE_WORD": _date_word,
    "BYTE": _number(lambda text: int(text, 16)),
    "INT": _number(int),
    "LONG": _number(int, "L"),
    "SINGLE": _number(float, "f"),
    "DECIMAL": _number(float, "M"),
    "DOUBLE": _number(float),
}
