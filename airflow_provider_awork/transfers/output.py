"""Where and how a transfer writes: the parameters of the output, checked once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from airflow.sdk import ObjectStoragePath

from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.files.formats import OutputFormat, check_format

# A path without a scheme would be seen from the worker's current folder, and file:// without a third slash, too.
_ABSOLUTE = re.compile(r"/|(?:file|local)://(?:[^/]*@)?/|(?!(?:file|local):)[a-z][a-z0-9+.-]*://.", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Output:
    """
    Where and how a transfer writes; made by :meth:`checked`.

    :param destination: the prefix.
    :param kind: format and compression of the files.
    :param max_rows_per_file: None writes one file.
    :param csv_formula_guard: put a quote before CSV cells that a spreadsheet would read as a formula.
    :param spool_folder: local folder for files on their way; None takes the system's temporary one.
    """

    destination: ObjectStoragePath
    kind: OutputFormat
    max_rows_per_file: int | None
    csv_formula_guard: bool
    spool_folder: Path | None

    @classmethod
    def checked(
        cls,
        *,
        destination: str | ObjectStoragePath,
        file_format: str,
        compression: str | None,
        max_rows_per_file: int | None,
        csv_formula_guard: bool,
        spool_folder: str | None,
    ) -> Output:
        """
        Check the parameters of the output as a DAG author writes them or templates render them.

        :raises AworkConfigError: one cannot work.
        :raises AworkMissingExtraError: a library is missing.
        """
        return cls(
            destination=parse_destination(destination),
            max_rows_per_file=checked_count(max_rows_per_file, "max_rows_per_file"),
            csv_formula_guard=csv_formula_guard,
            kind=check_format(file_format, compression),
            spool_folder=Path(spool_folder) if spool_folder else None,
        )

    def path(self, folder: str) -> ObjectStoragePath:
        """The destination, or a folder below it unless its name is empty."""
        return self.destination / folder if folder else self.destination


def parse_destination(given: str | ObjectStoragePath) -> ObjectStoragePath:
    """
    Read the prefix that a DAG author passes.

    >>> parse_destination(" file:///data/awork ").path
    '/data/awork'

    :raises AworkConfigError: it is no prefix, or a path that depends on the worker's current folder.
    """
    text = str(given).strip()
    if not _ABSOLUTE.match(text):
        raise AworkConfigError(
            f"destination: {str(given)!r} has no scheme and is no absolute path; pass a prefix such as "
            "s3://aws_default@bucket/awork or file:///data/awork"
        )
    try:
        return ObjectStoragePath(text) if isinstance(given, str) else given
    except ValueError as error:
        raise AworkConfigError(
            f"destination: {given!r} is not a prefix such as s3://conn_id@bucket/prefix ({error})"
        ) from None


def checked_count(value: int | None, name: str, *, most: int | None = None) -> int | None:
    """
    Check a number that is at least 1, or None.

    :param name: of the parameter, for messages.
    :param most: the largest number; None for no upper bound.
    :raises AworkConfigError: it is neither.
    """
    if value is None or (isinstance(value, int) and value >= 1 and (most is None or value <= most)):
        return value
    limit = f" up to {most}" if most else ""
    raise AworkConfigError(f"{name}: {value!r} is not a positive whole number{limit}")
