"""Immutable settings of a connection to awork."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

from airflow_provider_awork.client.behaviour import DEFAULT_BEHAVIOUR, AworkBehaviour
from airflow_provider_awork.client.http.rate_limit import REQUESTS_PER_MINUTE
from airflow_provider_awork.client.http.retries import OUTAGE_MINUTES
from airflow_provider_awork.client.zones import is_zone_name
from airflow_provider_awork.exceptions import AworkConfigError

log = logging.getLogger(__name__)

DEFAULT_BASE_URL = "https://api.awork.com/api/v1"
MAKE_A_KEY = "Create one in awork under Settings > Integrations > API clients."

AWORK_HOSTS = ("api.awork.com", "app.awork.com")
AWORK_PATH = "/api/v1"
MOST_SHOWN = 40  # characters of a wrong value in the first line of an error
PROXY_NAME = re.compile(r"(http|https|all)(://[^/]+)?")  # as requests looks proxies up

PositiveSeconds = Annotated[float, msgspec.Meta(gt=0)]
PositiveCount = Annotated[int, msgspec.Meta(ge=1)]


class ConnectionExtras(msgspec.Struct, frozen=True, kw_only=True):
    """
    The typed extras of a connection. Null and absent both mean the default.

    :param connect_timeout: seconds to wait for a connection.
    :param read_timeout: seconds to wait for the next bytes of an answer.
    :param outage_minutes: how long a read is tried again while awork does not answer, or answers with 5xx; at most 60.
    :param max_concurrent_requests: how many requests may be in flight at once.
    :param requests_per_minute: what this connection may use of the workspace's budget. awork allows 1000 (Enterprise:
        3000) to all clients of a workspace together (https://developers.awork.com/rate-limits); the default
        leaves some to other integrations. Divide it by the number of tasks that run side by side.
    :param verify: check TLS certificates: true, false, or the path of a CA bundle.
    :param proxies: proxy URL by scheme, as ``requests`` takes it; never part of ``repr``.
    :param behaviour: what is assumed of awork. Its fields are extras, too: the connection has no extra ``behaviour``.
    :param oauth_variable: Airflow Variable with an OAuth token pair, instead of an API key. Its name ends in
        ``_token``, so that Airflow masks the value.
    """

    connect_timeout: PositiveSeconds = 10.0
    read_timeout: PositiveSeconds = 60.0
    outage_minutes: Annotated[float, msgspec.Meta(ge=0, le=60)] = OUTAGE_MINUTES
    max_concurrent_requests: Annotated[int, msgspec.Meta(ge=1, le=50)] = 8
    requests_per_minute: PositiveCount = REQUESTS_PER_MINUTE
    verify: bool | str = True
    proxies: dict[str, str] = msgspec.field(default_factory=dict)
    behaviour: AworkBehaviour = DEFAULT_BEHAVIOUR
    oauth_variable: str | None = None

    def __repr__(self) -> str:
        """Without proxies, whose URLs may hold passwords."""
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # rich shows local variables in tracebacks
        return [(name, value) for name, value in self.by_name().items() if name != "proxies"]

    def by_name(self) -> dict[str, Any]:
        """Return the value of each extra by its name in the connection."""
        values: dict[str, Any] = {}
        for name, value in msgspec.structs.asdict(self).items():
            values |= msgspec.structs.asdict(value) if isinstance(value, AworkBehaviour) else {name: value}
        return values


EXTRA_NAMES = tuple(ConnectionExtras().by_name())
# Airflow masks the value of an extra with "token" in its name, so an error could not show the Variable's name.
RENAMED_EXTRAS = {"token_variable": "oauth_variable"}


class AworkConfig(msgspec.Struct, frozen=True, kw_only=True):
    """
    Everything the client needs to know of a connection.

    :param token: API key or access token; never part of ``repr``.
    :param base_url: scheme, host and path of the API, without a slash at the end.
    :param extras: the typed extras.
    :param token_hint: where the token comes from, for the error of a request whose token awork does not accept.
    :param connection: id of the Airflow connection, for messages.
    """

    token: str
    base_url: str = DEFAULT_BASE_URL
    extras: ConnectionExtras = ConnectionExtras()
    token_hint: str = ""
    connection: str = ""

    def __repr__(self) -> str:
        return f"AworkConfig(token='***', base_url={self.base_url!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # rich shows local variables in tracebacks
        return [("token", "***"), ("base_url", self.base_url)]

    def secrets(self) -> list[str]:
        """What must never be shown: the token and the passwords of proxies."""
        passwords = (urlsplit(url).password for url in self.extras.proxies.values())
        return [self.token, *(password for password in passwords if password)]


def build_config(
    *,
    token: str | None,
    base_url: str | None = None,
    extras: Mapping[str, Any] | None = None,
    token_hint: str = "",
    connection: str = "",
) -> AworkConfig:
    """
    Check the parts of a connection.

    :param token: API key; required.
    :param base_url: base URL; empty means awork's own.
    :param extras: extras by name, values as JSON types or as strings (connections given as URI have strings only).
    :param token_hint: where the token comes from.
    :param connection: id of the Airflow connection, for messages.
    :raises AworkConfigError: naming the field, its value and the way out.
    """
    return AworkConfig(
        token=_checked_token(token),
        base_url=check_base_url(base_url),
        extras=check_extras(extras or {}),
        token_hint=token_hint,
        connection=connection,
    )


def _checked_token(token: str | None) -> str:
    token = (token or "").strip()
    if not token:
        raise AworkConfigError(f"password: the API key is missing\n{MAKE_A_KEY}")
    if token.lower().startswith("bearer "):
        raise AworkConfigError("password: the API key starts with 'Bearer'; leave that word and the blank out")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise AworkConfigError("password: the API key has blanks, line breaks or non-ASCII characters\nCopy it again.")
    return token


def check_base_url(base_url: str | None) -> str:
    """
    The base URL without blanks around it and without a slash at its end; awork's own for an empty one.

    :raises AworkConfigError: it is none.
    """
    base_url = (base_url or "").strip()
    if not base_url:
        return DEFAULT_BASE_URL
    like = f"Write it like {DEFAULT_BASE_URL}"
    if "@" in base_url or "?" in base_url or "#" in base_url:
        raise AworkConfigError(f"host: only scheme, host and path are allowed\n{like}")
    try:
        url = urlsplit(base_url)
        is_url = url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        is_url = False
    if not is_url or not base_url.isprintable() or " " in base_url or "\\" in base_url:
        raise AworkConfigError(f"host: {base_url[:MOST_SHOWN]!r} is not an http(s) URL\n{like}")
    if url.hostname in AWORK_HOSTS and url.path.rstrip("/") != AWORK_PATH:
        raise AworkConfigError(f"host: {url.hostname} has its API at {AWORK_PATH}\n{like}")
    if url.scheme == "http":
        _warn_of_plain_http(url.hostname or "")
    return base_url.rstrip("/")


@functools.cache
def _warn_of_plain_http(host: str) -> None:
    """Warn once, unless the host is this machine."""
    try:
        is_loopback = ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost" or host.endswith(".localhost")
    if not is_loopback:
        log.warning("host: the API key goes to %s over plain http, readable on its way; write https://", host)


def check_extras(raw: Mapping[str, Any]) -> ConnectionExtras:
    """
    The typed extras.

    :raises AworkConfigError: naming the extra, its value and the way out.
    """
    stripped = {name: value.strip() if isinstance(value, str) else value for name, value in raw.items()}
    values = {name: _unquoted(name, value) for name, value in stripped.items() if value not in (None, "")}
    _rename_extras(values)
    unknown = sorted(values.keys() - set(EXTRA_NAMES))
    if unknown:
        raise AworkConfigError(f"extra {unknown[0]!r} is unknown; known extras are {', '.join(EXTRA_NAMES)}")
    behaviour = {name: values[name] for name in AworkBehaviour.__struct_fields__ if name in values}
    try:
        extras = msgspec.convert({**values, "behaviour": behaviour}, ConnectionExtras, strict=False)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$.")
        name = path.removeprefix("behaviour.").rstrip("`").split("[")[0].split(".")[0]
        # Proxy URLs may hold passwords.
        got = "" if name == "proxies" else f", got {values.get(name)!r}"
        raise AworkConfigError(f"extra {name!r}: {text}{got}") from None
    if isinstance(extras.verify, str) and not Path(extras.verify).exists():
        raise AworkConfigError(f"extra 'verify': no such CA bundle: {extras.verify!r}; use true, false or a path")
    _check_proxies(extras.proxies)
    zone = extras.behaviour.literal_timezone
    if not is_zone_name(zone):
        raise AworkConfigError(f"extra 'literal_timezone': {zone!r} is not an IANA time zone")
    if extras.oauth_variable and not extras.oauth_variable.lower().endswith("_token"):
        raise AworkConfigError(
            "extra 'oauth_variable': the value does not end in _token\n"
            "Airflow would show what the Variable of that name holds. Pass the Variable's name, not a token."
        )
    return extras


def _rename_extras(values: dict[str, Any]) -> None:
    """Move the values of former names to the present ones."""
    for former, present in RENAMED_EXTRAS.items():
        if former in values and values.setdefault(present, value := values.pop(former)) != value:
            raise AworkConfigError(
                f"extra {present!r}: the extra {former!r}, its former name, has another value\nRemove {former!r}."
            )


def _check_proxies(proxies: Mapping[str, str]) -> None:
    """Refuse proxies that requests would ignore or not understand."""
    for name, proxy in proxies.items():
        if not PROXY_NAME.fullmatch(name):
            raise AworkConfigError(f"extra 'proxies': {name!r} is no scheme; the names are http, https and all")
        if proxy and not _is_proxy_url(proxy):
            raise AworkConfigError(f"extra 'proxies': the URL for {name!r} has no host, or is malformed")


def check_environment_proxies(proxies: Mapping[str, str]) -> None:
    """
    Refuse a proxy of the environment that requests could not understand, without showing its URL.

    :param proxies: proxy URL by scheme, as ``requests.utils.get_environ_proxies`` returns them.
    :raises AworkConfigError: a URL has no host, or is malformed.
    """
    for name in ("http", "https", "all"):
        if proxies.get(name) and not _is_proxy_url(proxies[name]):
            raise AworkConfigError(
                f"environment: the URL in {name.upper()}_PROXY has no host, or is malformed\n"
                "Correct it for this worker, or put the host of awork into NO_PROXY."
            )


def _is_proxy_url(proxy: str) -> bool:
    try:
        url = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        return bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        return False


def _unquoted(name: str, value: Any) -> Any:
    """Values of a connection given as URI are text; ``verify`` and ``proxies`` need more than a number's parsing."""
    if name == "verify" and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if name == "proxies" and isinstance(value, str):
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            raise AworkConfigError("extra 'proxies': not a JSON object of scheme to proxy URL") from None
    return value
