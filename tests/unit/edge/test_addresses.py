"""The client's address of a request, when clients may forge headers."""

from unittest.mock import Mock

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from server.edge.addresses import Addresses


def address(peer: str | None, forwarded: str | list[str] | None, *trusted: str) -> str:
    lines = [forwarded] if isinstance(forwarded, str) else forwarded or []
    headers = CIMultiDict([("X-Forwarded-For", line) for line in lines])
    transport = Mock()
    transport.get_extra_info.side_effect = lambda name, default=None: (
        (peer, 1) if name == "peername" and peer else default
    )
    return Addresses(trusted or ("10.0.0.0/8",)).of(
        make_mocked_request("GET", "/", headers=headers, transport=transport)
    )


def test_the_header_of_an_untrusted_client_is_ignored() -> None:
    assert address("203.0.113.9", "198.51.100.1") == "203.0.113.9"
    assert address("203.0.113.9", None) == "203.0.113.9"


def test_the_header_of_a_trusted_proxy_counts() -> None:
    assert address("10.0.0.1", "203.0.113.9") == "203.0.113.9"
    assert address("::ffff:10.0.0.1", "2001:db8::1") == "2001:db8::1"


def test_only_hops_added_by_trusted_proxies_count() -> None:
    assert address("10.0.0.1", "198.51.100.1, 203.0.113.9, 10.0.0.2") == "203.0.113.9"


def test_a_header_line_of_the_client_does_not_hide_that_of_the_proxy() -> None:
    assert address("10.0.0.1", ["198.51.100.1", "203.0.113.9"]) == "203.0.113.9"


@pytest.mark.parametrize("forwarded", ["", "unknown", "203.0.113.9:1234", "10.0.0.2, <script>", "," * 500])
def test_a_forwarded_text_that_is_not_an_address_is_ignored(forwarded: str) -> None:
    assert address("10.0.0.1", forwarded) == "10.0.0.1"


def test_a_proxy_at_a_unix_socket_is_trusted() -> None:
    assert address(None, "203.0.113.9") == "203.0.113.9"
    assert address(None, None) == ""


def test_an_invalid_network_is_refused_at_start() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        Addresses(["everybody"])
