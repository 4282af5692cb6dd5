"""The operator that keeps OAuth tokens fresh."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_awork.exceptions import (
    AworkConfigError,
    AworkError,
    AworkRateLimitError,
    AworkTokenError,
    AworkTokenLostError,
    AworkTransportError,
)
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.operators.base import AworkBaseOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_awork.client.http.oauth import OAuthClient, TokenPair
    from airflow_provider_awork.hooks.token_store import TokenStore

NEXT_STEPS = (
    "Let the person authorise again and store awork's answer in Variable {variable!r} (see OAuth in the README of "
    "airflow-provider-awork). {rest}"
)


class AworkRefreshTokenOperator(AworkBaseOperator):
    """
    Exchange the refresh token of a connection for a new pair of tokens, and store it in an Airflow Variable.

    awork's refresh token is void once used, so this must be its only user: one task in a DAG of its own, every 12
    hours (an access token lives for 24), ``max_active_runs=1``. All other tasks only read the access token. API keys
    need none of this.

    The connection has the client's id as ``login``, its secret as ``password`` (none for a public client), and the
    name of the Variable as extra ``oauth_variable``. Before the exchange the operator notes in the Variable that it
    is under way, which also proves that it can be written. A run that finds such a note fails: the other exchange is
    still running, or it was cut off and the refresh token may be void.

    Source: https://developers.awork.com/authentication

    :param min_age: a pair younger than this is kept, so a DAG that is triggered twice does no harm.
    :param force: exchange a young pair as well, and one whose last exchange was cut off. True, False, or the text that
        a template renders to. (templated)
    :param awork_conn_id: Airflow connection of type ``awork`` with the extra ``oauth_variable``. (templated)
    :return: ``refreshed`` (whether there is a new pair), ``expires_at`` (of the access token, ISO text) and
        ``variable``; no token.
    :raises AworkConfigError: the connection or the Variable has a value that cannot work; nothing was exchanged.
    :raises AworkTokenError: awork refuses the exchange, or an earlier one was cut off. The message says what to do.
    :raises AworkTokenLostError: no usable answer came, or the new pair could not be stored.
    :raises AworkTransportError: awork was not reached; nothing is lost, and another try is safe.

    .. code-block:: python

        refresh = AworkRefreshTokenOperator(task_id="refresh", awork_conn_id="awork_person")
    """

    template_fields: Sequence[str] = ("force", "awork_conn_id")

    def __init__(
        self,
        *,
        min_age: timedelta = timedelta(hours=1),
        force: bool | str = False,
        awork_conn_id: str = AworkHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("max_active_tis_per_dag", 1)
        super().__init__(**kwargs)
        self.min_age = min_age
        self.force = force
        self.awork_conn_id = awork_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        forced = _flag(self.force)
        client, store = self.hook.oauth_client()
        pair = store.read()
        if not forced:
            self._refuse_cut_off(store, pair)
            if self._is_young(pair):
                return _summary(store, pair, refreshed=False)
        new = self._exchange(client, store, pair, context["ti"].dag_id)
        self._store(store, new)
        self.log.info("Variable %r has a new token pair; its access token ends at %s", store.variable, new.expires_at)
        return _summary(store, new, refreshed=True)

    def _refuse_cut_off(self, store: TokenStore, pair: TokenPair) -> None:
        if pair.refreshing_since:
            raise AworkTokenError(
                f"Connection {self.awork_conn_id!r}: an exchange of the refresh token began at "
                f"{pair.refreshing_since.isoformat(timespec='seconds')} and is not finished: it goes on in another "
                "run, or was cut off. Then awork may have voided the refresh token. "
                + _next_steps(
                    store, pair, "If awork cannot have got the request, run this once with force=True instead."
                )
            )

    def _is_young(self, pair: TokenPair) -> bool:
        age = datetime.now(UTC) - pair.refreshed_at if pair.refreshed_at else None
        if age is None or age >= self.min_age:
            return False
        self.log.info(
            "The pair is %s old, less than min_age=%s: it stays (force=True to exchange it)", age, self.min_age
        )
        return True

    def _exchange(self, client: OAuthClient, store: TokenStore, pair: TokenPair, dag_id: str) -> TokenPair:
        unmarked = msgspec.structs.replace(pair, refreshing_since=None)
        marked = msgspec.structs.replace(pair, refreshing_since=datetime.now(UTC))
        store.write(marked)
        try:
            new = client.refresh(pair)
        except (AworkTransportError, AworkRateLimitError):
            self._remove_note(store, marked, unmarked)
            raise
        except AworkTokenLostError as error:
            raise AworkTokenLostError(
                f"Connection {self.awork_conn_id!r}: {error}. awork may have voided the refresh token, so it is not "
                f"sent again. {_next_steps(store, pair)}"
            ) from None
        except AworkTokenError as error:
            self._remove_note(store, marked, unmarked)
            raise AworkTokenError(
                f"Connection {self.awork_conn_id!r}: {error}. If client id (login) and secret (password) are right, "
                f"the refresh token is void or older than 30 days. {_next_steps(store, pair)}"
            ) from None
        except AworkError:
            self._remove_note(store, marked, unmarked)
            raise
        return msgspec.structs.replace(new, refreshed_by=dag_id)

    def _remove_note(self, store: TokenStore, marked: TokenPair, unmarked: TokenPair) -> None:
        """Remove the note, unless somebody stored another pair in the meantime."""
        if store.read() == marked:
            store.write(unmarked)

    def _store(self, store: TokenStore, new: TokenPair) -> None:
        try:
            store.write_patiently(new)
        except AworkError as error:
            raise AworkTokenLostError(
                f"Connection {self.awork_conn_id!r}: awork issued a new token pair, but {error}. The old refresh token "
                f"is void. {_next_steps(store, None)}"
            ) from error


def _next_steps(store: TokenStore, pair: TokenPair | None, rest: str = "") -> str:
    ends = pair and pair.expires_at
    still = f"Until {ends:%Y-%m-%d %H:%M} UTC the access token works. " if ends else ""
    return NEXT_STEPS.format(variable=store.variable, rest=still + rest).strip()


def _summary(store: TokenStore, pair: TokenPair, *, refreshed: bool) -> dict[str, Any]:
    ends = pair.expires_at
    return {
        "refreshed": refreshed,
        "expires_at": ends and ends.isoformat(timespec="seconds"),
        "variable": store.variable,
    }


def _flag(value: bool | str) -> bool:
    """True or False, also as the text that a template renders to."""
    words = {"true": True, "false": False, "": False}
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.strip().lower() not in words:
        raise AworkConfigError(f"force: {value!r} is neither True nor False")
    return words[value.strip().lower()]
