"""Formats and compressions of files, which of them go together, and what they need installed."""

from __future__ import annotations

from enum import StrEnum
from importlib.util import find_spec
from typing import NamedTuple

from airflow_provider_awork.exceptions import AworkConfigError, AworkMissingExtraError


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


def check_csv_options(output: OutputFormat, **options: bool) -> None:
    """
    Check that options of CSV files are not set for another format.

    :param options: each option by the name of its parameter.
    :raises AworkConfigError: one is.
    """
    for name, is_set in options.items():
        if is_set and output.file_format is not FileFormat.CSV:
            raise AworkConfigError(f"{name}: only for csv files, and file_format is {output.file_format}")


def _check_installed(module: str, extra: str, wish: str) -> None:
    if find_spec(module) is None:
        raise AworkMissingExtraError(f"{wish} needs {module}: pip install 'airflow-provider-awork[{extra}]'")
