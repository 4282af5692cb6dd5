"""When Airflow tries a failed task again (Airflow 3.3+)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_awork.client.http.rate_limit import LONGEST_WAIT_SECONDS
from airflow_provider_awork.exceptions import AworkDestinationBusyError, AworkRateLimitError, AworkServerError
from airflow_provider_awork.version_compat import AirflowFailException, RetryDecision, RetryPolicy

if TYPE_CHECKING:
    from airflow.sdk import Context

UNKNOWN_WAIT = timedelta(minutes=1)
BUSY_WAIT = timedelta(minutes=5)


class AworkRetryPolicy(RetryPolicy):
    """
    Decides by the error; all operators and sensors of this package have it by default on Airflow 3.3 and later.

    ======================================  =========================================================================
    error                                   decision
    ======================================  =========================================================================
    ``AworkRateLimitError``                 another try when awork accepts requests again, within five minutes
    ``AworkServerError``                    another try when awork says (``Retry-After``), within five minutes
    ``AworkDestinationBusyError``           another try in five minutes
    permanent errors                        none; Airflow fails the task without asking any policy
    anything else                           as the task's ``retry_delay`` says
    ======================================  =========================================================================

    The number of tries stays that of ``retries``: a policy cannot add any.

    .. code-block:: python

        patient = AworkTimeEntriesOperator(task_id="patient", retries=5)
        plain = AworkTimeEntriesOperator(task_id="plain", retries=5, retry_policy=None)
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """
        Decide whether and when the task is tried again.

        :param exception: what failed the task.
        :param try_number: number of the failed try, from 1.
        :param max_tries: how many tries there are.
        :param context: Airflow's context; not needed here.
        """
        if isinstance(exception, AirflowFailException):
            # Airflow asks no policy about these, but a policy of the user's that wraps this one may.
            return RetryDecision.fail(f"{type(exception).__name__}: permanent, another try cannot help")
        if isinstance(exception, AworkRateLimitError):
            wait = _bounded(exception.retry_after)
            return RetryDecision.retry(wait, f"awork's rate limit is used up; it accepts requests again in {wait}")
        if isinstance(exception, AworkServerError) and exception.retry_after is not None:
            wait = _bounded(exception.retry_after)
            return RetryDecision.retry(wait, f"awork answered {exception.status} and asks to wait {wait}")
        if isinstance(exception, AworkDestinationBusyError):
            return RetryDecision.retry(BUSY_WAIT, "another run is writing to the destination")
        return RetryDecision.default()


def _bounded(seconds: float | None) -> timedelta:
    """Bound the wait that awork asked for: at least a second, since awork may round down to whole seconds."""
    if seconds is None:
        return UNKNOWN_WAIT
    return timedelta(seconds=min(max(seconds, 1.0), LONGEST_WAIT_SECONDS))
