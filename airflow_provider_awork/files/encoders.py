"""
Encoders of rows: NDJSON, CSV and Parquet.

``encode`` runs in the caller's thread, ``write`` and ``finish`` in the background, in order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.columns.decoding import RowDecoder
from airflow_provider_awork.columns.model import Column, ColumnType, RawEntry, to_texts
from airflow_provider_awork.files.formats import Compression

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP_ROWS = 4_000
ROW_GROUP_BYTES = 16_000_000


class Encoder(Protocol):
    """A file format: ``encode`` runs in the caller's thread, the rest in the background."""

    def encode(self, entries: Sequence[RawEntry]) -> Any: ...

    def write(self, encoded: Any) -> None: ...

    def finish(self) -> None: ...


class NdjsonEncoder:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def encode(self, entries: Sequence[RawEntry]) -> bytes:
        text = b"".join(entries)
        if b"\n" in text or b"\r" in text:  # searching is five times faster than counting
            entries = list(map(json_text.put_on_one_line, map(bytes, entries)))
        return b"\n".join([*entries, b""])

    def write(self, encoded: bytes) -> None:
        self._stream.write(encoded)

    def finish(self) -> None:
        self._stream.close()


class CsvEncoder:
    """RFC 4180 with a header, UTF-8. Null is an empty cell, an empty text is ``""``."""

    def __init__(self, stream: BinaryIO, decoder: RowDecoder, *, formula_guard: bool, bom: bool) -> None:
        self._stream = stream
        self._decoder = decoder
        self._formula_guard = formula_guard
        header = ",".join(column.name for column in decoder.model.columns)
        self._header = [header.encode("utf-8-sig" if bom else "utf-8")]

    def encode(self, entries: Sequence[RawEntry]) -> bytes:
        cells = self._decoder.to_cells(entries, self._cells)
        header, self._header = self._header, []
        return b"\r\n".join([*header, *map(b",".join, zip(*cells, strict=True)), b""])

    def _cells(self, columns: Sequence[Column], values: Sequence[Sequence[Any]]) -> list[bytes]:
        """Return the cells of neighbouring columns, those of one row joined; UTF-8 costs most, so it is made here."""
        cells = map(self._column_cells, columns, values)
        return list(map(str.encode, map(",".join, zip(*cells, strict=True))))

    def _column_cells(self, column: Column, values: Sequence[Any]) -> list[str]:
        texts = to_texts(column, values)
        return csv_cells(_guarded(texts) if self._formula_guard and column.type is ColumnType.TEXT else texts)

    def write(self, encoded: bytes) -> None:
        self._stream.write(encoded)

    def finish(self) -> None:
        self._stream.close()


class ParquetEncoder:
    def __init__(self, sink: BinaryIO, compression: Compression, decoder: RowDecoder) -> None:
        import pyarrow.parquet as pq

        model = decoder.model
        self._decoder = decoder
        self._row_group: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        repeating = [c.name for c in model.columns if c.type is ColumnType.TEXT and c.name not in model.distinct]
        self._writer = pq.ParquetWriter(
            sink, model.arrow_schema, compression=compression.value, use_dictionary=repeating
        )

    def encode(self, entries: Sequence[RawEntry]) -> pa.RecordBatch:
        return self._decoder.to_arrow(entries)

    def write(self, encoded: pa.RecordBatch) -> None:
        self._row_group.append(encoded)
        self._rows += encoded.num_rows
        self._bytes += encoded.get_total_buffer_size()
        if self._rows >= ROW_GROUP_ROWS or self._bytes >= ROW_GROUP_BYTES:
            self._write_row_group()

    def finish(self) -> None:
        self._write_row_group()
        self._writer.close()

    def _write_row_group(self) -> None:
        import pyarrow as pa

        if self._row_group:
            table = pa.Table.from_batches(self._row_group)
            self._row_group, self._rows, self._bytes = [], 0, 0
            self._writer.write_table(table, row_group_size=table.num_rows)
            del table
            pa.default_memory_pool().release_unused()  # it would keep tens of megabytes


# What a spreadsheet runs as a formula: a sign, in any of its widths, behind nothing but blanks and characters that are
# not seen. A tab or line break at the start counts alone.
_FORMULA = re.compile(
    r"[\t\r\n]|[\s\x00-\x20\x7f-\xa0\xad\u034f\u061c\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\ufe00-\ufe0f"
    r"\ufeff\ufff9-\ufffb\U000e0000-\U000e01ef]*[=+\-@\u2212\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20]"
)


def _guarded(texts: Iterable[str | None]) -> list[str | None]:
    # Nearly all texts begin with a letter or a digit, which is found five times faster than by the expression.
    return ["'" + text if text and not text[0].isalnum() and _FORMULA.match(text) else text for text in texts]


def csv_cells(texts: Sequence[str | None]) -> list[str]:
    # csv.writer looks at each character and takes four times as long; nearly all columns need no quotes at all.
    together = "".join(filter(None, texts))
    if any(special in together for special in '",\r\n'):
        return ["" if text is None else _csv_cell(text) for text in texts]
    return ["" if text is None else text or '""' for text in texts]


def _csv_cell(text: str) -> str:
    if text and '"' not in text and "," not in text and "\r" not in text and "\n" not in text:
        return text
    return '"' + text.replace('"', '""') + '"'
