"""Settings of a connection: what works, and what each wrong value says."""

from __future__ import annotations

from typing import Any

import pytest
from rich.pretty import pretty_repr

from airflow_provider_awork.client.http.config import DEFAULT_BASE_URL, EXTRA_NAMES, ConnectionExtras, build_config
from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.get_provider_info import CONNECTION_TYPE
from airflow_provider_awork.version_compat import AirflowFailException


def test_only_a_key_is_needed() -> None:
    config = build_config(token="key")
    assert (config.base_url, config.extras) == (DEFAULT_BASE_URL, ConnectionExtras())


@pytest.mark.parametrize("host", [None, "", DEFAULT_BASE_URL, f"{DEFAULT_BASE_URL}/"])
def test_an_empty_host_is_the_default(host: str | None) -> None:
    assert build_config(token="key", base_url=host).base_url == DEFAULT_BASE_URL


@pytest.mark.parametrize(
    ("host", "base_url"),
    [
        (f" {DEFAULT_BASE_URL}\n", DEFAULT_BASE_URL),
        (f"{DEFAULT_BASE_URL}/ ", DEFAULT_BASE_URL),
        (" \n", DEFAULT_BASE_URL),
        ("https://app.awork.com/api/v1", "https://app.awork.com/api/v1"),
        ("https://gateway.example", "https://gateway.example"),
        ("https://gateway.example:8443/", "https://gateway.example:8443"),
        ("http://[::1]:8080/awork", "http://[::1]:8080/awork"),
    ],
)
def test_the_host_is_the_whole_base_url(host: str, base_url: str) -> None:
    assert build_config(token="key", base_url=host).base_url == base_url


@pytest.mark.parametrize("token", ["key\n", " key", "key\r\n", "\tkey "])
def test_a_key_has_no_blanks_around_it(token: str) -> None:
    assert build_config(token=token).token == "key"


@pytest.mark.parametrize(
    ("host", "warnings"),
    [
        ("http://gateway-1.example/api", 1),
        ("http://10.0.0.1:8080", 1),
        ("https://gateway-2.example", 0),
        ("http://localhost:1", 0),
        ("http://127.0.0.9:1/api/v1", 0),
        ("http://[::1]/api/v1", 0),
    ],
)
def test_a_key_that_goes_out_over_plain_http_is_warned_of_once(
    host: str, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        build_config(token="key", base_url=host)
    assert caplog.text.count("plain http") == warnings


@pytest.mark.parametrize(
    ("extras", "name", "value"),
    [
        ({"connect_timeout": "2.5"}, "connect_timeout", 2.5),
        ({"read_timeout": 5}, "read_timeout", 5.0),
        ({"max_concurrent_requests": "3"}, "max_concurrent_requests", 3),
        ({"requests_per_minute": 3000}, "requests_per_minute", 3000),
        ({"requests_per_minute": None}, "requests_per_minute", 900),
        ({"requests_per_minute": ""}, "requests_per_minute", 900),
        ({"verify": "false"}, "verify", False),
        ({"verify": "True"}, "verify", True),
        ({"verify": False}, "verify", False),
        ({"verify": __file__}, "verify", __file__),
        ({"proxies": '{"https": "http://proxy:3128"}'}, "proxies", {"https": "http://proxy:3128"}),
        ({"proxies": {"https": "http://proxy:3128"}}, "proxies", {"https": "http://proxy:3128"}),
        ({"order_by_id": "false"}, "order_by_id", False),
        ({"accept_short_pages": True}, "accept_short_pages", True),
        ({"literal_timezone": "Europe/Berlin"}, "literal_timezone", "Europe/Berlin"),
    ],
)
def test_extras_come_as_json_or_as_text(extras: dict[str, Any], name: str, value: object) -> None:
    assert build_config(token="key", extras=extras).extras.by_name()[name] == value


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"token": None}, "password"),
        ({"token": ""}, "password"),
        ({"token": "with blank"}, "password"),
        ({"token": "line\nbreak"}, "password"),
        ({"token": "Bearer some-key"}, "password: the API key starts with 'Bearer'"),
        ({"token": "schlüssel"}, "password"),
        ({"base_url": "api.awork.com"}, "host"),
        ({"base_url": "ftp://api.awork.com/api/v1"}, "host"),
        ({"base_url": "https://"}, "host"),
        ({"base_url": "https://api.awork.com"}, "host: api.awork.com has its API at /api/v1"),
        ({"base_url": "https://app.awork.com/"}, "host: app.awork.com has its API at /api/v1"),
        ({"base_url": "HTTPS://API.awork.com:443/v1"}, "host: api.awork.com has its API at /api/v1"),
        ({"base_url": "http://[::1/api"}, "host"),
        ({"base_url": "http://gw:99999/api"}, "host"),
        ({"base_url": "http://gw:port/api"}, "host"),
        ({"base_url": "https://gw .example/api"}, "host"),
        ({"base_url": "https://gw\n.example/api"}, "host"),
        ({"base_url": "https://user:pass@api.awork.com/api/v1"}, "host"),
        ({"base_url": "https://api.awork.com/api/v1?x=1"}, "host"),
        ({"base_url": "user:pass@api.awork.com/api/v1"}, "host"),
        ({"extras": {"proxies": {"http": 5, "https": "http://user:pass@proxy"}}}, "proxies"),
        ({"extras": {"connect_timeout": 0}}, "connect_timeout"),
        ({"extras": {"read_timeout": -1}}, "read_timeout"),
        ({"extras": {"read_timeout": "soon"}}, "read_timeout"),
        ({"extras": {"max_concurrent_requests": 0}}, "max_concurrent_requests"),
        ({"extras": {"max_concurrent_requests": 51}}, "max_concurrent_requests"),
        ({"extras": {"max_concurrent_requests": 2.5}}, "max_concurrent_requests"),
        ({"extras": {"requests_per_minute": 0}}, "requests_per_minute"),
        ({"extras": {"verify": "/no/such/bundle.pem"}}, "verify"),
        ({"extras": {"proxies": "http://proxy"}}, "proxies"),
        ({"extras": {"proxies": {"https": 1}}}, "proxies"),
        ({"extras": {"proxies": {"https": "http://"}}}, "proxies.* no host"),
        ({"extras": {"proxies": {"https": "http://user:pass@"}}}, "proxies.* no host"),
        ({"extras": {"proxies": {"https": "http://user:pass@[::1"}}}, "proxies.* malformed"),
        ({"extras": {"proxies": {"https": "http://user:pass@proxy:99999"}}}, "proxies.* malformed"),
        ({"extras": {"proxies": {"HTTPS": "http://proxy"}}}, "proxies.* 'HTTPS' is no scheme"),
        ({"extras": {"literal_timezone": "Berlin"}}, "literal_timezone"),
        ({"extras": {"order_by_id": "perhaps"}}, "extra 'order_by_id': .*, got 'perhaps'"),
        ({"extras": {"behaviour": {"order_by_id": False}}}, "extra 'behaviour' is unknown"),
        ({"extras": {"page_size": 100}}, "page_size"),
        ({"extras": {"oauth_variable": "secret-key"}}, "oauth_variable.* does not end in _token"),
    ],
)
def test_a_wrong_value_names_its_field_and_is_not_tried_again(parts: dict[str, Any], field: str) -> None:
    with pytest.raises(AworkConfigError, match=field) as caught:
        build_config(**{"token": "secret-key", **parts})
    assert isinstance(caught.value, AirflowFailException)
    assert "secret-key" not in str(caught.value)
    assert "pass@" not in str(caught.value)


@pytest.mark.parametrize(
    "extras", [{"token_variable": "a_token"}, {"token_variable": "a_token", "oauth_variable": "a_token"}]
)
def test_the_former_name_of_an_extra_is_read(extras: dict[str, str]) -> None:
    assert build_config(token="key", extras=extras).extras.oauth_variable == "a_token"


def test_two_names_of_one_extra_with_two_values_are_refused() -> None:
    with pytest.raises(AworkConfigError, match=r"extra 'oauth_variable'.*'token_variable'"):
        build_config(token="key", extras={"token_variable": "a_token", "oauth_variable": "other_token"})


def test_proxies_are_not_shown() -> None:
    extras = build_config(token="key", extras={"proxies": {"https": "http://user:pass@proxy"}, "verify": False}).extras
    assert "verify=False" in repr(extras)
    assert "pass" not in f"{extras!r} {extras} {pretty_repr(extras)}"


def test_the_connection_form_offers_exactly_these_extras_with_these_defaults() -> None:
    form = CONNECTION_TYPE["conn-fields"]
    assert set(form) == set(EXTRA_NAMES)
    defaults = {name: field["schema"]["default"] for name, field in form.items() if "default" in field["schema"]}
    build_config(token="key", extras=defaults)
    for name, default in defaults.items():
        extras = build_config(token="key", extras={name: default}).extras
        assert extras.by_name()[name] == ConnectionExtras().by_name()[name]
