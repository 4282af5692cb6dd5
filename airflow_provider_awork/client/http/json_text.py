r"""
JSON of awork as Python objects, or cut into raw parts.

JSON may have an escape that is half of a surrogate pair, such as ``"\ud83d"``: a program has cut a note in the middle
of an emoji (RFC 8259, section 8.2). It is no text: msgspec refuses it, and UTF-8 cannot hold it. This module alone
handles it. Python objects get U+FFFD in its place; raw parts keep their bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar, cast

import msgspec

T = TypeVar("T")
Text = bytes | memoryview | msgspec.Raw

# Backslashes are only in strings, where each begins an escape: a pair, a half (the group), or any other.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_ESCAPE_EXCEPT_QUOTE = re.compile(rb'\\\\|\\(?!")')

_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def decoder(kind: type[T]) -> Callable[[Text], T]:
    r"""
    Return a decoder for one type; it raises as msgspec does.

    :param kind: any type that msgspec takes.

    >>> decoder(list[str])(rb'["half \ud83d"]')
    ['half \ufffd']
    """
    decode_strictly = msgspec.json.Decoder(kind).decode

    def decode_text(text: Text) -> T:
        try:
            return decode_strictly(text)
        except msgspec.DecodeError:
            return decode_strictly(replace_halves(text))

    return decode_text


decode = decoder(cast(type[Any], Any))


def decode_exactly(text: Text) -> Any:
    r"""
    Decode JSON that goes back to awork: ``json.dumps`` writes each text as it was, which ``decode`` may replace.

    >>> json.dumps(decode_exactly(rb'["half \ud83d"]'))
    '["half \\ud83d"]'
    """
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        decode(text)  # raises, unless halves are all that is wrong
        return json.loads(bytes(text))


def split_array(text: Text) -> list[msgspec.Raw]:
    """Cut an array into its elements, each byte for byte."""
    try:
        return _decode_array(text)
    except msgspec.DecodeError:
        decode(text)
        return [_restored(element) for element in _decode_array(_doubled(text))]


def split_object(text: Text) -> dict[str, msgspec.Raw]:
    r"""
    Cut an object into its keys and values, each value byte for byte.

    >>> {key: bytes(value) for key, value in split_object(rb'{"\ud83d": "half \ud83d"}').items()}
    {'\\ud83d': b'"half \\ud83d"'}
    """
    try:
        return _decode_object(text)
    except msgspec.DecodeError:
        decode(text)
        return {_restored_key(key): _restored(value) for key, value in _decode_object(_doubled(text)).items()}


def put_on_one_line(text: bytes) -> bytes:
    """Remove line breaks between tokens; numbers, key order and escapes stay."""
    if b"\n" not in text and b"\r" not in text:
        return text
    try:
        return msgspec.json.format(text, indent=-1)
    except msgspec.DecodeError:  # line breaks within texts are escaped
        return text.replace(b"\r", b"").replace(b"\n", b"")


def replace_halves(text: Text) -> bytes:
    r"""
    Replace each half of a pair by ``\ufffd``.

    >>> replace_halves(rb'["\ud83d\ude00", "\ud83d", "\\ud83d"]')
    b'["\\ud83d\\ude00", "\\ufffd", "\\\\ud83d"]'
    """
    return _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], bytes(text))


def _doubled(text: Text) -> bytes:
    """Double the backslash of each escape except that of a quote, so that all of them are plain characters."""
    return _ESCAPE_EXCEPT_QUOTE.sub(rb"\g<0>\g<0>", bytes(text))


def _restored(doubled: msgspec.Raw) -> msgspec.Raw:
    return msgspec.Raw(bytes(doubled).replace(rb"\\", b"\\"))


def _restored_key(decoded: str) -> str:
    key: str = json.loads('"' + decoded.replace('"', r"\"") + '"')
    return key.encode("utf-8", "backslashreplace").decode()  # a half stays the text of its escape
