"""When Airflow tries a failed task again (Airflow 3.3+)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_awork.exceptions import AworkDestinationBusyError, AworkRateLimitError
from airflow_provider_awork.version_compat import AirflowFailException, RetryDecision, RetryPolicy

if TYPE_CHECKING:
    from airflow.sdk import Context

UNKNOWN_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
BUSY_WAIT = timedelta(minutes=5)


class AworkRetryPolicy(RetryPolicy):
    """
    Decides by the error; all operators and sensors of this package have it by default on Airflow 3.3 and later.

    ======================================  =========================================================================
    error                                   decision
    ======================================  =========================================================================
    ``AworkRateLimitError``                 another try when awork said that requests are welcome again, within an hour
    ``AworkDestinationBusyError``           another try in five minutes
    errors that another try cannot mend     none; Airflow fails the task at once without asking any policy
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
        Decide.

        :param exception: what failed the task.
        :param try_number: number of the failed try, from 1.
        :param max_tries: how many tries there are.
        :param context: Airflow's context; not needed here.
        """
        if isinstance(exception, AirflowFailException):
            # Airflow does not ask for these; a policy of one's own that asks this one may.
            return RetryDecision.fail(f"{type(exception).__name__}: another try cannot mend it")
        if isinstance(exception, AworkRateLimitError):
            wait = _bounded(exception.retry_after)
            return RetryDecision.retry(wait, f"awork's rate limit is used up; requests are welcome again in {wait}")
        if isinstance(exception, AworkDestinationBusyError):
            return RetryDecision.retry(BUSY_WAIT, "another run is writing to the destination")
        return RetryDecision.default()


def _bounded(seconds: float | None) -> timedelta:
    """What the server said, within sense; at least a second, as whole seconds may be rounded down."""
    if seconds is None:
        return UNKNOWN_WAIT
    return timedelta(seconds=min(max(seconds, 1.0), LONGEST_WAIT.total_seconds()))
