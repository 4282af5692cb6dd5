"""
Parser of ``filterby`` and ``orderby``. Sources: https://developers.awork.com/filtering and
https://developers.awork.com/ordering

Keywords and literal prefixes are lower case only, as awork wants them. Date-time literals have minutes or seconds and
neither a zone nor fractions: no client was seen to send more, so the sandbox refuses it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

GRAMMAR = r"""
?start: disjunction
?disjunction: conjunction ("or" conjunction)*
?conjunction: inversion ("and" inversion)*
?inversion: comparison | "not" inversion -> negation
?comparison: value
    | value COMPARATOR value
    | value "in" "(" literal ("," literal)* ")" -> membership
?value: literal | path | call | any | count | "(" disjunction ")"
call: FUNCTION "(" value ("," value)* ")"
any: collection "any" "(" NAME ":" disjunction ")"
count: collection "count" "(" [NAME ":" disjunction] ")"
collection: _names "/"
path: _names
_names: NAME | _names "/" NAME
!literal: NULL | TRUE | FALSE | ME | STRING | DATETIME | DATE_WORD | GUID
    | BYTE | LONG | SINGLE | DECIMAL | DOUBLE | INT

COMPARATOR.3: /(eq|ne|gt|ge|lt|le)\b/
FUNCTION.3: /(startswith|endswith|substringof|tolower)(?=\()/
NULL.3: /null\b/
TRUE.3: /true\b/
FALSE.3: /false\b/
ME.3: /me\.id\b/
DATE_WORD.3: /(now|today|sow|eow|som|eom)\b([+-]\d+d\b)?/
STRING: /'(?:[^']|'')*'/
DATETIME.3: /datetime'\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?'/
GUID.3: /guid'[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}'/
BYTE.9: /0x[0-9a-fA-F]{2}\b/
LONG.8: /-?\d+L\b/
SINGLE.7: /-?\d+(\.\d+)?f\b/
DECIMAL.6: /-?\d+(\.\d+)?M\b/
DOUBLE.5: /-?\d+\.\d+\b/
INT.4: /-?\d+\b/
NAME: /[A-Za-z_][A-Za-z0-9_]*/
%ignore /[ \t]+/
"""

_ORDER_TERM = re.compile(r"(?P<path>[A-Za-z_]\w*(?:/[A-Za-z_]\w*)*)(?: +(?P<direction>asc|desc))?", re.IGNORECASE)


class FilterError(ValueError):
    """``filterby`` or ``orderby`` cannot be understood; the message says why."""


@dataclass(frozen=True)
class OrderTerm:
    """One term of ``orderby``."""

    path: tuple[str, ...]
    descending: bool


@lru_cache(maxsize=1)
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr")


@lru_cache(maxsize=512)
def parse_filter(expression: str) -> Tree[Token]:
    """
    The syntax tree of a ``filterby`` expression.

    :raises FilterError: it does not follow the grammar.
    """
    try:
        return _parser().parse(expression)
    except UnexpectedInput as error:
        place = f"position {error.pos_in_stream}" if (error.pos_in_stream or -1) >= 0 else "the end"
        raise FilterError(f"filterby cannot be read at {place}") from error


@lru_cache(maxsize=512)
def parse_order(expression: str) -> tuple[OrderTerm, ...]:
    """
    The terms of an ``orderby`` expression, ``name [asc|desc]`` joined by commas without blanks around them.

    :raises FilterError: it does not follow the grammar.
    """
    matches = [(term, _ORDER_TERM.fullmatch(term)) for term in expression.split(",")]
    return tuple(_order_term(term, match) for term, match in matches)


def _order_term(term: str, match: re.Match[str] | None) -> OrderTerm:
    if not match:
        raise FilterError(f"orderby term {term!r} cannot be read")
    return OrderTerm(tuple(match["path"].split("/")), (match["direction"] or "asc").lower() == "desc")
