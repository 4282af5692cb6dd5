"""Rows from a reader through local part files to a publisher, with progress in the log."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_awork.columns.leftovers import Leftovers
from airflow_provider_awork.columns.model import RowModel
from airflow_provider_awork.columns.time_entry import TIME_ENTRY
from airflow_provider_awork.files.spool import check_spool_space
from airflow_provider_awork.files.writers import open_parts

if TYPE_CHECKING:
    from airflow_provider_awork.client.http.session import AworkSession
    from airflow_provider_awork.client.lists.rows import RowReader
    from airflow_provider_awork.files.publisher import Publisher

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 5.0
# Upper estimates of what a row takes on the local disk, by format and compression.
SPOOL_BYTES_PER_ROW = {"parquet": 400, "none": 4000, "gzip": 800, "zstd": 800}


def export_rows(
    reader: RowReader,
    publisher: Publisher,
    *,
    session: AworkSession,
    spool: Path,
    model: RowModel = TIME_ENTRY,
    file_format: str,
    compression: str | None,
    max_rows_per_file: int | None,
    csv_formula_guard: bool = False,
    csv_bom: bool = False,
) -> Leftovers:
    """
    Write all rows of a reader into parts and publish each part as soon as it is full. Nothing is committed.

    :param reader: where rows come from.
    :param publisher: an entered publisher.
    :param session: for requests and waits in the progress lines.
    :param spool: local folder for parts on their way.
    :param model: what the rows are.
    :return: what the rows have in ``extra``; nothing for NDJSON.
    """
    progress = _Progress(reader, session)
    with open_parts(
        spool,
        model=model,
        file_format=file_format,
        compression=compression,
        max_rows_per_file=max_rows_per_file,
        csv_formula_guard=csv_formula_guard,
        csv_bom=csv_bom,
    ) as writer:
        for rows in reader:
            if reader.rows == len(rows):
                _check_space(reader, spool, file_format, compression, max_rows_per_file)
            for part in writer.write(rows):
                publisher.put(part)
            progress.tell()
        for part in writer.close():
            publisher.put(part)
        return writer.leftovers


def _check_space(
    reader: RowReader, spool: Path, file_format: str, compression: str | None, max_rows_per_file: int | None
) -> None:
    rows = min(reader.expected or reader.rows, max_rows_per_file or reader.expected or reader.rows)
    kind = "parquet" if file_format == "parquet" else compression or "gzip"
    check_spool_space(spool, rows * SPOOL_BYTES_PER_ROW[kind])


class _Progress:
    """At most one line in the log every few seconds: rows of total, pages, rate, waits, time to go."""

    def __init__(self, reader: RowReader, session: AworkSession) -> None:
        self._reader = reader
        self._session = session
        self._pages = 0
        self._started = self._told = time.monotonic()

    def tell(self) -> None:
        """Count a page; say how far the export is, unless that was said just now."""
        self._pages += 1
        now = time.monotonic()
        if now - self._told < PROGRESS_SECONDS:
            return
        self._told = now
        rows, expected = self._reader.rows, self._reader.expected
        rate = rows / (now - self._started)
        of_total = to_go = ""
        if expected:
            of_total = f" of {expected:,} ({rows / expected:.0%})"
            to_go = f", about {max(0, expected - rows) / rate:.0f} s to go"
        log.info(
            "%s rows%s in %d pages, %.0f rows a second, %.0f s waited for the rate limit%s",
            f"{rows:,}",
            of_total,
            self._pages,
            rate,
            self._session.limiter.waited_seconds,
            to_go,
        )
