"""Publishing to local folders and to S3 (moto's server, the amazon provider's filesystem, an Airflow connection)."""

from __future__ import annotations

import errno
import hashlib
import importlib
import importlib.util
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from airflow_provider_awork.exceptions import AworkDestinationBusyError, AworkPublishError
from airflow_provider_awork.files.manifest import MANIFEST_NAME, read_manifest
from airflow_provider_awork.files.marker import MARKER_NAME
from airflow_provider_awork.files.publisher import Publisher
from airflow_provider_awork.files.spool import spool_folder
from airflow_provider_awork.files.writers import Part
from airflow_provider_awork.version_compat import AirflowFailException
from tests.helpers.publishing import (
    NEW_SET,
    NO_WAIT,
    OLD_SET,
    OTHER_RUN,
    OWNER,
    SECOND_TRY,
    assert_only_set,
    contents_at,
    export,
    export_and_fail,
    manifest_for,
    names_at,
    spool,
)
from tests.helpers.storage_emulators import S3Emulator

SHARED_MEMORY = Path("/dev/shm")


# Success.


def test_publishes_a_set(destination: Any, tmp_path: Path) -> None:
    part = spool(tmp_path, 7, b"entry")
    with Publisher(destination, owner=OWNER) as publisher:
        file = publisher.put(part)
        assert read_manifest(destination) is None
        manifest = manifest_for(publisher)
        publisher.commit(manifest)

    assert file.name == f"part-00007-{part.sha256[:12]}.ndjson.gz"
    assert not part.path.exists()
    assert_only_set(destination, ("entry",))
    assert manifest == read_manifest(destination)
    assert (manifest.rows, manifest.bytes) == (1, 5)
    assert manifest.run.owner.run_id == "run-1"


def test_nothing_to_publish_is_a_manifest_with_no_files(destination: Any, tmp_path: Path) -> None:
    export(destination, tmp_path, OLD_SET)
    manifest = export(destination, tmp_path, ())
    assert (manifest.files, manifest.rows, manifest.bytes) == ((), 0, 0)
    assert_only_set(destination, ())


def test_a_shrunk_set_leaves_nothing_but_strangers_files(destination: Any, tmp_path: Path) -> None:
    export(destination, tmp_path, OLD_SET)
    stranger = f"{destination.path}/part-00009-aaaaaaaaaaaa.ndjson.gz"
    destination.fs.pipe_file(stranger, b"not ours")
    export(destination, tmp_path, NEW_SET, OTHER_RUN)
    assert destination.fs.cat_file(stranger) == b"not ours"
    destination.fs.rm_file(stranger)
    assert_only_set(destination, NEW_SET)


def test_the_same_set_twice_differs_only_under_run(local: Any, tmp_path: Path) -> None:
    first = export(local, tmp_path, OLD_SET)
    inodes = {file.name: (local / file.name).stat()["ino"] for file in first.files}
    second = export(local, tmp_path, OLD_SET, OTHER_RUN)
    assert inodes == {file.name: (local / file.name).stat()["ino"] for file in second.files}
    assert first.run != second.run
    assert first == msgspec.structs.replace(second, run=first.run)


@pytest.mark.emulator
def test_the_same_set_twice_puts_no_data_again(s3: Any, tmp_path: Path, s3_calls: Any) -> None:
    export(s3, tmp_path, OLD_SET)
    written: list[str] = []
    s3_calls(lambda method, request: written.append(request["Key"]) if method == "put_object" else None)
    export(s3, tmp_path, OLD_SET, OTHER_RUN)
    assert {key.rsplit("/", 1)[-1] for key in written} == {MARKER_NAME, MANIFEST_NAME}
    assert_only_set(s3, OLD_SET)


def test_a_damaged_file_is_published_again(destination: Any, tmp_path: Path) -> None:
    manifest = export(destination, tmp_path, OLD_SET)
    destination.fs.pipe_file(f"{destination.path}/{manifest.files[0].name}", b"?")
    export(destination, tmp_path, OLD_SET, OTHER_RUN)
    assert_only_set(destination, OLD_SET)


def test_files_are_listed_in_order_of_their_index(local: Any, tmp_path: Path) -> None:
    with Publisher(local, owner=OWNER) as publisher:
        for index in (100_000, 99_999, 3):
            publisher.put(spool(tmp_path, index, str(index).encode()))
        publisher.commit(manifest_for(publisher))
    assert_only_set(local, ("3", "99999", "100000"))


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="needs a second file system")
def test_spool_on_another_file_system(local: Any, tmp_path: Path) -> None:
    assert SHARED_MEMORY.stat().st_dev != tmp_path.stat().st_dev
    with spool_folder(SHARED_MEMORY) as folder:
        export(local, folder, OLD_SET)
    assert_only_set(local, OLD_SET)


# Failure inside the block.


def test_an_exception_leaves_the_old_set(destination: Any, tmp_path: Path) -> None:
    export(destination, tmp_path, OLD_SET)
    with pytest.raises(RuntimeError, match="paging broke"):
        export_and_fail(destination, tmp_path, NEW_SET, RuntimeError("paging broke"))
    assert_only_set(destination, OLD_SET)


def test_an_exception_in_a_first_run_leaves_nothing(destination: Any, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        export_and_fail(destination, tmp_path, NEW_SET, KeyboardInterrupt())
    assert names_at(destination) == set()


def test_a_set_that_is_not_committed_is_an_error(local: Any, tmp_path: Path) -> None:
    with pytest.raises(AworkPublishError, match="never committed"), Publisher(local, owner=OWNER) as publisher:
        publisher.put(spool(tmp_path, 0, b"x"))
    assert names_at(local) == set()


def test_a_file_that_vanished_before_the_switch_stops_it(destination: Any, tmp_path: Path) -> None:
    export(destination, tmp_path, OLD_SET)

    def lose_a_file() -> None:
        with Publisher(destination, owner=OTHER_RUN) as publisher:
            file = publisher.put(spool(tmp_path, 0, b"x"))
            destination.fs.rm_file(f"{destination.path}/{file.name}")
            publisher.commit(manifest_for(publisher))

    with pytest.raises(AworkPublishError, match="missing"):
        lose_a_file()
    assert_only_set(destination, OLD_SET)


def test_a_spool_file_of_the_wrong_size_is_not_published(local: Any, tmp_path: Path) -> None:
    part = spool(tmp_path, 0, b"whole")
    part.path.write_bytes(b"who")
    with pytest.raises(AworkPublishError, match="3 bytes instead of 5"), Publisher(local, owner=OWNER) as publisher:
        publisher.put(part)
    assert names_at(local) == set()


def test_one_index_for_two_parts_is_an_error(local: Any, tmp_path: Path) -> None:
    with Publisher(local, owner=OWNER) as publisher:
        publisher.put(spool(tmp_path, 0, b"a"))
        with pytest.raises(AworkPublishError, match="published twice"):
            publisher.put(spool(tmp_path, 0, b"b"))
        publisher.commit(manifest_for(publisher))
    assert_only_set(local, ("a",))


# The storage fails.


def is_part(request: dict[str, Any]) -> bool:
    return "/part-" in request.get("Key", "")


@pytest.mark.emulator
def test_a_put_that_fails_for_a_moment_is_tried_again(s3: Any, tmp_path: Path, s3_calls: Any) -> None:
    failures = iter([OSError(errno.EIO, "503 Slow Down"), ConnectionResetError("cut")])

    def fail_twice(method: str, request: dict[str, Any]) -> None:
        if method == "put_object" and is_part(request) and (failure := next(failures, None)):
            raise failure

    s3_calls(fail_twice)
    export(s3, tmp_path, NEW_SET)
    assert_only_set(s3, NEW_SET)


@pytest.mark.emulator
def test_a_put_that_keeps_failing_leaves_the_old_set(s3: Any, tmp_path: Path, s3_calls: Any) -> None:
    export(s3, tmp_path, OLD_SET)
    puts: list[str] = []

    def fail(method: str, request: dict[str, Any]) -> None:
        if method == "put_object" and is_part(request):
            puts.append(request["Key"])
            raise OSError(errno.EIO, "500 Internal Error")

    s3_calls(fail)
    with pytest.raises(AworkPublishError, match="500 Internal Error") as raised:
        export(s3, tmp_path, ("new a",), OTHER_RUN)
    assert len(puts) == 4
    assert str(s3) in str(raised.value)
    assert not isinstance(raised.value, AirflowFailException)
    assert_only_set(s3, OLD_SET)


@pytest.mark.emulator
def test_a_failed_multipart_upload_leaves_no_piece(
    s3: Any, tmp_path: Path, s3_calls: Any, s3_emulator: S3Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda size, chunksize=None: 5 * 2**20)
    begun: list[int] = []

    def fail_second_piece(method: str, request: dict[str, Any]) -> None:
        if method == "upload_part":
            begun.append(request["PartNumber"])
            if request["PartNumber"] == 2:
                raise OSError(errno.EIO, "500 Internal Error")

    s3_calls(fail_second_piece)
    with pytest.raises(AworkPublishError, match="500"), Publisher(s3, owner=OWNER) as publisher:
        publisher.put(spool(tmp_path, 0, bytes(11 * 2**20)))
    assert 1 in begun
    assert names_at(s3) == set()
    assert "Uploads" not in s3_emulator.client().list_multipart_uploads(Bucket="publish")


@pytest.mark.emulator
def test_old_files_that_cannot_be_deleted_are_an_error_that_the_next_run_mends(
    s3: Any, tmp_path: Path, s3_calls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(s3, tmp_path, OLD_SET)

    def refuse(method: str, request: dict[str, Any]) -> None:
        if method == "delete_object" and is_part(request):
            raise PermissionError("Access Denied")

    with monkeypatch.context():
        s3_calls(refuse)
        with pytest.raises(AworkPublishError, match=r"new set is complete and published.*Access Denied"):
            export(s3, tmp_path, NEW_SET)
    assert contents_at(s3) == NEW_SET

    s3_calls(lambda method, request: None)
    export(s3, tmp_path, NEW_SET, OTHER_RUN, wait_for=NO_WAIT)
    assert_only_set(s3, NEW_SET)


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="a rename needs no space; this needs a second file system")
def test_a_full_disk_leaves_the_old_set(local: Any, tmp_path: Path) -> None:
    export(local, tmp_path, OLD_SET)
    with (
        spool_folder(SHARED_MEMORY) as folder,
        pytest.raises(AworkPublishError, match="File too large"),
        Publisher(local, owner=OTHER_RUN) as publisher,
    ):
        put_beyond_the_limit(publisher, spool(folder, 0, bytes(200_000)))
    assert_only_set(local, OLD_SET)


def put_beyond_the_limit(publisher: Publisher, part: Part) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        publisher.put(part)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Killed runs.


@pytest.mark.usefixtures("no_patience_with_locks")
@pytest.mark.parametrize("kind", ["local", pytest.param("s3", marks=pytest.mark.emulator)])
def test_a_run_killed_at_any_step(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Kill a run before its first, second, third ... change of the storage; the set is whole, the next run tidies."""
    base = request.getfixturevalue(kind)
    steps = int(run_this_file(str(base), str(tmp_path)))
    next_run = (another_try_commits, another_try_fails, another_run_commits)
    states = set()
    for step in range(steps):
        destination = base / f"step-{step}"
        found = contents_at(destination)
        assert_every_part_is_whole(destination)
        next_run[step % 3](destination, tmp_path, found)
        states.add((found, next_run[step % 3]))
    assert states == {(found, run) for found in (OLD_SET, NEW_SET) for run in next_run}


def another_try_commits(destination: Any, folder: Path, found: tuple[str, ...]) -> None:
    export(destination, folder, NEW_SET, SECOND_TRY, wait_for=NO_WAIT)
    assert_only_set(destination, NEW_SET)


def another_try_fails(destination: Any, folder: Path, found: tuple[str, ...]) -> None:
    with pytest.raises(RuntimeError):
        export_and_fail(destination, folder, NEW_SET[:1], RuntimeError())
    assert_only_set(destination, found)


def another_run_commits(destination: Any, folder: Path, found: tuple[str, ...]) -> None:
    if MARKER_NAME in names_at(destination):
        with pytest.raises(AworkDestinationBusyError):
            export(destination, folder, NEW_SET, OTHER_RUN, wait_for=NO_WAIT)
    export(destination, folder, NEW_SET, OTHER_RUN, stale_after=timedelta(microseconds=1))
    assert_only_set(destination, NEW_SET)


def assert_every_part_is_whole(destination: Any) -> None:
    """What a reader by glob relies on."""
    for path in destination.fs.glob(f"{destination.path}/part-*"):
        digest = hashlib.sha256(destination.fs.cat_file(path)).hexdigest()
        assert path.rsplit("/", 1)[-1].split("-")[2].startswith(digest[:12])


def run_this_file(*arguments: str) -> str:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.files.test_publisher", *arguments]
    return subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1]


def kill_at_each_step(base: str, spool_in: str) -> int:
    """For n = 0, 1, 2 ... publish an old set, then kill a run before its n-th change. Return how many were killed."""
    from airflow.sdk import ObjectStoragePath

    # Loaded here, once, so that no fork has to.
    assert ObjectStoragePath("file:///").fs
    for library in ("boto3", "s3fs") if base.startswith("s3://") else ():
        importlib.import_module(library)
    step = 0
    while in_child(publish_in_child, f"{base}/step-{step}", spool_in, step) != 0:
        step += 1
    return step


def in_child(work: Callable[..., None], *arguments: Any) -> int:
    """Run work in a fork; return its exit code, which is -9 after a kill."""
    child = os.fork()
    if child == 0:
        work(*arguments)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code


def publish_in_child(url: str, spool_in: str, kill_at: int) -> None:
    from airflow.sdk import ObjectStoragePath

    destination = ObjectStoragePath(url)
    export(destination, Path(spool_in), OLD_SET)
    countdown = iter(range(kill_at, -1, -1))
    watch = kill_on_s3_changes if url.startswith("s3://") else kill_on_file_changes
    watch(url.removeprefix("file://"), lambda: next(countdown, None) == 0 and os.kill(os.getpid(), signal.SIGKILL))
    export(destination, Path(spool_in), NEW_SET)


def kill_on_file_changes(folder: str, step: Callable[[], object]) -> None:
    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        paths = [str(argument) for argument in arguments[:2] if str(argument).startswith(folder)]
        if paths and (writes or event in ("os.rename", "os.remove", "os.link")):
            # A kill in mid-write would leave half a file, so no file may be written under the name that readers see.
            assert not writes or Path(paths[0]).name.startswith(".")
            step()

    sys.addaudithook(audit)


def kill_on_s3_changes(_: str, step: Callable[[], object]) -> None:
    from s3fs import S3FileSystem

    original = S3FileSystem._call_s3

    async def call(self: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        if method in ("put_object", "delete_object", "delete_objects"):
            step()
        return await original(self, method, *args, **kwargs)

    S3FileSystem._call_s3 = call


if __name__ == "__main__":
    print(kill_at_each_step(*sys.argv[1:]))
