"""
What can go wrong, as classes.

``AworkError`` is the root. An error that another try of the task cannot mend is also an ``AirflowFailException``,
so that Airflow fails the task at once, wherever the error is raised: in an operator of this package or in a
``@task`` function that uses the hook.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from airflow_provider_awork.version_compat import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowOptionalProviderFeatureException,
)

SHOWN_IDS = 5


class AworkError(AirflowException):
    """Root of all errors of this package."""


class AworkConfigError(AworkError, AirflowFailException, ValueError):
    """A connection or a parameter has a value that cannot work; the message names the field and the way out."""


def is_missing_connection(error: BaseException) -> bool:
    """Whether Airflow says that it has no such connection."""
    return isinstance(error, AirflowNotFoundException)


class AworkMissingExtraError(AworkError, AirflowFailException, AirflowOptionalProviderFeatureException):
    """An optional dependency is not installed; the message has the ``pip install`` line to run."""


class AworkStoppedError(AworkError):
    """The task is being stopped: it was marked or cleared, or its worker ends."""


class AworkTransportError(AworkError):
    """No whole answer came: connection, time-out, cut or unreadable body, after all tries."""


class AworkPagingError(AworkError):
    """Pages do not fit together in a way that could lose an entry, so the run stops instead."""


class AworkAssumptionError(AworkPagingError, AirflowFailException):
    """awork does not behave as the paging needs; the message names the assumption and the connection extra."""


class AworkPublishError(AworkError):
    """Files could not be published; the destination holds what it held before, if the message does not say else."""


class AworkDestinationError(AworkPublishError, AirflowFailException):
    """The destination cannot be written at all (no such bucket, no rights), so another try is pointless."""


class AworkDestinationBusyError(AworkPublishError):
    """Another run is writing to the same destination; the message names it."""


class AworkEmptyError(AworkError, AirflowFailException):
    """Nothing matched although ``fail_if_empty`` was asked for."""


class AworkPollError(AworkError):
    """A trigger could not ask awork, again and again; another try of the task may."""


class AworkPollRefusedError(AworkPollError, AirflowFailException):
    """A trigger asked what awork refuses, such as a bad filter or key, so another try of the task is pointless."""


class AworkTooLargeError(AworkError, AirflowFailException):
    """More entries than an XCom should carry; the message names the transfer operator."""


class BatchOutcome(Protocol):
    """What became of each time entry of a batch; the client's ``BatchResult`` and the operator's ``BatchReport``."""

    def failures(self) -> Mapping[str, Sequence[str]]:
        """The ids that are not as asked, by kind, without empty kinds."""


class AworkBatchError(AworkError, AirflowFailException):
    """
    Some time entries of a batch are not as asked; the message has counts and the first ids of each kind.

    :param description: what was asked for, and how far it came.
    :param failures: the ids that are not as asked, by kind.
    :param result: what became of all of them.
    """

    def __init__(self, description: str, *, failures: Mapping[str, Sequence[str]], result: BatchOutcome) -> None:
        self.failures = {kind: tuple(ids) for kind, ids in failures.items()}
        self.result = result
        kinds = (f"{kind}: {len(ids)} ({_first(ids)})" for kind, ids in self.failures.items())
        super().__init__("; ".join([description, *kinds]))


def _first(ids: Sequence[str]) -> str:
    return ", ".join(ids[:SHOWN_IDS]) + (", ..." if len(ids) > SHOWN_IDS else "")


class AworkApiError(AworkError):
    """
    An error that awork answered with. Source: https://developers.awork.com/error-handling

    :param status: HTTP status code.
    :param code: awork's error code such as ``not-found``; None if the body carried none.
    :param description: awork's description; for a body that is not awork's error object, what is known of it.
    :param method: HTTP method of the request.
    :param path: path of the request below the base URL.
    :param link: awork's link to its documentation of the code.
    :param details: further sentences.
    :param validation_errors: pairs of ``property`` and ``message``.
    :param trace_id: awork's trace id; awork's support asks for it.
    """

    def __init__(
        self,
        *,
        status: int,
        code: str | None,
        description: str,
        method: str,
        path: str,
        link: str | None = None,
        details: Sequence[str] = (),
        validation_errors: Sequence[Mapping[str, str]] = (),
        trace_id: str | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.description = description
        self.method = method
        self.path = path
        self.link = link
        self.details = tuple(details)
        self.validation_errors = tuple(dict(error) for error in validation_errors)
        self.trace_id = trace_id
        super().__init__(self._message())

    def _message(self) -> str:
        parts = [f"awork answered {self.status} {self.code or 'without a code'} to {self.method} {self.path}"]
        parts.append(f": {self.description}")
        parts += [f"; {detail}" for detail in self.details]
        parts += [f"; {e.get('property')}: {e.get('message')}" for e in self.validation_errors]
        if self.trace_id:
            parts.append(f" (trace id {self.trace_id})")
        return "".join(parts)


class AworkServerError(AworkApiError):
    """5xx, or a conflict that awork asks to repeat (``concurrency-violation``, ``database-commit``)."""


class AworkRateLimitError(AworkApiError):
    """
    429 still after the waits that the client is allowed.

    :param retry_after: seconds after which awork said that requests are welcome again; None where it did not say.
    """

    def __init__(self, *, retry_after: float | None = None, **answer: Any) -> None:
        super().__init__(**answer)
        self.retry_after = retry_after


class AworkTokenError(AworkError, AirflowFailException):
    """OAuth tokens cannot be refreshed; the message says what a person has to do."""


class AworkTokenLostError(AworkTokenError):
    """An exchange of tokens has no known end: the refresh token may be void, and no new one is stored."""


class AworkRequestError(AworkApiError, AirflowFailException):
    """A 4xx answer: the request itself is wrong, so the task fails at once."""


class AworkAuthenticationError(AworkRequestError):
    """401: the key is missing, wrong, expired, or belongs to no workspace."""


class AworkPermissionError(AworkRequestError):
    """401 with code ``unauthorized``, or 403: the key is known but may not do this."""


class AworkNotFoundError(AworkRequestError):
    """404: no such resource, or not for this key."""


class AworkFilterError(AworkRequestError):
    """``invalid-filter-or-order``: awork does not understand ``filterby`` or ``orderby``."""


class AworkValidationError(AworkRequestError):
    """A field breaks awork's rules."""
