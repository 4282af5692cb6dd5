"""Where a set is written to: placeholders for window and partition, the parts of the path, the URIs of the files."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from airflow.sdk import ObjectStoragePath

from airflow_provider_awork.exceptions import AworkConfigError

if TYPE_CHECKING:
    from airflow_provider_awork.files.manifest import PublishedFile
    from airflow_provider_awork.windows.window import Window

# A path without a scheme would be seen from the worker's current folder, and file:// without a third slash, too.
_ABSOLUTE = re.compile(r"/|(?:file|local)://(?:[^/]*@)?/|(?!(?:file|local):)[a-z][a-z0-9+.-]*://.", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
PLACEHOLDERS = ("window_start", "window_end", "partition_key")
COMPACT_INSTANT = "%Y%m%dT%H%M%SZ"  # without characters that Hadoop's paths do not take


def parse_destination(given: str | ObjectStoragePath) -> ObjectStoragePath:
    """
    Read the prefix that a DAG author passes.

    >>> parse_destination(" file:///data/awork ").path
    '/data/awork'

    :raises AworkConfigError: it is no prefix, has an empty part, or depends on the worker's current folder.
    """
    text = str(given).strip()
    if not _ABSOLUTE.match(text):
        raise AworkConfigError(
            f"destination: {str(given)!r} has no scheme and is no absolute path; pass a prefix such as "
            "s3://aws_default@bucket/awork or file:///data/awork"
        )
    _check_parts(text)
    try:
        return ObjectStoragePath(text)
    except ValueError as error:
        raise AworkConfigError(
            f"destination: {given!r} is not a prefix such as s3://conn_id@bucket/prefix ({error})"
        ) from None


def has_placeholders(given: str | ObjectStoragePath) -> bool:
    """Whether a destination has placeholders, known or not."""
    return bool(_PLACEHOLDER.search(str(given)))


def fill_placeholders(
    given: str | ObjectStoragePath, *, window: Window | None = None, partition_key: str | None = None
) -> str:
    """
    Fill in what is known of the run: days as ``2026-11-26``, instants as ``20261126T015500Z``.

    >>> fill_placeholders("s3://lake/awork/day={partition_key}", partition_key="2026-11-26")
    's3://lake/awork/day=2026-11-26'

    :raises AworkConfigError: a placeholder is unknown, or the run has no value for it.
    """
    text = str(given)
    values = {
        "window_start": _text(window.start if window else None),
        "window_end": _text(window.end if window else None),
        "partition_key": partition_key,
    }

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        if name not in values:
            known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
            raise AworkConfigError(f"destination: no placeholder {{{name}}}\n{text!r} may have {known}.")
        value = values[name]
        if not value:
            raise AworkConfigError(_missing(name, text))
        return value

    filled = _PLACEHOLDER.sub(fill, text)
    if "{" in filled or "}" in filled:
        raise AworkConfigError(f"destination: a brace without its partner\nCheck the placeholders in {text!r}.")
    return filled


def _text(bound: date | datetime | None) -> str | None:
    if isinstance(bound, datetime):
        return bound.strftime(COMPACT_INSTANT)
    return bound.isoformat() if bound else None


def _missing(name: str, text: str) -> str:
    if name == "partition_key":
        return (
            f"destination: this run has no partition for {{partition_key}}\n{text!r} needs one: a schedule of "
            "partitions (Airflow 3.2 or newer), or a run that is triggered with a partition key. "
            "For a window use {window_start}."
        )
    bound = name.removeprefix("window_")
    return (
        f"destination: there is no {bound} of a window for {{{name}}}\n{text!r} needs window_field, and a window with "
        f"that bound. An export without a window needs none: its set is replaced as a whole."
    )


def _check_parts(text: str) -> None:
    """Refuse what a template leaves that rendered to nothing: an empty part, ``None``, ``key=`` or ``key=None``."""
    scheme = _SCHEME.match(text)
    authority, *parts = text[scheme.end() if scheme else 0 :].split("/")
    if parts and not parts[-1]:
        parts.pop()  # one slash at the end
    if scheme and not scheme[0].lower().startswith(("file:", "local:")):
        parts.insert(0, authority.rpartition("@")[2])
    for part in parts:
        value = part.rpartition("=")[2]
        if value in ("", "None", ".", ".."):
            raise AworkConfigError(
                f"destination: {f'the part {part!r} has no value' if part else 'an empty part'}\n"
                f"A template in {text!r} may have rendered to nothing, as {{{{ data_interval_start }}}} does in a "
                "run without a data interval. {window_start} and {partition_key} are filled in by this operator."
            )


def find_shadowed_column(destination: str, columns: Collection[str]) -> str | None:
    """
    Find a folder that readers would take for a column of the files; None if there is none.

    DuckDB, pyarrow and pandas read ``name=value`` in a path as a column of that name.

    >>> find_shadowed_column("s3://lake/work_date=2026-11-26", ["id", "work_date"])
    'work_date'
    """
    names = [part.partition("=")[0] for part in destination.split("/") if "=" in part]
    return next((name for name in reversed(names) if name in columns), None)


def file_uris(destination: ObjectStoragePath, files: Sequence[PublishedFile]) -> list[str]:
    """Return the URIs of the files, without the id of a connection, as readers outside of Airflow take them."""
    prefix = f"{destination.protocol or 'file'}://{destination.path.rstrip('/')}"
    return [f"{prefix}/{file.name}" for file in files]
