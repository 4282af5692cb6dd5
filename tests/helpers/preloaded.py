"""What the processes of tests need, loaded once in the server that forks them."""

from __future__ import annotations

import contextlib
import importlib

from airflow.sdk import ObjectStoragePath

from tests.helpers import batch_process, export_process

__all__ = ["batch_process", "export_process"]

assert ObjectStoragePath("file:///").fs  # finds the filesystems of all providers
for library in ("airflow.providers.amazon.aws.fs.s3", "boto3", "s3fs", "requests", "pyarrow"):
    with contextlib.suppress(ImportError):  # the matrix has no clouds
        importlib.import_module(library)
