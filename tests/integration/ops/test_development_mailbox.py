"""Messages of channels without a provider are shown at /dev/mailbox, in development only."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from protocol.delivery.channels import Channel
from protocol.ids import DeliveryId
from protocol.instants import parse_instant
from protocol.registry import PAGE_LIMIT_DEFAULT
from server.delivery.channels.sms.composer import Sms
from server.delivery.development_mailbox import MailboxAdapter
from server.edge.config import DevConfig
from storage.deliveries import keep_in_mailbox
from tests.support.server import Site, make_config, open_site

JSON = {"Accept": "application/json"}


async def keep(site: Site, channel: Channel = Channel.EMAIL, **message: Any) -> int:
    """Put one message into the mailbox; returns its number."""
    return await keep_in_mailbox(site.node.pool, channel, uuid4(), site.node.clock.now(), msgspec.json.encode(message))


async def page_of(site: Site, query: str = "") -> str:
    answer = await site.request("GET", f"/dev/mailbox{query}")
    assert answer.status == 200
    return answer.body.decode()


async def test_a_message_is_readable_whatever_its_fields_are(server: Site) -> None:
    await keep(
        server, to="carla@people.test", subject="Paid", text="See https://guild.test/b?x=1&y=2.", weather={"sun": True}
    )

    page = await page_of(server)

    for said in ("E-mail", "carla@people.test", "Paid", "weather", "{&quot;sun&quot;:true}"):
        assert said in page
    assert '<a href="https://guild.test/b?x=1&amp;y=2" target="_blank" rel="noreferrer">' in page


async def test_push_is_shown_as_a_card_and_sms_as_a_bubble(server: Site) -> None:
    await keep(server, Channel.PUSH, device_id=str(uuid4()), title="On the way", body="She comes at ten.")
    await keep(server, Channel.SMS, to="+4915112345678", text="Your code is 4711.")

    page = await page_of(server)

    assert re.search(r'class="card">.*On the way</b><p>She comes at ten\.', page)
    assert '<p class="bubble">Your code is 4711.</p>' in page


async def test_text_of_a_message_is_escaped_in_the_page(server: Site) -> None:
    nasty = "<script>alert(1)</script>\"'"
    for channel in (Channel.EMAIL, Channel.PUSH, Channel.SMS):
        said = dict.fromkeys(("to", "to_name", "subject", "title", "text", "body", "device_id", nasty), nasty)
        await keep(server, channel, **said, link=f"https://guild.test/{nasty}")

    page = await page_of(server)

    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 3
    assert 'href="https://guild.test/&lt;' not in page


async def test_an_html_email_is_framed_and_can_neither_run_scripts_nor_load_resources(server: Site) -> None:
    number = await keep(server, to="a@b.test", subject="S", text="T", html="<html><head></head><b>Hello</b></html>")

    page = await page_of(server)
    letter = await server.request("GET", f"/dev/mailbox/{number}")

    assert f'<iframe src="/dev/mailbox/{number}" sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
    assert b'<head><base target="_blank"></head><b>Hello</b>' in letter.body
    policy = letter.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "sandbox allow-popups" in policy
    assert "allow-scripts" not in policy + page
    assert "allow-same-origin" not in policy + page


@pytest.mark.parametrize("number", ["0", "x", "1" * 40, "%C2%B2", "-1"])
async def test_an_email_that_does_not_exist_is_not_found(server: Site, number: str) -> None:
    assert (await server.request("GET", f"/dev/mailbox/{number}")).status == 404


async def test_messages_are_listed_by_channel_in_pages_newest_first(server: Site) -> None:
    numbers = [await keep(server, Channel.SMS, to="+49", text=str(nth)) for nth in range(PAGE_LIMIT_DEFAULT + 5)]
    await keep(server, to="a@b.test", subject="S", text="T")

    first = (await server.request("GET", "/dev/mailbox?channel=sms", **JSON)).json
    second = (await server.request("GET", f"/dev/mailbox?channel=sms&cursor={first['next_cursor']}", **JSON)).json

    assert [one["id"] for one in first["items"] + second["items"]] == numbers[::-1]
    assert second["next_cursor"] is None
    assert first["items"][0]["message"] == {"to": "+49", "text": str(PAGE_LIMIT_DEFAULT + 4)}
    older = re.search(r'class="older" href="([^"]+)"', await page_of(server, "?channel=sms"))
    assert older is not None
    assert older[1] == f"/dev/mailbox?channel=sms&amp;cursor={first['next_cursor']}"


async def test_every_channel_is_one_click_away(server: Site) -> None:
    page = await page_of(server)

    assert set(re.findall(r'href="/dev/mailbox\?channel=(\w+)"', page)) == set(Channel)


@pytest.mark.parametrize("query", ["channel=pigeon", "cursor=nonsense"])
async def test_an_invalid_query_is_refused(server: Site, query: str) -> None:
    assert (await server.request("GET", f"/dev/mailbox?{query}")).status == 422


async def test_the_page_loads_nothing_from_other_origins(server: Site) -> None:
    answer = await server.request("GET", "/dev/mailbox")
    page = answer.body.decode()

    assert "script-src" not in answer.headers["Content-Security-Policy"]
    for address in re.findall(r'(?:href|src)="([^"]+)"', page):
        assert address.startswith("/")
        if address.endswith((".css", ".svg")):
            assert (await server.request("GET", address)).status == 200


async def test_the_entrance_links_to_the_mailbox(server: Site) -> None:
    assert b'href="/dev/mailbox"' in (await server.request("GET", "/")).body


async def test_without_development_mode_there_is_no_mailbox(database_dsn: str, tmp_path: Any) -> None:
    async with open_site(database_dsn, make_config(tmp_path, dev=DevConfig(enabled=False))) as site:
        assert (await site.request("GET", "/dev/mailbox")).status == 404
        assert b"/dev/mailbox" not in (await site.request("GET", "/")).body


async def test_a_message_has_the_date_of_the_server_s_clock(server: Site) -> None:
    await server.advance(timedelta(days=390))
    mailbox = MailboxAdapter(Channel.SMS, server.node.pool, server.node.clock.now)

    before = server.node.clock.now()
    await mailbox.send([Sms(id=DeliveryId(uuid4()), to="+4915112345678", text="Later")])

    (kept,) = (await server.request("GET", "/dev/mailbox?channel=sms", **JSON)).json["items"]
    assert before <= parse_instant(kept["at"]) <= server.node.clock.now()
    assert f" {before:%Y} " in await page_of(server)
