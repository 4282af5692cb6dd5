"""An Airflow connection of type ``awork`` as what the client needs."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_awork.client.http.config import (
    MAKE_A_KEY,
    AworkConfig,
    ConnectionExtras,
    build_config,
    check_base_url,
    check_extras,
)
from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.get_provider_info import CONNECTION_TYPE
from airflow_provider_awork.hooks.token_store import TokenStore, mask_secrets

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_awork.client.http.oauth import OAuthClient

log = logging.getLogger(__name__)

NEEDED_LIFETIME = timedelta(hours=1)


def config_of(connection: Connection) -> AworkConfig:
    """
    The settings of a connection, with the API key or, where it has the extra ``oauth_variable``, the
    access token in that Variable.

    :raises AworkConfigError: the connection has another type, or a field has a value that cannot work.
    """
    token: str | None
    with _naming(connection):
        _check_type(connection)
        variable = _checked_extras(connection).oauth_variable
        if variable:
            token, hint = _access_token(connection.conn_id, variable)
        else:
            token = connection.password
            hint = f"Connection {connection.conn_id!r}: the API key in its password is not valid\n{MAKE_A_KEY}"
        config = build_config(
            token=token,
            base_url=connection.host,
            extras=connection.extra_dejson,
            token_hint=hint,
            connection=connection.conn_id,
        )
    mask_secrets(config.secrets())
    return config


def oauth_client_of(connection: Connection) -> tuple[OAuthClient, TokenStore]:
    """
    The OAuth client of a connection, and where its tokens are.

    :raises AworkConfigError: the connection is none with OAuth, or a field has a value that cannot work.
    """
    from airflow_provider_awork.client.http.oauth import OAuthClient  # loads requests

    with _naming(connection):
        _check_type(connection)
        extras = _checked_extras(connection)
        if not extras.oauth_variable:
            raise AworkConfigError(
                "extra 'oauth_variable': missing, so there is no token to refresh; API keys need none"
            )
        client_id = (connection.login or "").strip()
        if not client_id:
            raise AworkConfigError("login: the id of the OAuth client is missing")
        client = OAuthClient(
            client_id=client_id,
            client_secret=(connection.password or "").strip() or None,
            base_url=check_base_url(connection.host),
            extras=extras,
        )
    return client, TokenStore(extras.oauth_variable)


def without_transient_id(message: str, conn_id: str) -> str:
    """Return a message without the random id that Airflow's Test button gives to what is in its form."""
    is_transient = re.fullmatch("[A-Za-z0-9]{8}", conn_id) and f"AIRFLOW_CONN_{conn_id.upper()}" in os.environ
    return message.replace(f"Connection {conn_id!r}: ", "") if is_transient else message


def _check_type(connection: Connection) -> None:
    """Refuse another type than awork; a connection in the environment may have none."""
    needed = CONNECTION_TYPE["connection-type"]
    if connection.conn_type not in (needed, "", None):
        raise AworkConfigError(
            f"type {connection.conn_type!r}; the type {needed!r} is needed\n"
            "Create a connection of that type, with the API key as password, or pass the id of another one."
        )


def _checked_extras(connection: Connection) -> ConnectionExtras:
    """Check the extras, and refuse fields that would be ignored."""
    for field in ("schema", "port"):
        if getattr(connection, field):
            raise AworkConfigError(f"{field}: not used; the whole base URL belongs in host, the key in password")
    extras = check_extras(connection.extra_dejson)
    if connection.login and not extras.oauth_variable:
        raise AworkConfigError(
            "login: only used with the extra oauth_variable, as OAuth client id; else leave it empty"
        )
    return extras


def _access_token(conn_id: str, variable: str) -> tuple[str, str]:
    """The access token, and what to do when awork does not accept it."""
    pair = TokenStore(variable).read()
    lives_until = f"ends at {pair.expires_at:%Y-%m-%d %H:%M} UTC" if pair.expires_at else "ends at an unknown time"
    writer = f"DAG {pair.refreshed_by!r}" if pair.refreshed_by else "the DAG with AworkRefreshTokenOperator"
    about = f"Connection {conn_id!r}: the access token in Variable {variable!r} {lives_until}"
    hint = f"{about}\n{writer} refreshes it: see why its last run did not"
    if pair.expires_at and pair.expires_at - datetime.now(UTC) < NEEDED_LIFETIME:
        log.warning("%s", hint.replace("\n", "; "))
    return pair.access_token, hint


@contextmanager
def _naming(connection: Connection) -> Iterator[None]:
    try:
        yield
    except AworkConfigError as error:
        raise AworkConfigError(f"Connection {connection.conn_id!r}: {error}") from None
