"""Escapes that are half of a surrogate pair."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.client.http.answer import Answer, decode_json
from airflow_provider_awork.client.lists.answers import decode_page
from airflow_provider_awork.exceptions import AworkTransportError

any_text = st.text(st.one_of(st.characters(), st.sampled_from('\\"ud8\ud83d\ude00\udc00{},[ ')))
any_json = st.recursive(
    st.one_of(st.none(), st.integers(), any_text), lambda inner: st.lists(inner) | st.dictionaries(any_text, inner)
)


def page_of(body: str) -> Answer:
    return Answer(status=200, headers={}, body=body.encode())


@given(value=any_json, ascii_only=st.booleans())
def test_masked_json_can_be_read_and_is_as_long(value: object, ascii_only: bool) -> None:
    text = json.dumps(value) if ascii_only else json.dumps(value, ensure_ascii=False)
    try:
        encoded = text.encode()
    except UnicodeEncodeError:  # halves cannot be in UTF-8 but as escapes
        encoded = json.dumps(value).encode()
    masked = json_text.replace_halves(encoded)
    assert len(masked) == len(encoded)
    repaired = json.dumps(value, ensure_ascii=False).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert msgspec.json.decode(masked) == json.loads(repaired)


@given(notes=st.lists(any_text), indent=st.sampled_from([None, 2]))
def test_rows_of_a_page_are_kept_as_they_were_sent(notes: list[str], indent: int | None) -> None:
    rows = [{"id": f"{index}", "createdOn": "2026-01-01T00:00:00Z", "note": note} for index, note in enumerate(notes)]
    page = decode_page(page_of(json.dumps(rows, indent=indent)))
    assert [json.loads(bytes(row)) for row in page.rows] == rows
    assert page.ids == [row["id"] for row in rows]
    if indent is None:
        assert [bytes(row) for row in page.rows] == [json.dumps(row).encode() for row in rows]


@given(value=st.dictionaries(any_text, any_json), indent=st.sampled_from([None, 0, 2]))
def test_members_of_an_object(value: dict[str, object], indent: int | None) -> None:
    members = json_text.split_object(json.dumps(value, indent=indent).encode())
    assert [json.loads(bytes(member)) for member in members.values()] == list(value.values())
    assert list(members) == [key.encode("utf-8", "backslashreplace").decode() for key in value]


def test_an_id_that_is_no_text_is_refused() -> None:
    with pytest.raises(AworkTransportError, match="unreadable body"):
        decode_page(page_of(r'[{"id": "\ud83d", "createdOn": "2026-01-01T00:00:00Z"}]'))


@pytest.mark.parametrize(
    "body", [r'[{"note": "\ud83d"', r'[{"note": "\ud83d \x"}]', r'{"note": "\ud8', r'["\ud83d"] more']
)
def test_broken_json_stays_broken(body: str) -> None:
    for decode in (decode_page, decode_json):
        with pytest.raises(AworkTransportError, match="unreadable body"):
            decode(page_of(body))


def test_as_python_objects_they_are_the_replacement_character() -> None:
    assert decode_json(page_of(r'{"note": "half \ud83d, whole \ud83d\ude00"}')) == {
        "note": "half \ufffd, whole \U0001f600"
    }
