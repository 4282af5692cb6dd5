"""Requests without an answer, over real sockets: which setting cannot work, and what is tried again."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_provider_awork.client.http.answer import decode_json
from airflow_provider_awork.client.http.config import ConnectionExtras, build_config
from airflow_provider_awork.client.http.oauth import OAuthClient, TokenPair
from airflow_provider_awork.client.http.retries import RetryRules
from airflow_provider_awork.client.http.session import AworkSession
from airflow_provider_awork.exceptions import AworkConfigError, AworkTransportError

QUICK = RetryRules(tries=3, first_wait=0.01, longest_wait=0.02)
PASSWORD = "proxy-pass-word"


class Me(BaseHTTPRequestHandler):
    """Answers ``{}`` and counts; as a proxy, it refuses tunnels with the server's ``tunnel_status``."""

    def do_GET(self) -> None:
        self.server.requests += 1  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_CONNECT(self) -> None:
        self.server.requests += 1  # type: ignore[attr-defined]
        self.send_error(self.server.tunnel_status)  # type: ignore[attr-defined]

    def log_message(self, *arguments: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    requests = connections = 0
    tunnel_status = 407

    def process_request(self, request: object, client_address: object) -> None:
        self.connections += 1
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a refused handshake


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Me) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of 127.0.0.1, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(context) as server:
        yield server


@pytest.fixture
def plain_server() -> Iterator[Server]:
    with serving() as server:
        yield server


def session_to(base_url: str, **extras: object) -> AworkSession:
    return AworkSession(
        build_config(token="key", base_url=base_url, extras=extras, connection="awork_default"), retry=QUICK
    )


def refused(base_url: str, **extras: object) -> str:
    """The message of a request whose settings cannot work."""
    session = session_to(base_url, **extras)
    with pytest.raises(AworkConfigError) as caught:
        session.get("me", parse=decode_json)
    message = str(caught.value)
    assert PASSWORD not in message
    assert message.startswith("Connection 'awork_default': ")
    assert len(message.splitlines()[0]) <= 80
    assert "HTTPConnection" not in message
    assert "HTTPSConnection" not in message
    return message


def test_a_refused_certificate_names_verify_at_the_first_try(tls_server: Server) -> None:
    message = refused(f"https://127.0.0.1:{tls_server.server_port}/api/v1")
    assert "verify: certificate of 127.0.0.1:" in message
    assert tls_server.connections == 1


def test_the_right_bundle_or_none_works(tls_server: Server, certificate: Path) -> None:
    url = f"https://127.0.0.1:{tls_server.server_port}/api/v1"
    assert session_to(url, verify=str(certificate)).get("me", parse=decode_json) == {}
    assert session_to(url, verify=False).get("me", parse=decode_json) == {}


def test_a_certificate_of_another_name_names_verify(tls_server: Server, certificate: Path) -> None:
    url = f"https://localhost:{tls_server.server_port}/api/v1"
    assert "extra 'verify'" in refused(url, verify=str(certificate))


@pytest.mark.parametrize("content", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_file_that_is_no_bundle_names_verify(tls_server: Server, tmp_path: Path, content: str) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(content)
    message = refused(f"https://127.0.0.1:{tls_server.server_port}/api/v1", verify=str(bundle))
    assert "verify: the CA bundle cannot be read" in message
    assert tls_server.requests == 0


def test_a_bundle_that_was_removed_names_verify(tls_server: Server, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("")
    session = session_to(f"https://127.0.0.1:{tls_server.server_port}/api/v1", verify=str(bundle))
    bundle.unlink()
    with pytest.raises(AworkConfigError, match="extra 'verify'"):
        session.get("me", parse=decode_json)


def test_tls_on_a_plain_port_is_named_at_the_first_try(plain_server: Server) -> None:
    message = refused(f"https://127.0.0.1:{plain_server.server_port}/api/v1")
    assert "host: no TLS is spoken at 127.0.0.1:" in message
    assert "verify" in message
    assert plain_server.connections == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"socks5://user:{PASSWORD}@127.0.0.1:1", "SOCKS needs the package PySocks"),
        (f"socks5h://user:{PASSWORD}@127.0.0.1:1", "SOCKS needs the package PySocks"),
        (f"quic://user:{PASSWORD}@127.0.0.1:1", "unknown scheme"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_cannot_work_names_proxies(scheme: str, url: str, said: str) -> None:
    message = refused(f"{scheme}://127.0.0.1:9/api/v1", proxies={scheme: url})
    assert "proxies" in message
    assert said in message


def test_a_proxy_of_the_environment_that_cannot_work_names_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"quic://user:{PASSWORD}@127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert "HTTP_PROXY" in refused("http://awork.invalid/api/v1")


@pytest.mark.parametrize("url", [f"http://user:{PASSWORD}@", f"http://user:{PASSWORD}@[::1", f"user:{PASSWORD}@:1"])
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_without_a_host_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, url: str
) -> None:
    monkeypatch.setenv(variable, url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(AworkConfigError, match=f"^environment: the URL in {variable.upper()} has no host") as caught:
        session_to("http://awork.invalid/api/v1")
    assert PASSWORD not in str(caught.value)
    oauth = OAuthClient(
        client_id="id", client_secret=None, base_url="http://awork.invalid/api/v1", extras=ConnectionExtras()
    )
    with pytest.raises(AworkConfigError, match=variable.upper()):
        oauth.refresh(TokenPair(access_token="access", refresh_token="refresh"))


def test_a_proxy_that_is_not_used_for_this_host_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, plain_server: Server
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://user:{PASSWORD}@")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    config = build_config(token="key", base_url=f"http://127.0.0.1:{plain_server.server_port}/api/v1")
    assert AworkSession(config).get("me", parse=lambda answer: answer.status) == 200


def test_a_proxy_that_speaks_no_tls_names_proxies(plain_server: Server) -> None:
    proxies = {"https": f"https://user:{PASSWORD}@127.0.0.1:{plain_server.server_port}"}
    assert "extra 'proxies'" in refused("https://awork.invalid/api/v1", proxies=proxies)
    assert plain_server.connections == 1


@pytest.mark.parametrize("status", [401, 403, 407])
def test_a_proxy_that_refuses_names_proxies(plain_server: Server, status: int) -> None:
    plain_server.tunnel_status = status
    proxies = {"https": f"http://user:{PASSWORD}@127.0.0.1:{plain_server.server_port}"}
    assert f"the proxy answers {status}" in refused("https://awork.invalid/api/v1", proxies=proxies)
    assert plain_server.requests == 1


def test_a_proxy_that_reaches_nobody_now_is_asked_again(plain_server: Server) -> None:
    plain_server.tunnel_status = 503
    proxies = {"https": f"http://user:{PASSWORD}@127.0.0.1:{plain_server.server_port}"}
    with pytest.raises(AworkTransportError, match=r"the proxy cannot reach awork\.invalid:443: 503") as caught:
        session_to("https://awork.invalid/api/v1", proxies=proxies).get("me", parse=decode_json)
    assert PASSWORD not in str(caught.value)
    assert plain_server.requests == QUICK.tries


@pytest.mark.parametrize("host", ["a..example", "a" * 70 + ".example"])
def test_a_host_that_no_name_can_be_is_named(host: str) -> None:
    assert "host" in refused(f"http://{host}/api/v1")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts a connection and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener.getsockname()[1]


def test_a_host_that_is_silent_is_asked_again_and_described(silent_port: int) -> None:
    with pytest.raises(AworkTransportError) as caught:
        session_to(f"http://127.0.0.1:{silent_port}/api/v1", read_timeout=0.1).get("me", parse=decode_json)
    assert str(caught.value).splitlines() == [
        "GET me: timed out: nothing came for 0.1 s",
        f"Connection 'awork_default': 127.0.0.1:{silent_port}",
    ]


def test_a_host_that_refuses_is_described() -> None:
    with pytest.raises(AworkTransportError) as caught:
        session_to("http://127.0.0.1:9/api/v1").get("me", parse=decode_json)
    first, _, rest = str(caught.value).partition("\n")
    assert first == "Connection 'awork_default': cannot reach 127.0.0.1:9: connection refused"
    assert "host and proxies" in rest
    assert "GET me" in rest


def test_a_host_without_an_address_is_described() -> None:
    with pytest.raises(AworkTransportError, match=r"cannot reach awork\.invalid:443: host name not") as caught:
        session_to("https://awork.invalid/api/v1").get("me", parse=decode_json)
    assert "Errno" not in str(caught.value)


def test_a_proxy_that_is_down_is_described() -> None:
    proxies = {"http": f"http://user:{PASSWORD}@127.0.0.1:9"}
    with pytest.raises(
        AworkTransportError, match=r"cannot reach the proxy 127\.0\.0\.1:9: connection refused"
    ) as caught:
        session_to("http://awork.invalid/api/v1", proxies=proxies).get("me", parse=decode_json)
    assert PASSWORD not in str(caught.value)


def test_a_token_is_not_sent_to_a_refused_certificate(tls_server: Server) -> None:
    client = OAuthClient(
        client_id="id",
        client_secret=None,
        base_url=f"https://127.0.0.1:{tls_server.server_port}/api/v1",
        extras=ConnectionExtras(),
    )
    with pytest.raises(AworkConfigError, match="extra 'verify'"):
        client.refresh(TokenPair(access_token="a", refresh_token="r"))
    assert tls_server.requests == 0
