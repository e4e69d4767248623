"""The server serves its own hosts only, and pages of its public address may connect behind any proxy."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.edge.config import ServerConfig
from tests.support.server import Site, make_config, open_site

PUBLIC = "https://shop.example"
HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "guildwire.v1.json",
}


@pytest.fixture
async def site(database_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    section = ServerConfig(port=0, data_dir=str(tmp_path), drain_s=1, public_url=PUBLIC)
    config = make_config(tmp_path, server=section)
    async with open_site(database_dsn, config) as site:
        host, port = site.server.listens_at
        site.url = f"http://{host}:{port}"
        yield site


async def connect(site: Site, host: str, origin: str) -> int:
    """The status of a handshake."""
    return (await site.request("GET", "/v1/socket", **HANDSHAKE, Host=host, Origin=origin)).status


@pytest.mark.parametrize("path", ["/", "/dev/mailbox", "/services/", "/nowhere"])
async def test_a_request_for_another_host_is_misdirected(server: Site, path: str) -> None:
    answer = await server.request("GET", path, Host="evil.example:8080")

    assert (answer.status, answer.json["code"], answer.json["fields"]) == (
        421,
        "misdirected",
        {"host": "evil.example:8080"},
    )


async def test_a_handshake_for_another_host_is_misdirected(server: Site) -> None:
    assert await connect(server, "evil.example", "http://evil.example") == 421


@pytest.mark.parametrize("host", ["127.0.0.1:18083", "shop.example:443", "shop.example"])
async def test_a_page_of_the_public_address_connects_whatever_the_proxy_makes_of_host(site: Site, host: str) -> None:
    assert await connect(site, host, PUBLIC) == 101


async def test_a_page_of_another_origin_does_not(site: Site) -> None:
    assert await connect(site, "shop.example", "https://evil.example") == 403
