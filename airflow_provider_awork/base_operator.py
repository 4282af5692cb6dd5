"""What all operators and sensors of this package share: the hook, the link to awork, the retry policy."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.links.awork import APP_URL, AworkLink
from airflow_provider_awork.retry_policy import AworkRetryPolicy
from airflow_provider_awork.version_compat import HAS_RETRY_POLICIES

if TYPE_CHECKING:
    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_awork.version_compat import RetryPolicy

LINK = AworkLink()


class AworkBaseOperator(BaseOperator):
    """
    Base of all operators; a sensor puts it before ``BaseSensorOperator``.

    A subclass takes ``awork_conn_id`` itself, so that its signature tells what it needs.

    :param retry_policy: (Airflow 3.3+) decides about another try of a failed task; None leaves it to ``retry_delay``.
    """

    operator_extra_links: Collection[BaseOperatorLink] = (LINK,)
    awork_conn_id: str

    if HAS_RETRY_POLICIES:
        # The default stands in the signature: there default_args take precedence over it, and partial() finds it.
        def __init__(self, *, retry_policy: RetryPolicy | None = AworkRetryPolicy(), **kwargs: Any) -> None:  # noqa: B008 - no state
            super().__init__(retry_policy=retry_policy, **kwargs)

    @cached_property
    def hook(self) -> AworkHook:
        """The hook of the task's connection, made at first use."""
        return AworkHook(self.awork_conn_id)

    def pre_execute(self, context: Context) -> None:
        """Link to awork before anything can fail; when the task ends, Airflow asks :class:`AworkLink` again."""
        super().pre_execute(context)
        context["ti"].xcom_push(key=LINK.xcom_key, value=APP_URL)
