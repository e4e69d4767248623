"""Addresses that users name: the open internet alone, in whatever clothes the others come."""

import pytest

from actors.rules.public_urls import endpoint_problem, is_public


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_of_the_open_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::"),
        *("::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b:1::7f00:1", "fec0::1", "5f00::1"),
    ],
)
def test_private_and_unallocated_addresses(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://fcm.googleapis.com/fcm/send/abc", None),
        ("https://updates.push.services.mozilla.com/wpush/v2/abc", None),
        ("https://push.example:8443/abc?token=1", None),
        ("https://8.8.8.8/abc", None),
        ("http://push.example/abc", "not_https"),
        ("ftp://push.example/abc", "not_https"),
        ("push.example/abc", "not_https"),
        ("https:///abc", "not_a_url"),
        ("https://push.example:99999/abc", "not_a_url"),
        ("https://[::1/abc", "not_a_url"),
        ("https://ada:secret@push.example/abc", "not_a_url"),
        ("https://@push.example/abc", "not_a_url"),
        ("https://push.example/abc#part", "not_a_url"),
        ("https://push..example/abc", "not_a_url"),
        ("https://.example/abc", "not_a_url"),
        ("https://%70ush.example/abc", "not_a_url"),
        ("https://push.example;v=1/abc", "not_a_url"),
        (f"https://{'a' * 64}.example/abc", "not_a_url"),
        (f"https://{'a.' * 126}example/abc", "not_a_url"),
        ("https://push_1.example./abc", None),
        ("https://127.0.0.1/abc", "private_address"),
        ("https://[::1]/abc", "private_address"),
        ("https://[::ffff:10.0.0.1]/abc", "private_address"),
        ("https://169.254.169.254/latest/meta-data", "private_address"),
        ("https://localhost/abc", "private_address"),
        ("https://LOCALHOST./abc", "private_address"),
        ("https://printer.local/abc", "private_address"),
        ("https://postgres/abc", "private_address"),
        ("https://2130706433/abc", "private_address"),
        ("https://0x7f.1/abc", "private_address"),
    ],
)
def test_a_url_is_called_only_if_it_may_lead_out(url: str, problem: str | None) -> None:
    assert endpoint_problem(url) == problem


def test_where_private_ones_are_wanted_they_and_plain_http_are_fine() -> None:
    assert endpoint_problem("http://127.0.0.1:9000/abc", private=True) is None
    assert endpoint_problem("ftp://127.0.0.1/abc", private=True) == "not_https"
