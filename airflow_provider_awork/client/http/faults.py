"""
The typed error of a request that got no answer: a setting that cannot work, or trouble that may pass.

Only chosen words of the libraries' errors are shown: their texts may quote a proxy's URL with its password.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
import urllib3

from airflow_provider_awork.client.http.transport import SlowAnswerError
from airflow_provider_awork.exceptions import AworkConfigError, AworkTransportError

# OpenSSL's reasons that another try cannot change: the other side speaks no TLS, or no kind that Python accepts.
NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}
OTHER_TLS = {
    "NO_PROTOCOLS_AVAILABLE",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "TLSV1_UNRECOGNIZED_NAME",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "UNSUPPORTED_PROTOCOL",
}
# A proxy that answers so to CONNECT may answer otherwise in a moment.
TRANSIENT_TUNNEL = ("408", "425", "429", "500", "502", "503", "504")
MOST_CAUSES = 30


@dataclass(frozen=True, kw_only=True)
class Target:
    """
    Where a request went.

    :param request: method and path, such as ``GET me``.
    :param base_url: base URL of the connection.
    :param connection: id of the Airflow connection; empty if it has none.
    :param connect_timeout: seconds.
    :param read_timeout: seconds.
    """

    request: str
    base_url: str
    connection: str
    connect_timeout: float
    read_timeout: float

    @property
    def address(self) -> str:
        """Host and port."""
        url = urlsplit(self.base_url)
        return f"{url.hostname}:{url.port or (443 if url.scheme == 'https' else 80)}"

    @property
    def named(self) -> str:
        """The connection as the beginning of a message."""
        return f"Connection {self.connection!r}: " if self.connection else ""


def fault_from(error: Exception, target: Target) -> AworkConfigError | AworkTransportError:
    """Return the typed error of a request that got no complete answer."""
    causes = tuple(_causes(error))
    setting = _wrong_setting(causes, target)
    if setting:
        return AworkConfigError(f"{target.named}{setting}\nRequest: {target.request}")
    unreachable = _unreachable(causes, target)
    if unreachable:
        return AworkTransportError(
            f"{target.named}{unreachable}\nCheck host and proxies of the connection, and what lies between.\n"
            f"Request: {target.request}"
        )
    return AworkTransportError(f"{target.request}: {_cut_short(causes, target)}\n{target.named}{target.address}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it wraps, the outermost first."""
    seen: dict[int, BaseException] = {}
    found = [error]
    while found and len(seen) < MOST_CAUSES:
        each = found.pop(0)
        if id(each) in seen:
            continue
        seen[id(each)] = each
        yield each
        wrapped = (getattr(each, "reason", None), getattr(each, "original_error", None), each.__cause__, *each.args)
        found += [inner for inner in wrapped if isinstance(inner, BaseException)]


def _wrong_setting(causes: tuple[BaseException, ...], target: Target) -> str | None:
    """Return the setting that cannot work, and the way out; None if no setting is to blame."""
    return _wrong_proxy(causes) or _wrong_certificates(causes, target) or _wrong_url(causes, target)


def _wrong_proxy(causes: tuple[BaseException, ...]) -> str | None:
    where = "Correct the extra 'proxies', or HTTP_PROXY, HTTPS_PROXY and ALL_PROXY of the worker."
    for cause in causes:
        if isinstance(cause, requests.exceptions.InvalidProxyURL):
            return f"proxies: the proxy URL has no host, or is malformed\n{where}"
        if isinstance(cause, urllib3.exceptions.ProxySchemeUnknown):
            return f"proxies: the proxy URL has an unknown scheme\nhttp, https and socks5 work. {where}"
        if isinstance(cause, requests.exceptions.InvalidSchema) and "SOCKS" in str(cause):
            return "proxies: SOCKS needs the package PySocks\nRun: pip install 'requests[socks]'"
        if isinstance(cause, OSError) and str(cause).startswith("Tunnel connection failed: "):
            status = str(cause).removeprefix("Tunnel connection failed: ")[:20]
            if not status.startswith(TRANSIENT_TUNNEL):
                return f"proxies: the proxy answers {status}\n{where}"
        if isinstance(cause, urllib3.exceptions.ProxyError) and "appears to only use HTTP" in str(cause):
            return f"proxies: the proxy speaks no TLS\nWrite its URL with http://. {where}"
    return None


def _wrong_certificates(causes: tuple[BaseException, ...], target: Target) -> str | None:
    bundle = (
        "verify: the CA bundle cannot be read\n"
        "Set the extra 'verify' to the path of a PEM file on the workers, or true for the usual authorities."
    )
    in_tls = any(isinstance(each, urllib3.exceptions.SSLError) for each in causes)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"verify: certificate of {target.address} refused\n"
                f"{cause.verify_message.rstrip('.')}. Set the extra 'verify' to the path of a CA bundle that has its "
                "authority, or correct host."
            )
        if isinstance(cause, ssl.SSLError) and cause.reason in NO_TLS:
            return (
                f"host: no TLS is spoken at {target.address}\n"
                "Write host with http:// or with another port; the extra 'verify' does not help. If there is a proxy, "
                "see the extra 'proxies'."
            )
        if isinstance(cause, ssl.SSLError) and cause.reason in OTHER_TLS:
            return (
                f"host: {target.address} refuses the TLS handshake\n"
                f"{cause.reason.replace('_', ' ').capitalize()}: it needs another TLS version, or a certificate of the "
                "client. Neither the extra 'verify' nor another try helps."
            )
        if isinstance(cause, ssl.SSLError) and cause.library in ("X509", "PEM"):
            return bundle
        if in_tls and isinstance(cause, (FileNotFoundError, PermissionError, IsADirectoryError)):
            return bundle
        if type(cause) is OSError and "TLS CA certificate bundle" in str(cause):
            return bundle
    return None


def _wrong_url(causes: tuple[BaseException, ...], target: Target) -> str | None:
    invalid = (
        requests.exceptions.InvalidURL,
        requests.exceptions.MissingSchema,
        requests.exceptions.InvalidSchema,
        urllib3.exceptions.LocationValueError,
        http.client.InvalidURL,
    )
    if any(isinstance(each, invalid) for each in causes):
        return (
            "host: no connection can be made to it\n"
            f"Correct host ({target.base_url!r}), or the proxy URL in the extra 'proxies'."
        )
    return None


def _unreachable(causes: tuple[BaseException, ...], target: Target) -> str | None:
    """Return whom no connection was made to, and why; None if there was a connection."""
    refused = next((each for each in causes if isinstance(each, urllib3.exceptions.NewConnectionError)), None)
    timed_out = any(isinstance(each, urllib3.exceptions.ConnectTimeoutError) for each in causes)
    tunnel = next((str(each) for each in causes if str(each).startswith("Tunnel connection failed: ")), "")
    if not refused and not timed_out and not tunnel:
        return None
    address = target.address
    if any(isinstance(each, urllib3.exceptions.ProxyError) for each in causes):
        connection = getattr(refused, "conn", None)
        address = f"the proxy {connection.host}:{connection.port}" if connection and not tunnel else "the proxy"
    if tunnel:
        return f"the proxy cannot reach {target.address}: {tunnel.partition(': ')[2][:40]}"
    if timed_out and not refused:
        return f"cannot reach {address}: timed out after {target.connect_timeout:g} s"
    return f"cannot reach {address}: {_reason(causes)}"


def _reason(causes: tuple[BaseException, ...]) -> str:
    for cause in causes:
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, socket.gaierror):
            return "host name not found" if cause.errno == socket.EAI_NONAME else "host name not resolved (DNS)"
    reasons = (each.strerror for each in causes if isinstance(each, OSError) and each.strerror)
    return next(reasons, "no connection").lower()


def _cut_short(causes: tuple[BaseException, ...], target: Target) -> str:
    """Say how far an answer came."""
    timeouts = (TimeoutError, requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError)
    closed = (http.client.RemoteDisconnected, ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
    for cause in causes:
        if isinstance(cause, SlowAnswerError):
            return str(cause)
        if isinstance(cause, timeouts):
            return f"timed out: nothing came for {target.read_timeout:g} s"
        if isinstance(cause, (urllib3.exceptions.IncompleteRead, http.client.IncompleteRead)):
            return "the answer was cut off"
        if isinstance(cause, closed):
            return "the connection was closed before the answer was complete"
        if isinstance(cause, urllib3.exceptions.DecodeError):
            return "the answer's compression is damaged"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {(cause.reason or 'no reason given').replace('_', ' ').lower()}"
    system = (each.strerror for each in causes if isinstance(each, OSError) and each.strerror)
    return f"no complete answer ({next(system, type(causes[-1]).__name__)})"
