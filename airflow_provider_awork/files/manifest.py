"""The manifest, the only definition of a complete set; its JSON Schema is ``manifest.schema.json`` beside this."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import msgspec

from airflow_provider_awork.exceptions import AworkPublishError
from airflow_provider_awork.files.stores import open_store, retry

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

MANIFEST_NAME = "_manifest.json"
MANIFEST_SCHEMA_VERSION = 1

# A manifest says what to delete, so its names must not lead out of the destination.
_PartName = Annotated[str, msgspec.Meta(pattern=r"^part-[0-9]{5,}-[0-9a-f]{12}(\.[a-z0-9]+)+$")]


class PublishedFile(msgspec.Struct, frozen=True, kw_only=True):
    """
    A data file as the manifest lists it.

    :param name: its name below the destination.
    :param rows: entries in the file.
    :param bytes: its size.
    :param sha256: of its bytes, in hex.
    """

    name: _PartName
    rows: int
    bytes: int
    sha256: str


class ManifestBody(TypedDict):
    """
    What the caller adds to a manifest; ``manifest.schema.json`` says what each key means.

    Everything outside ``run`` must depend on the data and the parameters alone, so that two runs over unchanged data
    differ only under ``run``.
    """

    format: str
    compression: str
    window: Mapping[str, Any] | None
    filterby: str | None
    watermark: str | None
    source: Mapping[str, Any]
    columns: Sequence[Mapping[str, Any]] | None
    unknown_fields: Mapping[str, int]
    run: Mapping[str, Any]


class _ManifestHead(msgspec.Struct):
    schema_version: int


class _ManifestFiles(msgspec.Struct):
    files: tuple[PublishedFile, ...]


def read_manifest(destination: ObjectStoragePath) -> dict[str, Any] | None:
    """
    Read the manifest of a published set.

    :return: the manifest as ``manifest.schema.json`` describes it; None if nothing is published there.
    :raises AworkPublishError: it is unreadable, or of a version that this package does not know.
    """
    return parse_manifest(retry(open_store(destination).read, MANIFEST_NAME), destination)


def verify_manifest(destination: ObjectStoragePath, *, check_sha256: bool = False) -> dict[str, Any]:
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
    files = files_of(manifest)
    require_files(destination, files, lambda name: retry(store.size, name))
    if check_sha256:
        different = [file.name for file in files if _sha256(destination / file.name) != file.sha256]
        if different:
            raise AworkPublishError(
                f"{destination} holds other bytes than its manifest says in: {', '.join(different)}"
            )
    return manifest


def fetch_files(
    destination: ObjectStoragePath, manifest: Mapping[str, Any], folder: Path
) -> Iterator[tuple[PublishedFile, Path]]:
    """
    Copy the files of a published set to a local folder, one after another; each is removed when the next is asked for.

    :param destination: where the manifest lies.
    :param folder: existing local folder.
    :raises AworkPublishError: a file is missing, or holds other bytes than the manifest says.
    """
    for file in files_of(manifest):
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


def set_sha256(manifest: Mapping[str, Any]) -> str:
    """
    A digest of a published set: two sets have the same if their files hold the same bytes in the same order.

    >>> set_sha256({"files": []})[:12]
    'e3b0c44298fc'
    """
    return hashlib.sha256("\n".join(file["sha256"] for file in manifest["files"]).encode()).hexdigest()


def parse_manifest(data: bytes | None, destination: ObjectStoragePath) -> dict[str, Any] | None:
    if data is None:
        return None
    try:
        version = msgspec.json.decode(data, type=_ManifestHead).schema_version
        if version != MANIFEST_SCHEMA_VERSION:
            raise AworkPublishError(
                f"{destination / MANIFEST_NAME} has schema version {version}, this package knows "
                f"{MANIFEST_SCHEMA_VERSION}: upgrade airflow-provider-awork, or publish to another destination"
            )
        manifest: dict[str, Any] = json.loads(data)
        files_of(manifest)
    except (msgspec.MsgspecError, ValueError) as error:
        raise AworkPublishError(
            f"{destination / MANIFEST_NAME} cannot be read as a manifest ({error}), so it is not known which files are "
            "the published set. Restore it, or remove it together with the part files beside it, or publish to another "
            "destination."
        ) from error
    return manifest


def files_of(manifest: Mapping[str, Any] | None) -> tuple[PublishedFile, ...]:
    return msgspec.convert(manifest, _ManifestFiles).files if manifest is not None else ()


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
