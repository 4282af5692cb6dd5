"""Where and how a transfer writes: the parameters of the output, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.files.formats import OutputFormat, check_csv_options, check_format
from airflow_provider_awork.files.succession import Replace
from airflow_provider_awork.transfers.destination import fill_placeholders, has_placeholders, parse_destination

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_awork.windows.window import Window


@dataclass(frozen=True, kw_only=True)
class Output:
    """
    Where and how a transfer writes; made by :meth:`checked`.

    :param template: the prefix, with placeholders.
    :param kind: format and compression of the files.
    :param max_rows_per_file: None writes one file.
    :param csv_formula_guard: put a quote before CSV cells that a spreadsheet would read as a formula.
    :param csv_bom: begin each CSV file with the UTF-8 byte order mark.
    :param spool_folder: local folder for files on their way; None takes the system's temporary one.
    :param replace: which sets the run may replace.
    :param max_shrink: the largest share of the former rows that may be missing; None for any.
    """

    template: str
    kind: OutputFormat
    max_rows_per_file: int | None
    csv_formula_guard: bool
    csv_bom: bool
    spool_folder: Path | None
    replace: Replace
    max_shrink: float | None

    @classmethod
    def checked(
        cls,
        *,
        destination: str | ObjectStoragePath,
        file_format: str,
        compression: str | None,
        max_rows_per_file: int | None,
        csv_formula_guard: bool,
        csv_bom: bool,
        spool_folder: str | None,
        replace: str,
        max_shrink: float | None,
    ) -> Output:
        """
        Check the parameters of the output as a DAG author writes them or templates render them.

        :raises AworkConfigError: one cannot work.
        :raises AworkMissingExtraError: a library is missing.
        """
        if not has_placeholders(destination):
            parse_destination(destination)
        kind = check_format(file_format, compression)
        check_csv_options(kind, csv_formula_guard=csv_formula_guard, csv_bom=csv_bom)
        return cls(
            template=str(destination),
            max_rows_per_file=checked_count(max_rows_per_file, "max_rows_per_file"),
            csv_formula_guard=csv_formula_guard,
            csv_bom=csv_bom,
            kind=kind,
            spool_folder=Path(spool_folder) if spool_folder else None,
            replace=_checked_replace(replace),
            max_shrink=_checked_share(max_shrink),
        )

    def locate(
        self, *, window: Window | None = None, partition_key: str | None = None, folder: str = ""
    ) -> ObjectStoragePath:
        """
        Return the destination of a run, or a folder below it unless its name is empty.

        :raises AworkConfigError: a placeholder has no value, or the destination is no prefix.
        """
        destination = parse_destination(fill_placeholders(self.template, window=window, partition_key=partition_key))
        return destination / folder if folder else destination


def _checked_replace(given: str) -> Replace:
    if given not in list(Replace):
        raise AworkConfigError(f"replace: {given!r} is neither 'successor' nor 'any'")
    return Replace(given)


def _checked_share(given: float | None) -> float | None:
    if given is None or (isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given <= 1):
        return given
    raise AworkConfigError(f"max_shrink: {given!r} is not a share between 0 and 1, such as 0.5, or None")


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
