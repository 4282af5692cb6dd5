r"""
JSON with escapes such as ``"\ud800"`` that are half of a surrogate pair: valid by RFC 8259, but no text.

A program that cuts a note in the middle of an emoji makes them. Parsers refuse them, and so would every writer of UTF-8
after them. Where they are found, each is read as U+FFFD, the character for what cannot be shown; raw rows keep
them as awork sent them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

# Backslashes are only in strings, where each begins an escape: a pair, a half, or any other.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
T = TypeVar("T")
Text = bytes | memoryview | msgspec.Raw

_scan = json.JSONDecoder().raw_decode
_REPLACEMENT = rb"\ufffd"
REPLACEMENT_CHARACTER = "\ufffd"


def mask(text: Text) -> bytes:
    r"""
    JSON in which each half of a pair is ``\ufffd``, which is as long.

    >>> mask(rb'["\ud83d\ude00", "\ud83d", "\\ud83d"]')
    b'["\\ud83d\\ude00", "\\ufffd", "\\\\ud83d"]'
    """
    return _ESCAPE.sub(lambda escape: _REPLACEMENT if escape[1] else escape[0], bytes(text))


def unmasked(elements: Sequence[msgspec.Raw], masked: bytes, text: bytes | memoryview) -> list[msgspec.Raw]:
    """
    The original texts of the elements of a masked JSON array.

    :param elements: all of them, in order.
    :param masked: what :func:`mask` made of ``text``.
    """
    originals = []
    end = 0
    for element in map(bytes, elements):
        start = masked.index(element, end)  # nothing but blanks and a comma is in between
        end = start + len(element)
        originals.append(msgspec.Raw(bytes(text[start:end])))
    return originals


def members(text: str) -> dict[str, str]:
    r"""
    The keys and raw values of a JSON object; in keys, halves of pairs are the text of their escape.

    >>> members(r'{"note": "half \ud83d", "duration": 3.60e3}')
    {'note': '"half \\ud83d"', 'duration': '3.60e3'}
    """
    found: dict[str, str] = {}
    position = _next(text, 1)
    while text[position] != "}":
        key, end = _scan(text, position)
        start = _next(text, _next(text, end) + 1)  # after the colon
        _, end = _scan(text, start)
        found[key.encode("utf-8", "backslashreplace").decode()] = text[start:end]
        position = _next(text, end)
        position = _next(text, position + 1) if text[position] == "," else position
    return found


def _next(text: str, position: int) -> int:
    """Where the next token begins."""
    while text[position] in " \t\r\n":
        position += 1
    return position


def tolerant(decode: Callable[[Any], T]) -> Callable[[Text], T]:
    r"""
    A decoder that reads halves of pairs, which may be in a field that it skips, too.

    :param decode: of msgspec, for bytes.

    >>> tolerant(msgspec.json.Decoder(list[str]).decode)(rb'["half \ud83d"]')
    ['half \ufffd']
    """

    def decode_masked_if_needed(text: Text) -> T:
        try:
            return decode(text)
        except msgspec.DecodeError:
            return decode(mask(text))

    return decode_masked_if_needed


_decode = tolerant(msgspec.json.decode)


def decode(text: Text) -> Any:
    """JSON as Python objects."""
    return _decode(text)


def decode_raw(text: Text) -> Any:
    r"""
    JSON as Python objects in which halves of pairs are what they were, for ``json.dumps`` to write them again.

    Such texts cannot be encoded: they are for nothing else.

    >>> json.dumps(decode_raw(rb'["half \ud83d"]'))
    '["half \\ud83d"]'
    """
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        msgspec.json.decode(mask(text))  # refuses what only Python takes for JSON
        return json.loads(bytes(text))
