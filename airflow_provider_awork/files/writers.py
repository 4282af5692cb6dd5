"""
Batches of raw entries as local files: NDJSON, CSV or Parquet, compressed, rotated by rows.

What is in a file depends on its rows alone, not on how the batches were cut: rows are put into blocks of a fixed size
first. The caller's thread makes a block ready; one background thread compresses it, hashes it and writes it, so that
this overlaps with fetching the next pages.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol, Self, cast

from airflow_provider_awork.columns.decoding import RowDecoder
from airflow_provider_awork.columns.model import Column, ColumnType, RawEntry, RowModel, on_one_line, to_texts
from airflow_provider_awork.columns.time_entry import TIME_ENTRY
from airflow_provider_awork.exceptions import AworkConfigError, AworkMissingExtraError

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_ROWS = 500
BLOCK_BYTES = 4_000_000
ROW_GROUP_ROWS = 5_000
ROW_GROUP_BYTES = 16_000_000
BLOCKS_AHEAD = 2
WRITEBACK_BYTES = 8_000_000

# Measured on time entries: level 2 of isal takes a third longer than level 1 and saves one percent of the size.
GZIP_LEVEL = 1
ZSTD_LEVEL = 3


class FileFormat(StrEnum):
    """Format of the files."""

    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"


class Compression(StrEnum):
    """Compression of the files; in Parquet that of its pages."""

    GZIP = "gzip"
    ZSTD = "zstd"
    SNAPPY = "snappy"
    NONE = "none"


_TEXT_COMPRESSIONS = (Compression.GZIP, Compression.ZSTD, Compression.NONE)
# The first one of each format is its default.
COMPRESSIONS = {
    FileFormat.NDJSON: _TEXT_COMPRESSIONS,
    FileFormat.CSV: _TEXT_COMPRESSIONS,
    FileFormat.PARQUET: (Compression.ZSTD, Compression.SNAPPY, Compression.NONE),
}
_SUFFIXES = {Compression.GZIP: ".gz", Compression.ZSTD: ".zst", Compression.NONE: ""}


class OutputFormat(NamedTuple):
    """A format and a compression that go together."""

    file_format: FileFormat
    compression: Compression

    @property
    def suffix(self) -> str:
        """End of the file name, such as ``.ndjson.gz``, ``.csv.zst`` or ``.parquet``."""
        inner = self.file_format is FileFormat.PARQUET
        return f".{self.file_format}" + ("" if inner else _SUFFIXES[self.compression])


@dataclass(frozen=True, kw_only=True)
class Part:
    """
    A finished file.

    :param index: its number, from 0.
    :param path: the file.
    :param rows: entries in it.
    :param bytes: size of the file.
    :param sha256: of the file's bytes, in hex.
    :param suffix: end of its name, such as ``.ndjson.gz``.
    """

    index: int
    path: Path
    rows: int
    bytes: int
    sha256: str
    suffix: str


def check_format(file_format: str, compression: str | None = None) -> OutputFormat:
    """
    Check a format and a compression, and that what they need is installed. Imports no library.

    :param file_format: ``ndjson``, ``csv`` or ``parquet``.
    :param compression: ``gzip``, ``zstd``, ``none``, for Parquet ``zstd``, ``snappy``, ``none``; None for the default,
        which is ``gzip``, for Parquet ``zstd``.
    :raises AworkConfigError: another value, or a pair that does not go together.
    :raises AworkMissingExtraError: the extra ``parquet`` or ``zstd`` of this package is not installed.
    """
    if file_format not in COMPRESSIONS:
        raise AworkConfigError(f"file_format: {file_format!r} is not one of {', '.join(COMPRESSIONS)}")
    kind = FileFormat(file_format)
    chosen = COMPRESSIONS[kind][0] if compression is None else compression
    if chosen not in COMPRESSIONS[kind]:
        raise AworkConfigError(
            f"compression: {chosen!r} is not one of {', '.join(COMPRESSIONS[kind])} for {kind} files"
        )
    if kind is FileFormat.PARQUET:
        _check_installed("pyarrow", "parquet", "file_format='parquet'")
    elif chosen == Compression.ZSTD:
        _check_installed("zstandard", "zstd", "compression='zstd'")
    return OutputFormat(kind, Compression(chosen))


def open_parts(
    folder: Path,
    *,
    model: RowModel = TIME_ENTRY,
    file_format: str,
    compression: str | None = None,
    max_rows_per_file: int | None = None,
    csv_formula_guard: bool = False,
) -> PartWriter:
    """
    Open a writer of part files.

    :param folder: existing local folder for the files.
    :param model: what the rows are; NDJSON takes any.
    :param file_format: as in ``check_format``.
    :param compression: as in ``check_format``.
    :param max_rows_per_file: rows after which a new file starts; None for one file.
    :param csv_formula_guard: put ``'`` before texts in CSV that a spreadsheet would run as a formula.
    :raises AworkConfigError: a parameter cannot work.
    :raises AworkMissingExtraError: as in ``check_format``.
    """
    output = check_format(file_format, compression)
    if max_rows_per_file is not None and (type(max_rows_per_file) is not int or max_rows_per_file < 1):
        raise AworkConfigError(
            f"max_rows_per_file: {max_rows_per_file} is not a positive whole number; None for one file"
        )
    if csv_formula_guard and output.file_format is not FileFormat.CSV:
        raise AworkConfigError(f"csv_formula_guard: only for csv files, and file_format is {output.file_format}")
    return PartWriter(
        folder, output, model=model, max_rows_per_file=max_rows_per_file, csv_formula_guard=csv_formula_guard
    )


class PartWriter:
    """
    Writes batches of entries to part files; made by ``open_parts``.

    Any error, one of the disk included, removes all files of this writer that are still there. As a context manager
    it does so for errors of its block too.
    """

    def __init__(
        self,
        folder: Path,
        output: OutputFormat,
        *,
        model: RowModel,
        max_rows_per_file: int | None,
        csv_formula_guard: bool,
    ) -> None:
        self.unknown_fields: Counter[str] = Counter()
        self._folder = folder
        self._output = output
        self._model = model
        self._max_rows = max_rows_per_file
        self._csv_formula_guard = csv_formula_guard
        self._background = _Background()
        self._file: _PartFile | None = None
        self._sink: _HashedFile | None = None
        self._paths: list[Path] = []
        self._block: list[RawEntry] = []
        self._block_bytes = 0

    def write(self, entries: Sequence[RawEntry]) -> list[Part]:
        """
        Add entries.

        :param entries: entries as awork sent them.
        :return: the parts that this call finished.
        :raises OSError: a file could not be written, possibly one of an earlier call.
        """
        try:
            return self._write(entries)
        except BaseException:
            self.abort()
            raise

    def close(self) -> list[Part]:
        """Finish the last part and return it; nothing if no row is left."""
        try:
            self._write_block()
            parts = self._finish_file()
        except BaseException:
            self.abort()
            raise
        self._background.stop()
        return parts

    def abort(self) -> None:
        """Stop, and remove all files of this writer that are still there."""
        self._background.stop()
        if self._sink is not None:
            self._sink.discard()
        self._file = None
        for path in self._paths:
            path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None or self._file is not None or self._block:
            self.abort()
        self._background.stop()

    def _write(self, entries: Sequence[RawEntry]) -> list[Part]:
        parts: list[Part] = []
        for entry in entries:
            self._block.append(entry)
            self._block_bytes += len(entry)
            if len(self._block) == self._rows_wanted() or self._block_bytes >= BLOCK_BYTES:
                self._write_block()
                parts += self._finish_full_file()
        return parts

    def _rows_wanted(self) -> int:
        """How many rows the block has when it is written."""
        if self._max_rows is None:
            return BLOCK_ROWS
        return min(BLOCK_ROWS, self._max_rows - (self._file.rows if self._file else 0))

    def _write_block(self) -> None:
        if not self._block:
            return
        file = self._file = self._file or self._open_file()
        entries, self._block, self._block_bytes = self._block, [], 0
        file.rows += len(entries)
        self._background.run(file.encoder.write, file.encoder.encode(entries))

    def _open_file(self) -> _PartFile:
        index = len(self._paths)
        path = self._folder / f"part-{index:05d}{self._output.suffix}"
        sink = self._sink = _HashedFile(path.open("xb", buffering=0))
        self._paths.append(path)
        return _PartFile(index, path, sink, self._encoder(sink), self._output.suffix)

    def _encoder(self, sink: _HashedFile) -> _Encoder:
        file_format, compression = self._output
        if file_format is FileFormat.PARQUET:
            return _ParquetEncoder(sink, compression, self._decoder)
        stream = _compressed(sink, compression)
        if file_format is FileFormat.CSV:
            return _CsvEncoder(stream, self._decoder, formula_guard=self._csv_formula_guard)
        return _NdjsonEncoder(stream)

    @cached_property
    def _decoder(self) -> RowDecoder:
        """Of all files, as it remembers what comes again; NDJSON needs none."""
        return RowDecoder(self._model, self.unknown_fields)

    def _finish_full_file(self) -> list[Part]:
        full = self._file is not None and self._file.rows == self._max_rows
        return self._finish_file() if full else []

    def _finish_file(self) -> list[Part]:
        if self._file is None:
            return []
        self._background.run(self._file.finish)
        self._background.wait()
        part, self._file = self._file.part(), None
        return [part]


class _Background:
    """One thread that runs jobs in order; an error of a job is raised by a later call."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="awork-writer")
        self._jobs: deque[Future[None]] = deque()

    def run(self, job: Callable[..., None], *arguments: Any) -> None:
        if len(self._jobs) >= BLOCKS_AHEAD:
            self._jobs.popleft().result()
        self._jobs.append(self._executor.submit(job, *arguments))

    def wait(self) -> None:
        while self._jobs:
            self._jobs.popleft().result()

    def stop(self) -> None:
        self._jobs.clear()
        self._executor.shutdown(cancel_futures=True)


class _PartFile:
    """A file that is being written."""

    def __init__(self, index: int, path: Path, sink: _HashedFile, encoder: _Encoder, suffix: str) -> None:
        self.encoder = encoder
        self.rows = 0
        self._index = index
        self._path = path
        self._sink = sink
        self._suffix = suffix

    def finish(self) -> None:
        self.encoder.finish()
        self._sink.close()

    def part(self) -> Part:
        return Part(
            index=self._index,
            path=self._path,
            rows=self.rows,
            bytes=self._sink.size,
            sha256=self._sink.sha256.hexdigest(),
            suffix=self._suffix,
        )


class _HashedFile(io.RawIOBase):
    """An unbuffered file that hashes and counts what is written to it."""

    def __init__(self, file: io.FileIO) -> None:
        self.size = 0
        self.sha256 = hashlib.sha256()
        self._discarded = False
        self._file = file
        self._on_its_way = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        length = len(left)
        if not self._discarded:
            self.sha256.update(left)
            self.size += length
        while left and not self._discarded:
            left = left[self._file.write(left) :]
        if self.size - self._on_its_way >= WRITEBACK_BYTES and not self._discarded:
            self._send_to_disk()
        return length

    def _send_to_disk(self) -> None:
        """Let the system begin to write what it holds, so that publishing does not wait for all of it at the end."""
        if hasattr(os, "posix_fadvise"):
            written = self.size - self._on_its_way
            os.posix_fadvise(self._file.fileno(), self._on_its_way, written, os.POSIX_FADV_DONTNEED)
        self._on_its_way = self.size

    def discard(self) -> None:
        """Close the file, and take what compressors have yet to say without writing it: the disk may be full."""
        self._discarded = True
        self._file.close()

    def close(self) -> None:
        self._file.close()
        super().close()


def _compressed(sink: _HashedFile, compression: Compression) -> BinaryIO:
    """A stream into the sink; closing it leaves the sink open, unless it is the sink itself."""
    if compression is Compression.GZIP:
        from isal import igzip

        # Without a name and a time in the header, the same rows give the same bytes.
        return cast(BinaryIO, igzip.IGzipFile("", "wb", GZIP_LEVEL, sink, mtime=0))  # type: ignore[no-untyped-call]
    if compression is Compression.ZSTD:
        import zstandard

        return cast(
            BinaryIO, zstandard.ZstdCompressor(level=ZSTD_LEVEL).stream_writer(cast(BinaryIO, sink), closefd=False)
        )
    return cast(BinaryIO, sink)


class _Encoder(Protocol):
    """A file format: ``encode`` runs in the caller's thread, the rest in the background."""

    def encode(self, entries: Sequence[RawEntry]) -> Any: ...

    def write(self, encoded: Any) -> None: ...

    def finish(self) -> None: ...


class _NdjsonEncoder:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def encode(self, entries: Sequence[RawEntry]) -> bytes:
        lines = b"\n".join([*entries, b""])
        if lines.count(b"\n") == len(entries) and b"\r" not in lines:
            return lines
        return b"\n".join([*map(on_one_line, map(bytes, entries)), b""])

    def write(self, encoded: bytes) -> None:
        self._stream.write(encoded)

    def finish(self) -> None:
        self._stream.close()


class _CsvEncoder:
    """RFC 4180 with a header, UTF-8. Null is an empty cell, an empty text is ``""``."""

    def __init__(self, stream: BinaryIO, decoder: RowDecoder, *, formula_guard: bool) -> None:
        self._stream = stream
        self._decoder = decoder
        self._formula_guard = formula_guard
        self._header = ",".join(column.name for column in decoder.model.columns) + "\r\n"

    def encode(self, entries: Sequence[RawEntry]) -> bytes:
        rows = zip(*self._decoder.to_cells(entries, self._cells).values(), strict=True)
        header, self._header = self._header, ""
        return (header + "".join(f"{','.join(row)}\r\n" for row in rows)).encode()

    def _cells(self, column: Column, values: Sequence[Any]) -> list[str]:
        texts = to_texts(column, values)
        return _csv_cells(_guarded(texts) if self._formula_guard and column.type is ColumnType.TEXT else texts)

    def write(self, encoded: bytes) -> None:
        self._stream.write(encoded)

    def finish(self) -> None:
        self._stream.close()


class _ParquetEncoder:
    def __init__(self, sink: _HashedFile, compression: Compression, decoder: RowDecoder) -> None:
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
        self._bytes += encoded.nbytes
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


_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def _guarded(texts: Iterable[str | None]) -> list[str | None]:
    return ["'" + text if text and text.startswith(_FORMULA_STARTS) else text for text in texts]


def _csv_cells(texts: Sequence[str | None]) -> list[str]:
    # csv.writer looks at each character and takes four times as long; nearly all columns need no quotes at all.
    together = "".join(filter(None, texts))
    if any(special in together for special in '",\r\n'):
        return ["" if text is None else _csv_cell(text) for text in texts]
    return ["" if text is None else text or '""' for text in texts]


def _csv_cell(text: str) -> str:
    if text and not any(special in text for special in '",\r\n'):
        return text
    return '"' + text.replace('"', '""') + '"'


def _check_installed(module: str, extra: str, wish: str) -> None:
    if find_spec(module) is None:
        raise AworkMissingExtraError(f"{wish} needs {module}: pip install 'airflow-provider-awork[{extra}]'")
