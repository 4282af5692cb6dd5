"""The store as tests and fault rules use it."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_awork.sandbox import Sandbox, Store

RAW = [
    '{"id":"00000000-0000-4000-8000-000000000001","createdOn":"2026-05-04T08:00:00Z","note":"\\u00fc \\/ \\u0000"}',
    '{ "createdOn" : "2026-05-04T08:00:01Z" ,\n "id":"00000000-0000-4000-8000-000000000002", "duration": 1.50e2 }',
    '{"id":"00000000-0000-4000-8000-000000000003","createdOn":"2026-05-04T08:00:02Z","isBilled":"yes","duration":{},'
    '"resourceVersion":9223372036854775808,"updatedOn":17,"startDateLocal":["x"],"unknown":{"a":[1,null]}}',
    '{"id":"00000000-0000-4000-8000-000000000004","createdOn":"2026-05-04T08:00:03Z","note":null,"project":7}',
]


def test_texts_are_served_byte_for_byte(serve):
    client = serve(entries=0)
    client.awork.store.add(*RAW)

    expected = "[" + ",".join(RAW) + "]"

    assert client.get(orderby="createdOn").content == expected.encode()
    assert list(client.awork.store.texts().values()) == [text.encode() for text in RAW]
    assert client.get("/timeentries/" + json.loads(RAW[1])["id"]).content == RAW[1].encode()


def test_values_of_a_wrong_kind_count_as_null_in_filters(serve):
    client = serve(entries=0)
    client.awork.store.add(*RAW)
    strange = json.loads(RAW[2])["id"]

    for expression in ("isBilled eq true", "duration ge 0", "updatedOn ne null", "startDateLocal ne null"):
        assert strange not in client.ids(filterby=expression)
    assert client.ids(filterby="duration eq 150") == [json.loads(RAW[1])["id"]]
    assert client.ids(filterby="project/name eq null and note eq null", orderby="createdOn")


def test_entries_read_back_as_they_were_added(serve):
    client = serve(entries=0)
    entry = client.awork.make_entry(note='Größe "1"\r\n🎉</script>\x00', resourceVersion=639113048827170878)

    client.awork.store.add(entry)

    assert client.awork.store.entries() == [entry] == client.rows()
    assert client.awork.store.ids() == [entry["id"]]
    assert client.awork.store.count() == 1


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"createdOn": "2026-05-04T08:00:00Z"}, "needs an id"),
        ({"id": "00000000-0000-4000-8000-000000000001"}, "createdOn None"),
        ({"id": "00000000-0000-4000-8000-000000000001", "createdOn": "2026-05-04T08:00:00+02:00"}, r"\+02:00"),
    ],
)
def test_entries_need_an_id_and_created_on(entry, message):
    with pytest.raises(ValueError, match=message):
        Store().add(entry)


def test_a_double_id_adds_nothing_at_all(serve):
    awork = serve().awork
    fresh, known = awork.make_entry(), awork.store.entries()[3]

    with pytest.raises(ValueError, match="already"):
        awork.store.add(fresh, known)

    assert awork.store.count() == 40 == len(awork.store.texts())
    awork.store.add(fresh)
    assert awork.store.count() == 41


def test_delete(serve):
    client = serve()
    store = client.awork.store
    doomed = store.ids(lambda entry: not entry["isBilled"])[:5]

    assert store.delete([*doomed, doomed[0], "unknown"]) == 5
    assert store.count() == 35 == len(store.texts())
    assert not set(doomed) & set(client.ids())
    assert client.get(f"/timeentries/{doomed[0]}").status_code == 404
    with pytest.raises(TypeError, match="not one id"):
        store.delete(doomed[0])


def test_edit_moves_updated_on_and_resource_version(serve):
    client = serve()
    store = client.awork.store
    before = client.entries[5]

    once = store.edit(before["id"], isBilled=True, note=None)
    twice = store.edit(before["id"], isBilled=True, duration=77)

    served = client.get(f"/timeentries/{before['id']}").json()
    assert served == twice
    assert "note" not in served
    assert (served["isBilled"], served["duration"], served["createdOn"]) == (True, 77, before["createdOn"])
    assert before["updatedOn"] < once["updatedOn"] < twice["updatedOn"]
    assert before["resourceVersion"] < once["resourceVersion"] < twice["resourceVersion"]
    assert client.ids(filterby="duration eq 77") == [before["id"]]
    assert client.ids(orderby="updatedOn desc", pageSize=40)[0] == before["id"]


def test_edit_keeps_what_is_given_and_knows_its_entries(serve):
    store = serve().awork.store

    assert store.edit(store.ids()[0], updatedOn="2026-01-01T00:00:00Z")["updatedOn"] == "2026-01-01T00:00:00Z"
    with pytest.raises(KeyError):
        store.edit("unknown", note="x")


def test_totals_follow_every_change(serve):
    client = serve()
    condition = {"filterby": "note eq 'counted'", "pageSize": 1}

    def total():
        return int(client.get(**condition).headers["aw-totalitems"])

    assert total() == 0
    entries = [client.awork.make_entry(note="counted") for _ in range(3)]
    client.awork.store.add(*entries)
    assert total() == 3
    client.awork.store.edit(entries[0]["id"], note="not so")
    assert total() == 2
    client.awork.store.delete([entries[1]["id"]])
    assert total() == 1


def test_an_answer_is_one_snapshot_while_others_change_the_store(serve):
    client = serve(entries=300)
    store = client.awork.store
    half = store.ids()[:150]
    for entry_id in half:
        store.edit(entry_id, note="in")
    stop = False

    def swap():
        """Delete one marked entry and add one, in one step as seen from outside: never more than 150, never 148."""
        while not stop:
            first = store.ids(lambda entry: entry.get("note") == "in")[0]
            store.delete([first])
            store.add(client.awork.make_entry(note="in"))

    with ThreadPoolExecutor(1) as pool:
        changes = pool.submit(swap)
        answers = [client.get(filterby="note eq 'in'", pageSize=1000) for _ in range(40)]
        stop = True
        changes.result()

    for answer in answers:
        assert len(answer.json()) == int(answer.headers["aw-totalitems"]) in (149, 150)


def test_a_file_keeps_the_data(tmp_path):
    file = tmp_path / "awork.sqlite"

    with Sandbox(entries=25, file=file) as awork:
        expected = awork.store.ids()

    rows = sqlite3.connect(file).execute("SELECT id FROM timeentries ORDER BY row").fetchall()
    assert [row[0] for row in rows] == expected
    with pytest.raises(FileExistsError, match=r"awork\.sqlite exists"):
        Sandbox(file=file)
