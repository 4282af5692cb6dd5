"""Where the token pair of a connection lies: one JSON value in an Airflow Variable, whose name Airflow masks."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

import tenacity
from airflow.sdk import Variable
from airflow.sdk.log import mask_secret

from airflow_provider_awork.exceptions import AworkConfigError, AworkError

if TYPE_CHECKING:
    from airflow_provider_awork.client.http.oauth import TokenPair

log = logging.getLogger(__name__)

FIRST_WAIT = 2.0  # seconds; doubles from try to try
DESCRIPTION = "awork's OAuth tokens; AworkRefreshTokenOperator is the only one to write them"


class TokenStore:
    """
    Reads and writes a pair. Whatever is read or written is masked in logs from then on.

    :param variable: key of the Airflow Variable.
    """

    def __init__(self, variable: str) -> None:
        self.variable = variable

    def read(self) -> TokenPair:
        """
        Read the pair.

        :raises AworkConfigError: there is no such Variable, or it holds something else.
        """
        from airflow_provider_awork.client.http.oauth import parse_pair  # loads requests

        text = Variable.get(self.variable, default=None)
        if text is None:
            raise AworkConfigError(
                f"extra 'oauth_variable': there is no Variable {self.variable!r}\n"
                "Store awork's answer for an authorisation in it; see OAuth in the README of airflow-provider-awork."
            )
        try:
            pair = parse_pair(str(text))
        except AworkConfigError as error:
            raise AworkConfigError(f"Variable {self.variable!r}: {error}") from None
        mask_secrets(pair.secrets())
        return pair

    def write(self, pair: TokenPair) -> None:
        """
        Write the pair in one go, and read it back.

        :raises AworkConfigError: something else is read back.
        """
        mask_secrets(pair.secrets())
        Variable.set(self.variable, pair.to_json(), description=DESCRIPTION)
        if self.read() != pair:
            raise AworkConfigError(
                f"Variable {self.variable!r} does not read back as written: it is also defined in the environment "
                f"(AIRFLOW_VAR_{self.variable.upper()}) or in a secrets backend, where Airflow looks first, or "
                "somebody else writes it. Leave it only in Airflow's own database, with one writer"
            )

    def write_patiently(self, pair: TokenPair) -> None:
        """
        Write a pair that exists nowhere else: for about a minute, whatever goes wrong.

        :raises AworkError: it could not be stored.
        """
        attempts = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(6),
            wait=tenacity.wait_exponential(multiplier=FIRST_WAIT),
            before_sleep=tenacity.before_sleep_log(log, logging.WARNING),
        )
        try:
            attempts(self.write, pair)
        except tenacity.RetryError as error:
            cause = error.last_attempt.exception()
            raise AworkError(f"Variable {self.variable!r} could not be written: {cause}") from cause


def mask_secrets(secrets: Iterable[str]) -> None:
    """Let Airflow mask each secret in logs and templates from now on."""
    for secret in secrets:
        mask_secret(secret)
