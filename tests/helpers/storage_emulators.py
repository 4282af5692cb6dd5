"""
Object stores on 127.0.0.1, each with an Airflow connection, for tests that need a real one.

S3 is moto, Google Cloud Storage is gcp-storage-emulator, Azure Blob is azurite (a Node program that ``make test``
installs where npm is there). Clients reach them through a proxy that lets a test refuse or cut single requests; the
methods that look at a store go around the proxy and around Airflow.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import secrets
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests
import tenacity

from tests.helpers.airflow_environment import environment_variables
from tests.helpers.repository import REPOSITORY
from tests.helpers.storage_proxy import PROXY_HOST, Refusal, Rule, StorageProxy, StorageRequest, run_storage_proxy

AZURITE = REPOSITORY / ".azurite/node_modules/.bin/azurite-blob"

_REGION = "eu-central-1"
_CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


@dataclass(frozen=True, kw_only=True)
class Emulator(ABC):
    """
    A running object store.

    :param proxy: in front of it.
    :param conn_id: the Airflow connection to it.
    :param environment: variables that define the connection; they are set while the server runs.
    """

    proxy: StorageProxy
    conn_id: str
    environment: Mapping[str, str]

    def faults(self, rule: Rule) -> contextlib.AbstractContextManager[None]:
        """Let a rule decide on each request, for a ``with`` block."""
        return self.proxy.faults(rule)

    @abstractmethod
    def create_bucket(self, name: str) -> str:
        """Create a bucket (3 to 63 characters) and give the URL of its root for ``ObjectStoragePath``."""

    @abstractmethod
    def keys(self, bucket: str) -> list[str]:
        """List the keys of a bucket, at most 1000."""

    @abstractmethod
    def unfinished_uploads(self, bucket: str) -> list[str]:
        """List the keys of uploads that were begun and neither finished nor given up."""

    @abstractmethod
    def refusal(self, status: int) -> Refusal:
        """An error as this store words it."""

    @abstractmethod
    def is_mid_upload(self, request: StorageRequest) -> bool:
        """Whether the request carries a later piece of a file that is uploaded in pieces."""


@dataclass(frozen=True, kw_only=True)
class S3Emulator(Emulator):
    """
    A running S3 server.

    :param endpoint_url: its base URL.
    """

    endpoint_url: str

    def client(self) -> Any:
        """Give a boto3 client, to prepare and to look without Airflow in between."""
        import boto3

        return boto3.client("s3", endpoint_url=self.endpoint_url, region_name=_REGION, **_CREDENTIALS)

    def create_bucket(self, name: str) -> str:
        self.client().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": _REGION})
        return f"s3://{self.conn_id}@{name}"

    def keys(self, bucket: str) -> list[str]:
        listing = self.client().list_objects_v2(Bucket=bucket)
        return [entry["Key"] for entry in listing.get("Contents", [])]

    def unfinished_uploads(self, bucket: str) -> list[str]:
        uploads = self.client().list_multipart_uploads(Bucket=bucket)
        return [upload["Key"] for upload in uploads.get("Uploads", [])]

    def refusal(self, status: int) -> Refusal:
        code = {403: "AccessDenied", 500: "InternalError", 503: "SlowDown"}[status]
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
        return Refusal(status=status, headers={"Content-Type": "application/xml"}, body=text.encode())

    def is_mid_upload(self, request: StorageRequest) -> bool:
        return request.method == "PUT" and request.query.get("partNumber") == "2"


@contextmanager
def run_s3_emulator(*, conn_id: str = "s3_emulator") -> Iterator[S3Emulator]:
    """Run moto's S3 server in a thread, with the Airflow connection ``conn_id`` to it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        with run_storage_proxy(port) as proxy:
            environment = _connection(
                conn_id,
                conn_type="aws",
                login=_CREDENTIALS["aws_access_key_id"],
                password=_CREDENTIALS["aws_secret_access_key"],
                extra={"endpoint_url": proxy.url, "region_name": _REGION},
            )
            with environment_variables(environment):
                yield S3Emulator(
                    endpoint_url=f"http://{host}:{port}", proxy=proxy, conn_id=conn_id, environment=environment
                )
    finally:
        server.stop()


@dataclass(frozen=True, kw_only=True)
class GCSEmulator(Emulator):
    """
    A running Google Cloud Storage server.

    :param endpoint_url: its base URL.
    """

    endpoint_url: str

    def create_bucket(self, name: str) -> str:
        requests.post(f"{self.endpoint_url}/storage/v1/b", json={"name": name}, timeout=10).raise_for_status()
        return f"gs://{self.conn_id}@{name}"

    def keys(self, bucket: str) -> list[str]:
        listing = requests.get(f"{self.endpoint_url}/storage/v1/b/{bucket}/o", timeout=10).json()
        return [entry["name"] for entry in listing.get("items", [])]

    def unfinished_uploads(self, bucket: str) -> list[str]:
        """Google shows none: a session that was given up or forgotten holds no object and expires in a week."""
        return []

    def refusal(self, status: int) -> Refusal:
        body = json.dumps({"error": {"code": status, "message": f"refused with {status}"}}).encode()
        return Refusal(status=status, headers={"Content-Type": "application/json"}, body=body)

    def is_mid_upload(self, request: StorageRequest) -> bool:
        is_first = request.headers.get("content-range", "").startswith("bytes 0-")
        return request.method in ("PUT", "POST") and "upload_id" in request.query and not is_first


@contextmanager
def run_gcs_emulator(*, conn_id: str = "gcs_emulator") -> Iterator[GCSEmulator]:
    """Run gcp-storage-emulator in a thread, with the Airflow connection ``conn_id`` to it."""
    from gcp_storage_emulator.server import create_server

    logging.getLogger("gcp_storage_emulator").setLevel(logging.ERROR)
    port = _free_port()
    server = create_server("127.0.0.1", port, in_memory=True)
    server.start()
    try:
        endpoint_url = f"http://127.0.0.1:{port}"
        with run_storage_proxy(port, built_in=_GooglePreconditions(endpoint_url)) as proxy:
            extra = {"is_anonymous": True, "project": "tests"}
            environment = {
                **_connection(conn_id, conn_type="google_cloud_platform", extra=extra),
                "STORAGE_EMULATOR_HOST": proxy.url,
                # Else gcsfs asks by gRPC for hierarchical buckets, which the emulator lacks: a minute each time.
                "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
            }
            with environment_variables(environment):
                yield GCSEmulator(endpoint_url=endpoint_url, proxy=proxy, conn_id=conn_id, environment=environment)
    finally:
        server.stop()


class _GooglePreconditions:
    """
    What Google documents and the emulator lacks: ``ifGenerationMatch=0`` creates only what does not exist (the proxy
    passes such requests on one at a time), and DELETE on an upload session gives it up with status 499.
    """

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint_url = endpoint_url

    def __call__(self, request: StorageRequest) -> Refusal | None:
        if request.method == "DELETE" and "upload_id" in request.query:
            return Refusal(status=499)
        if request.query.get("ifGenerationMatch") == "0" and self._exists(request):
            return Refusal(status=412)
        return None

    def _exists(self, request: StorageRequest) -> bool:
        name = json.loads(request.body.split(b"\n\n", 1)[1].split(b"\n--", 1)[0])["name"]
        bucket = request.path.split("/b/", 1)[1].split("/", 1)[0]
        url = f"{self._endpoint_url}/storage/v1/b/{bucket}/o/{quote(name, safe='')}"
        return requests.get(url, timeout=10).status_code == 200


@dataclass(frozen=True, kw_only=True)
class AzureEmulator(Emulator):
    """
    A running Azure Blob server.

    :param connection_string: for Azure's own client, around the proxy.
    """

    connection_string: str

    def create_bucket(self, name: str) -> str:
        """Create a container."""
        self._client().create_container(name)
        return f"abfs://{self.conn_id}@{name}"

    def keys(self, bucket: str) -> list[str]:
        return [blob.name for blob in self._client().get_container_client(bucket).list_blobs()]

    def unfinished_uploads(self, bucket: str) -> list[str]:
        """
        Blobs with uncommitted blocks and no content. Azure has no call that gives them up; they are invisible to
        readers and go after a week.
        """
        blobs = self._client().get_container_client(bucket).list_blobs(include=["uncommittedblobs"])
        return sorted({blob.name for blob in blobs} - set(self.keys(bucket)))

    def refusal(self, status: int) -> Refusal:
        code = {403: "AuthorizationFailure", 500: "InternalError", 503: "ServerBusy"}[status]
        return Refusal(status=status, headers={"x-ms-error-code": code})

    def is_mid_upload(self, request: StorageRequest) -> bool:
        """The list of blocks comes last, after all blocks."""
        return request.method == "PUT" and request.query.get("comp") == "blocklist"

    def _client(self) -> Any:
        from azure.storage.blob import BlobServiceClient

        return BlobServiceClient.from_connection_string(self.connection_string)


@contextmanager
def run_azure_emulator(*, conn_id: str = "azure_emulator") -> Iterator[AzureEmulator]:
    """Run azurite, with the Airflow connection ``conn_id`` to it."""
    logging.getLogger("azure").setLevel(logging.WARNING)  # its client logs each request at INFO
    port = _free_port()
    key = base64.b64encode(secrets.token_bytes(64)).decode()

    def connection_string(port: int) -> str:
        endpoint = f"BlobEndpoint=http://127.0.0.1:{port}/tests"
        return f"DefaultEndpointsProtocol=http;AccountName=tests;AccountKey={key};{endpoint};"

    with _azurite(port, key), run_storage_proxy(port) as proxy:
        environment = _connection(conn_id, conn_type="wasb", extra={"connection_string": connection_string(proxy.port)})
        with environment_variables(environment):
            yield AzureEmulator(
                connection_string=connection_string(port), proxy=proxy, conn_id=conn_id, environment=environment
            )


@contextmanager
def _azurite(port: int, key: str) -> Iterator[None]:
    options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    process = subprocess.Popen(
        [str(AZURITE), "--blobHost", PROXY_HOST, "--blobPort", str(port), *options],
        env={**os.environ, "AZURITE_ACCOUNTS": f"tests:{key}"},
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for_port(port)
        yield
    finally:
        process.terminate()
        process.wait()


@tenacity.retry(stop=tenacity.stop_after_delay(60), wait=tenacity.wait_fixed(0.1), reraise=True)
def _wait_for_port(port: int) -> None:
    socket.create_connection((PROXY_HOST, port), timeout=1).close()


def _free_port() -> int:
    with socket.create_server((PROXY_HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def _connection(conn_id: str, **connection: Any) -> dict[str, str]:
    return {f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(connection)}
