"""Local disk space for files on their way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from airflow_provider_awork.exceptions import AworkConfigError, AworkPublishError
from airflow_provider_awork.files.spool import check_spool_space, spool_folder


def test_spool_folder_is_removed_whatever_happens(tmp_path: Path) -> None:
    def fail() -> None:
        with spool_folder(tmp_path) as folder:
            (folder / "file").write_text("x")
            assert [folder] == list(tmp_path.iterdir())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_spool_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(AworkConfigError, match="nowhere"), spool_folder(tmp_path / "nowhere"):
        pass


def test_too_little_space_is_said_before_writing(tmp_path: Path) -> None:
    check_spool_space(tmp_path, 1)
    needed = shutil.disk_usage(tmp_path).total + 1
    with pytest.raises(AworkPublishError, match=f"{needed:,}"):
        check_spool_space(tmp_path, needed)
