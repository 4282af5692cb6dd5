"""
Batches of raw entries as local part files, rotated by rows.

What is in a file depends on its rows alone, not on how the batches were cut: rows are put into blocks of a fixed size
first. The caller's thread encodes a block; one background thread compresses, hashes and writes it while the next pages
are fetched.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

from airflow_provider_awork.columns.decoding import RowDecoder
from airflow_provider_awork.columns.leftovers import Leftovers
from airflow_provider_awork.columns.model import RawEntry, RowModel
from airflow_provider_awork.columns.time_entry import TIME_ENTRY
from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.files.encoders import CsvEncoder, Encoder, NdjsonEncoder, ParquetEncoder
from airflow_provider_awork.files.formats import FileFormat, OutputFormat, check_csv_options, check_format
from airflow_provider_awork.files.streams import HashedFile, compressed_stream

BLOCK_ROWS = 500
BLOCK_BYTES = 4_000_000
BLOCKS_AHEAD = 2


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


def open_parts(
    folder: Path,
    *,
    model: RowModel = TIME_ENTRY,
    file_format: str,
    compression: str | None = None,
    max_rows_per_file: int | None = None,
    csv_formula_guard: bool = False,
    csv_bom: bool = False,
) -> PartWriter:
    """
    Open a writer of part files.

    :param folder: existing local folder for the files.
    :param model: what the rows are; NDJSON takes any.
    :param file_format: as in ``check_format``.
    :param compression: as in ``check_format``.
    :param max_rows_per_file: rows after which a new file starts; None for one file.
    :param csv_formula_guard: put ``'`` before texts in CSV that a spreadsheet would run as a formula.
    :param csv_bom: begin each CSV file with the UTF-8 byte order mark.
    :raises AworkConfigError: a parameter cannot work.
    :raises AworkMissingExtraError: as in ``check_format``.
    """
    output = check_format(file_format, compression)
    if max_rows_per_file is not None and (type(max_rows_per_file) is not int or max_rows_per_file < 1):
        raise AworkConfigError(
            f"max_rows_per_file: {max_rows_per_file} is not a positive whole number; None for one file"
        )
    check_csv_options(output, csv_formula_guard=csv_formula_guard, csv_bom=csv_bom)
    return PartWriter(
        folder,
        output,
        model=model,
        max_rows_per_file=max_rows_per_file,
        csv_formula_guard=csv_formula_guard,
        csv_bom=csv_bom,
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
        csv_bom: bool,
    ) -> None:
        self.leftovers = Leftovers()
        self._folder = folder
        self._output = output
        self._model = model
        self._max_rows = max_rows_per_file
        self._csv_formula_guard = csv_formula_guard
        self._csv_bom = csv_bom
        self._background = _Background()
        self._file: _PartFile | None = None
        self._sink: HashedFile | None = None
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
        start = 0
        while start < len(entries):
            rows = entries[start : start + self._rows_wanted() - len(self._block)]
            sizes = list(accumulate(map(len, rows), initial=self._block_bytes))
            taken = min(bisect_left(sizes, BLOCK_BYTES, lo=1), len(rows))
            self._block += rows[:taken]
            self._block_bytes = sizes[taken]
            start += taken
            if len(self._block) == self._rows_wanted() or self._block_bytes >= BLOCK_BYTES:
                self._write_block()
                parts += self._finish_full_file()
        return parts

    def _rows_wanted(self) -> int:
        """Return how many rows make the current block full."""
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
        sink = self._sink = HashedFile(path.open("xb", buffering=0))
        self._paths.append(path)
        return _PartFile(index, path, sink, self._encoder(sink), self._output.suffix)

    def _encoder(self, sink: HashedFile) -> Encoder:
        file_format, compression = self._output
        if file_format is FileFormat.PARQUET:
            return ParquetEncoder(cast(BinaryIO, sink), compression, self._decoder)
        stream = compressed_stream(sink, compression)
        if file_format is FileFormat.CSV:
            return CsvEncoder(stream, self._decoder, formula_guard=self._csv_formula_guard, bom=self._csv_bom)
        return NdjsonEncoder(stream)

    @cached_property
    def _decoder(self) -> RowDecoder:
        """One decoder for all files, as it remembers objects that repeat; NDJSON needs none."""
        return RowDecoder(self._model, self.leftovers)

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
    """Runs jobs in order in one thread; a later call raises the error of a job."""

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

    def __init__(self, index: int, path: Path, sink: HashedFile, encoder: Encoder, suffix: str) -> None:
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
