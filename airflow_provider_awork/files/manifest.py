"""
The manifest, the only definition of a complete set.

Its JSON Schema, ``manifest.schema.json`` beside this module, describes each key for readers in any language; a test
compares it with the structs here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from airflow_provider_awork import __version__
from airflow_provider_awork.client.identity import Visibility
from airflow_provider_awork.exceptions import AworkPublishError
from airflow_provider_awork.files.formats import Compression, FileFormat
from airflow_provider_awork.files.marker import Owner
from airflow_provider_awork.files.stores import open_store, retry
from airflow_provider_awork.files.succession import FormerSet, SetIdentity

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

MANIFEST_NAME = "_manifest.json"
MANIFEST_SCHEMA_VERSION: Literal[1] = 1

_Count = Annotated[int, msgspec.Meta(ge=0)]
_Instant = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
# A manifest says what to delete, so its names must not lead out of the destination.
_PartName = Annotated[str, msgspec.Meta(pattern=r"^part-[0-9]{5,}-[0-9a-f]{12}(\.[a-z0-9]+)+$")]


class Software(msgspec.Struct, frozen=True, kw_only=True):
    """The software that wrote a set."""

    package: str
    version: str


THIS_SOFTWARE = Software(package="airflow-provider-awork", version=__version__)


class PublishedFile(msgspec.Struct, frozen=True, kw_only=True):
    """
    A data file as the manifest lists it.

    :param name: its name below the destination.
    :param rows: rows in the file.
    :param bytes: its size.
    :param sha256: of its bytes, in hex.
    """

    name: _PartName
    rows: _Count
    bytes: _Count
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class ManifestWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The half-open window that was exported: days or instants in ISO format; None is an open end."""

    field: str
    start: str | None
    end: str | None
    timezone: str | None


class ManifestSource(msgspec.Struct, frozen=True, kw_only=True):
    """
    Which list was read, and by whom.

    :param list_path: path of the list below ``base_url``; ``list`` in JSON.
    :param query_params: the list's query parameters; unset for time entries.
    :param sees_all_rows: whether the key may read the whole list, None if awork does not report it; unset for time
        entries.
    :param sees_all_entries: as in :class:`.Identity`.
    """

    base_url: str
    list_path: str = msgspec.field(name="list")
    query_params: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    sees_all_rows: bool | msgspec.UnsetType | None = msgspec.UNSET
    workspace_id: str | None
    workspace_name: str | None
    user_id: str | None
    name: str
    sees_all_entries: bool | None

    @property
    def visibility(self) -> Visibility | None:
        """Which rows the key sees; None if the list has no such limit, or awork does not report it."""
        if self.sees_all_rows is None:
            return None
        return Visibility.of_key(user_id=self.user_id, sees_all_entries=self.sees_whole_list)

    @property
    def sees_whole_list(self) -> bool | None:
        """Whether the key may read all rows of the list, of time entries, too; None if awork does not report it."""
        return self.sees_all_entries if self.sees_all_rows is msgspec.UNSET else self.sees_all_rows


class ManifestColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column of a flat format."""

    name: str
    type: str


class ManifestRun(msgspec.Struct, frozen=True, kw_only=True):
    """
    What differs from run to run.

    :param finished_at: when all rows were read and their files put, in ISO format.
    :param seconds: how long the run took up to then.
    :param requests: requests sent to awork.
    :param rereads: pages that were read again, because rows had moved between pages.
    :param owner: the task instance.
    """

    finished_at: _Instant
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    requests: _Count
    rereads: _Count = 0
    owner: Owner


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """
    A complete set of files. ``manifest.schema.json`` describes the fields, whose order is that of the JSON.

    Everything outside ``run`` depends on the data and the parameters alone, so two runs over unchanged data differ
    only under ``run``.

    :param file_format: ``format`` in JSON.
    :param open_window: whether rows could still come into the window when it was read.
    """

    schema_version: Literal[1]
    created_by: Software
    files: tuple[PublishedFile, ...]
    rows: _Count
    bytes: _Count
    file_format: FileFormat = msgspec.field(name="format")
    compression: Compression
    window: ManifestWindow | None
    open_window: bool = False
    filterby: str | None
    watermark: str | None
    source: ManifestSource
    columns: tuple[ManifestColumn, ...] | None
    unknown_fields: dict[str, Annotated[int, msgspec.Meta(ge=1)]]
    misfits: dict[str, Annotated[int, msgspec.Meta(ge=1)]] = msgspec.field(default_factory=dict)
    run: ManifestRun

    @property
    def identity(self) -> SetIdentity:
        """What a set must have in common with this one to replace it."""
        return identify(self.source, filterby=self.filterby, window=self.window)

    @property
    def former_set(self) -> FormerSet:
        return FormerSet(identity=self.identity, owner=self.run.owner, rows=self.rows)


def identify(source: ManifestSource, *, filterby: str | None, window: ManifestWindow | None) -> SetIdentity:
    """Return the identity of a set, from the parts of its manifest that are known before a row is read."""
    is_time_entries = source.sees_all_rows is msgspec.UNSET
    query = {} if is_time_entries else source.query_params
    return SetIdentity(
        workspace_id=source.workspace_id,
        list_path=source.list_path,
        query_params=None if query is msgspec.UNSET else query,
        filterby=filterby,
        window=(window.field, window.start, window.end) if window else None,
        visibility=source.visibility,
    )


class _ManifestHead(msgspec.Struct):
    schema_version: int


def read_manifest(destination: ObjectStoragePath) -> Manifest | None:
    """
    Read the manifest of a published set.

    :return: the manifest; None if nothing is published there.
    :raises AworkPublishError: it is unreadable, or of a version that this package does not know.
    """
    return parse_manifest(retry(open_store(destination).read, MANIFEST_NAME), destination)


def verify_manifest(destination: ObjectStoragePath, *, check_sha256: bool = False) -> Manifest:
    """
    Check that every file of the published set is there with its size.

    :param check_sha256: also read each file and compare its digest.
    :return: the manifest.
    :raises AworkPublishError: there is no manifest, or a file is missing or different; names all of them.
    """
    store = open_store(destination)
    manifest = parse_manifest(retry(store.read, MANIFEST_NAME), destination)
    if manifest is None:
        raise AworkPublishError(f"Nothing is published at {destination}: it holds no {MANIFEST_NAME}")
    require_files(destination, manifest.files, lambda name: retry(store.size, name))
    if check_sha256:
        different = [file.name for file in manifest.files if _sha256(destination / file.name) != file.sha256]
        if different:
            raise AworkPublishError(
                f"{destination} holds other bytes than its manifest says in: {', '.join(different)}"
            )
    return manifest


def fetch_files(
    destination: ObjectStoragePath, manifest: Manifest, folder: Path
) -> Iterator[tuple[PublishedFile, Path]]:
    """
    Copy the files of a published set to a local folder, one after another; each is removed when the next is asked for.

    :param destination: where the manifest lies.
    :param folder: existing local folder.
    :raises AworkPublishError: a file is missing, or holds other bytes than the manifest says.
    """
    for file in manifest.files:
        copy = folder / file.name
        try:
            retry(destination.fs.get_file, (destination / file.name).path, str(copy))
        except Exception as error:
            raise AworkPublishError(
                f"Cannot read {destination / file.name}, which the manifest lists: {type(error).__name__}: {error}"
            ) from error
        with copy.open("rb") as data:
            same = hashlib.file_digest(data, "sha256").hexdigest() == file.sha256
        if not same:
            raise AworkPublishError(f"{destination / file.name} holds other bytes than its manifest says")
        yield file, copy
        copy.unlink()


def set_sha256(files: Sequence[PublishedFile]) -> str:
    """
    Compute the digest of a published set: two sets have the same if their files hold the same bytes in the same order.

    >>> set_sha256([])[:12]
    'e3b0c44298fc'
    """
    return hashlib.sha256("\n".join(file.sha256 for file in files).encode()).hexdigest()


def encode_manifest(manifest: Manifest) -> bytes:
    return json.dumps(msgspec.to_builtins(manifest), indent=2, ensure_ascii=False).encode() + b"\n"


def parse_manifest(data: bytes | None, destination: ObjectStoragePath) -> Manifest | None:
    """
    Decode what lies at :data:`MANIFEST_NAME`; None if nothing does.

    :param destination: for messages.
    :raises AworkPublishError: it is no manifest, or of a version that this package does not know.
    """
    if data is None:
        return None
    try:
        version = msgspec.json.decode(data, type=_ManifestHead).schema_version
        if version != MANIFEST_SCHEMA_VERSION:
            raise AworkPublishError(
                f"{destination / MANIFEST_NAME} has schema version {version}, this package knows "
                f"{MANIFEST_SCHEMA_VERSION}: upgrade airflow-provider-awork, or publish to another destination"
            )
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, ValueError) as error:
        raise AworkPublishError(
            f"{destination / MANIFEST_NAME} cannot be read as a manifest ({error}), so it is not known which files are "
            "the published set. Restore it, or remove it together with the part files beside it, or publish to another "
            "destination."
        ) from error


def require_files(
    destination: ObjectStoragePath, files: Sequence[PublishedFile], size_of: Callable[[str], int | None]
) -> None:
    wrong = [
        f"{file.name} ({'missing' if size is None else f'{size} instead of {file.bytes} bytes'})"
        for file in files
        if (size := size_of(file.name)) != file.bytes
    ]
    if wrong:
        raise AworkPublishError(f"{destination} lacks files of its set: {', '.join(wrong)}")


def _sha256(path: ObjectStoragePath) -> str:
    with path.fs.open(path.path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
