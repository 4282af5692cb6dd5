"""When a failed read is sent again."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_awork.client.http.rate_limit import LONGEST_WAIT_SECONDS

OUTAGE_MINUTES = 5.0
MOST_DOUBLINGS = 60  # keeps the power of two a number


@dataclass(frozen=True, kw_only=True)
class RetryRules:
    """
    How long a read is tried again, and how long it waits in between.

    :param outage_seconds: how long after its first failure a request is tried again, if it fails with 5xx, a time-out,
        a cut connection or an unreadable body.
    :param tries: at most so many tries within that time; None for no such limit.
    :param first_wait: seconds before the second try; doubles with each try, with jitter.
    :param longest_wait: the longest of these waits, in seconds, unless awork asks for a longer one.
    :param rate_limit_tries: tries of one request that is answered with 429; the server sets these waits.
    :param longest_asked: the longest wait, in seconds, that an answer may ask for with ``Retry-After``.
    :param answer_factor: a whole answer, header lines and body, may take this many times the read time-out.
    """

    outage_seconds: float = OUTAGE_MINUTES * 60
    tries: int | None = None
    first_wait: float = 0.5
    longest_wait: float = 30.0
    rate_limit_tries: int = 10
    longest_asked: float = LONGEST_WAIT_SECONDS
    answer_factor: float = 5.0

    @classmethod
    def single_try(cls) -> RetryRules:
        """For pollers: try once and let the caller handle the error."""
        return cls(tries=1, rate_limit_tries=1)

    @classmethod
    def impatient(cls) -> RetryRules:
        """For a person who waits for the outcome: two tries, and no waits that awork asks for."""
        return cls(tries=2, first_wait=0.2, longest_wait=0.2, rate_limit_tries=1, longest_asked=1.0, answer_factor=1.0)

    def wait_after(
        self, failures: int, *, outage: float, asked: float | None = None, jitter: float = 0.0
    ) -> float | None:
        """
        Return the seconds until the next try, the last of which ends the allowed outage; None to give up.

        :param failures: how many tries failed, at least 1.
        :param outage: seconds since the first of them.
        :param asked: seconds that the last answer asks to wait.
        :param jitter: from 0 to 1.
        """
        if outage >= self.outage_seconds or (self.tries is not None and failures >= self.tries):
            return None
        backoff = self.first_wait * 2.0 ** min(failures - 1, MOST_DOUBLINGS)
        wait = min(backoff, self.longest_wait) + jitter * self.first_wait
        return max(min(wait, self.outage_seconds - outage), min(asked or 0.0, self.longest_asked))
