"""Which values of ``Host`` are served, and which origins are our own."""

import pytest

from server.edge.config import ServerConfig
from server.edge.hosts import hosts_of, is_own_origin, origin_of

CONFIGURED = ServerConfig(public_url="https://shop.example/", allowed_hosts=("Api.internal",))


@pytest.mark.parametrize(
    "host",
    [
        "shop.example",
        "SHOP.example:8443",
        "shop.example.",
        "api.internal:8080",
        "localhost:8080",
        "a.localhost",
        "127.0.0.1:18083",
        "10.1.2.3",
        "[::1]:8080",
    ],
)
def test_own_names_and_addresses_are_served(host: str) -> None:
    assert hosts_of(CONFIGURED).allows(host)


@pytest.mark.parametrize(
    "host", ["evil.example", "shop.example.evil.example", "evil-localhost", "127.0.0.1.evil.example", "", "[", "a:b:c"]
)
def test_other_names_are_not(host: str) -> None:
    assert not hosts_of(CONFIGURED).allows(host)


def test_a_star_allows_every_host() -> None:
    assert hosts_of(ServerConfig(allowed_hosts=("*",))).allows("evil.example")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://shop.example", "shop.example"),
        ("https://shop.example", "shop.example:443"),
        ("http://shop.example", "shop.example:80"),
        ("https://Shop.example:8443", "shop.example:8443"),
    ],
)
def test_an_origin_is_our_own_whatever_the_default_port(origin: str, host: str) -> None:
    assert is_own_origin(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [("https://evil.example", "shop.example"), ("https://shop.example:8443", "shop.example"), ("null", "shop.example")],
)
def test_another_origin_is_not(origin: str, host: str) -> None:
    assert not is_own_origin(origin, host)


def test_the_origin_of_an_address_has_no_path_and_no_default_port() -> None:
    assert origin_of("https://Shop.example:443/app/") == "https://shop.example"
    assert origin_of("http://localhost:8080") == "http://localhost:8080"
