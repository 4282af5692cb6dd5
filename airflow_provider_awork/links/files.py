"""The link from a task instance to the files that it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, ObjectStoragePath
    from airflow.sdk.types import TaskInstanceKey


class FilesLink(BaseOperatorLink):
    """
    Leads to the destination of an export.

    That is the folder in the console of Amazon S3 or Google Cloud Storage, elsewhere the URI of the destination. A
    store that only speaks the protocol of S3 has another console: the link then leads nowhere.
    """

    name = "Files"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        Give the URL. Airflow asks on the worker when a task ends, however it ends, and stores the answer.

        :param operator: the operator that ran.
        :param ti_key: key of the task instance.
        :return: empty if the task ended before its destination was known.
        """
        located: ObjectStoragePath | None = vars(operator).get("located")
        return files_url(located) if located is not None else ""


def files_url(destination: ObjectStoragePath) -> str:
    """
    Return where a person can look at a destination.

    >>> from airflow.sdk import ObjectStoragePath
    >>> files_url(ObjectStoragePath("file:///data/awork"))
    'file:///data/awork'
    """
    bucket, _, key = destination.path.strip("/").partition("/")
    prefix = quote(f"{key}/" if key else "")
    if destination.protocol in ("s3", "s3a"):
        return f"https://s3.console.aws.amazon.com/s3/buckets/{bucket}?prefix={prefix}"
    if destination.protocol in ("gs", "gcs"):
        return f"https://console.cloud.google.com/storage/browser/{bucket}/{prefix}"
    return f"{destination.protocol}://{destination.path}"
