"""The link from a task instance to awork."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

APP_URL = "https://app.awork.com"


class AworkLink(BaseOperatorLink):
    """
    Leads to the workspace that a task talked to.

    That is the URL which awork gives for it (``workspace.url`` of ``/me``) if the task asked who it is, else awork's
    app. There are no links to single entries or projects: awork documents no URLs for them.
    """

    name = "awork"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        Give the URL. Airflow asks on the worker when a task ends, however it ends, and stores the answer.

        :param operator: the operator; on the worker, the one that ran.
        :param ti_key: key of the task instance.
        """
        return _learnt_url(operator) or self._stored_url(ti_key) or APP_URL

    def _stored_url(self, ti_key: TaskInstanceKey) -> Any:
        from airflow.sdk.execution_time.xcom import XCom  # resolves the configured XCom backend

        return XCom.get_value(ti_key=ti_key, key=self.xcom_key)


def _learnt_url(operator: BaseOperator) -> str | None:
    """The workspace's URL, if the operator's hook knows it already: nothing is asked for a link."""
    hook = vars(operator).get("hook")
    identity = hook and vars(hook).get("identity")
    url = identity and identity.workspace_url
    return url if url and url.startswith("https://") else None
