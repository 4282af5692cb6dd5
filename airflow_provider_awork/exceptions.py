"""
The errors of this package.

Errors marked with * are permanent: another try cannot help. They are ``AirflowFailException`` as well, so Airflow fails
the task without retries, whether an operator of this package raises them or a ``@task`` function that uses the hook.
All others are retried as the task's ``retries`` say.

::

    AworkError
     +-- AworkConfigError *               a connection or a parameter has a value that cannot work
     +-- AworkMissingExtraError *         an optional dependency is not installed
     +-- AworkStoppedError                the task is being stopped
     +-- AworkTransportError              no complete answer came, after all tries
     +-- AworkApiError                    awork answered with an error
     |    +-- AworkServerError            408, 409, 425 or 5xx: true only now
     |    +-- AworkKeyReplacedError       401, and the connection has another key by now
     |    +-- AworkRateLimitError         429, after the waits that the client is allowed
     |    +-- AworkRequestError *         4xx: the request itself is wrong
     |         +-- AworkAuthenticationError *  401: the key is not valid
     |         +-- AworkPermissionError *      401 or 403: the key may not do this
     |         +-- AworkNotFoundError *        404
     |         +-- AworkFilterError *          filterby or orderby is not understood
     |         +-- AworkValidationError *      a field breaks awork's rules
     +-- AworkTokenError *                OAuth tokens cannot be refreshed
     |    +-- AworkTokenLostError *       the refresh token may be void, and no new one is stored
     +-- AworkPagingError                 pages do not fit together
     |    +-- AworkAssumptionError *      awork does not behave as the paging needs
     +-- AworkPublishError                files could not be published
     |    +-- AworkDestinationError *     the destination cannot be written at all
     |    +-- AworkDestinationBusyError   another run is writing to the destination
     |    +-- AworkShrunkSetError *       a set would lose too many of its rows
     +-- AworkMisfitError *               a duration or a billing flag does not fit its column
     +-- AworkEmptyError *                nothing matches, and fail_if_empty is set
     +-- AworkTooLargeError *             more entries than an XCom should carry
     +-- AworkBatchError *                entries of a batch are not as asked
     +-- AworkPollError                   a trigger could not ask awork, again and again
          +-- AworkPollRefusedError *     awork refuses what a trigger asks
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
FIRST_LINE_WIDTH = 80  # Airflow's log view cuts there


class AworkError(AirflowException):
    """Root of all errors of this package."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the attributes as they are: the constructors take other arguments than the message."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(error_class: type[AworkError], args: tuple[Any, ...], attributes: dict[str, Any]) -> AworkError:
    error = error_class.__new__(error_class, *args)
    error.__dict__.update(attributes)
    return error


class AworkConfigError(AworkError, AirflowFailException, ValueError):
    """A connection or a parameter has a value that cannot work; the message names it and the way out."""


def is_missing_connection(error: BaseException) -> bool:
    """Whether Airflow reports that it has no such connection."""
    return isinstance(error, AirflowNotFoundException)


class AworkMissingExtraError(AworkError, AirflowFailException, AirflowOptionalProviderFeatureException):
    """An optional dependency is not installed; the message has the ``pip install`` line to run."""


class AworkStoppedError(AworkError):
    """The task is being stopped: it was marked or cleared, or its worker ends."""


class AworkTransportError(AworkError):
    """No complete answer came, after all tries: no connection, a time-out, a cut or unreadable body."""


class AworkPagingError(AworkError):
    """Pages do not fit together, so going on could lose an entry."""


class AworkAssumptionError(AworkPagingError, AirflowFailException):
    """awork does not behave as the paging needs; the message names the assumption and the connection extra."""


class AworkPublishError(AworkError):
    """Files could not be published; the destination is unchanged unless the message says otherwise."""


class AworkDestinationError(AworkPublishError, AirflowFailException):
    """The destination cannot be written at all: no such bucket, or no permission."""


class AworkDestinationBusyError(AworkPublishError):
    """Another run is writing to the same destination; the message names it."""


class AworkShrunkSetError(AworkPublishError, AirflowFailException):
    """A set would lose more of its rows than ``max_shrink`` allows; the former set is unchanged."""


class AworkMisfitError(AworkError, AirflowFailException):
    """Fields that money rests on have values that their columns cannot hold, and ``allow_misfits`` is not set."""


class AworkEmptyError(AworkError, AirflowFailException):
    """Nothing matches, and ``fail_if_empty`` is set."""


class AworkPollError(AworkError):
    """A trigger could not ask awork, again and again; another try of the task may succeed."""


class AworkPollRefusedError(AworkPollError, AirflowFailException):
    """awork refuses what a trigger asks, for example because of a wrong filter or key."""


class AworkTooLargeError(AworkError, AirflowFailException):
    """More entries than an XCom should carry; the message names the transfer operator."""


class BatchOutcome(Protocol):
    """The outcome for each time entry of a batch: the client's ``BatchResult``, the operator's ``BatchReport``."""

    def failures(self) -> Mapping[str, Sequence[str]]:
        """Ids that are not as asked, by kind, without empty kinds."""


class AworkBatchError(AworkError, AirflowFailException):
    """
    Some time entries of a batch are not as asked; the message has counts and the first ids of each kind.

    :param description: the operation, and how far it came.
    :param failures: ids that are not as asked, by kind.
    :param result: the outcome for all entries.
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
    :param description: awork's description, or a description of a body that is not awork's error object.
    :param method: HTTP method of the request.
    :param path: path of the request below the base URL.
    :param link: awork's link to its documentation of the code.
    :param details: further sentences.
    :param validation_errors: pairs of ``property`` and ``message``.
    :param trace_id: awork's trace id; awork's support asks for it.
    :param retry_after: seconds until awork accepts requests again; None if it did not say.
    :param summary: first line of the message, if awork's own words are not the best cause.
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
        retry_after: float | None = None,
        summary: str | None = None,
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
        self.retry_after = retry_after
        super().__init__(self._message(summary))

    def _message(self, summary: str | None) -> str:
        """The cause in one line, then what awork says, its answer, the request and the trace id, each on its own."""
        answered = f"awork answered {self.status} {self.code or 'without a code'}"
        fields = [f"{each.get('property')}: {each.get('message')}" for each in self.validation_errors]
        said = [self.description, *self.details, *fields, answered]
        choices = [summary or "", *fields[:1], f"{answered}: {self.description}"]
        cause = summary or next((each for each in choices if each and len(each) <= FIRST_LINE_WIDTH), answered)
        lines = [cause, *(each for each in said if each and each not in cause), f"Request: {self.method} {self.path}"]
        if self.trace_id:
            lines.append(f"Trace id: {self.trace_id}")
        return "\n".join(lines)


class AworkServerError(AworkApiError):
    """408, 409, 425, 5xx, or a code that awork asks to repeat: ``concurrency-violation``, ``database-commit``."""


class AworkKeyReplacedError(AworkApiError):
    """401, and the connection has another key than the one in use: another try of the task uses it."""


class AworkRateLimitError(AworkApiError):
    """429, after the waits that the client is allowed."""


class AworkTokenError(AworkError, AirflowFailException):
    """OAuth tokens cannot be refreshed; the message has the steps for a person."""


class AworkTokenLostError(AworkTokenError):
    """The outcome of a token exchange is unknown: the refresh token may be void, and no new one is stored."""


class AworkRequestError(AworkApiError, AirflowFailException):
    """A 4xx answer: the request itself is wrong."""


class AworkAuthenticationError(AworkRequestError):
    """401: the key is missing, wrong, expired, or belongs to no workspace."""


class AworkPermissionError(AworkRequestError):
    """401 with code ``unauthorized``, or 403: the key is valid but may not do this."""


class AworkNotFoundError(AworkRequestError):
    """404: no such resource, or this key may not see it."""


class AworkFilterError(AworkRequestError):
    """``invalid-filter-or-order``: awork does not understand ``filterby`` or ``orderby``."""


class AworkValidationError(AworkRequestError):
    """A field breaks awork's rules."""
