"""Object stores on 127.0.0.1, each with an Airflow connection, for tests that need a real one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

_REGION = "eu-central-1"
_CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


@dataclass(frozen=True, kw_only=True)
class S3Emulator:
    """
    A running S3 server.

    :param endpoint_url: its base URL.
    :param conn_id: the Airflow connection to it, defined by an environment variable while the server runs.
    """

    endpoint_url: str
    conn_id: str

    def client(self) -> Any:
        """Give a boto3 client, to prepare and to look without Airflow in between."""
        import boto3

        return boto3.client("s3", endpoint_url=self.endpoint_url, region_name=_REGION, **_CREDENTIALS)

    def create_bucket(self, name: str) -> str:
        """Create a bucket (3 to 63 characters) and give the URL of its root for ``ObjectStoragePath``."""
        self.client().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": _REGION})
        return f"s3://{self.conn_id}@{name}"

    def keys(self, bucket: str) -> list[str]:
        """List the keys of a bucket, at most 1000."""
        listing = self.client().list_objects_v2(Bucket=bucket)
        return [entry["Key"] for entry in listing.get("Contents", [])]


@contextmanager
def run_s3_emulator(*, conn_id: str = "s3_emulator") -> Iterator[S3Emulator]:
    """Run moto's S3 server in a thread, with the Airflow connection ``conn_id`` to it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        emulator = S3Emulator(endpoint_url=f"http://{host}:{port}", conn_id=conn_id)
        with mock.patch.dict(os.environ, _aws_connection(emulator)):
            yield emulator
    finally:
        server.stop()


def _aws_connection(emulator: S3Emulator) -> dict[str, str]:
    connection = {
        "conn_type": "aws",
        "login": _CREDENTIALS["aws_access_key_id"],
        "password": _CREDENTIALS["aws_secret_access_key"],
        "extra": {"endpoint_url": emulator.endpoint_url, "region_name": _REGION},
    }
    return {f"AIRFLOW_CONN_{emulator.conn_id.upper()}": json.dumps(connection)}
