"""Admins send notices: once, by the named channels, and the text can be erased (rule N-8)."""

from typing import Any
from uuid import uuid4

import pytest

from protocol.delivery.channels import Channel
from protocol.notice.terms import NOTICE_BODY_MAX, NOTICE_READERS_MAX, NOTICE_TITLE_MAX
from protocol.notification.views import ListNotifications, NotificationView
from protocol.preference.commands import SetPreferences
from tests.support.faults import until
from tests.support.server import Person, Response, Site

PATH = "/notifications/send/"
TITLE, BODY = "Maintenance", "We are away on Sunday.\nAll bookings stay as they are."


async def send(site: Site, admin: Person, *readers: Person, key: str | None = None, **said: Any) -> Response:
    body = {"user_ids": [str(reader.id) for reader in readers], "title": TITLE, "body": BODY, **said}
    headers = {} if key is None else {"Idempotency-Key": key}
    return await site.request("POST", PATH, admin, body, **headers)


async def notices_of(site: Site, person: Person) -> list[NotificationView]:
    """A user's notifications except sign-ins, after the outbox is empty."""
    await site.at_rest()

    async def done() -> bool:
        waiting = "SELECT NOT EXISTS (SELECT FROM outbox) AND NOT EXISTS (SELECT FROM routing_queue)"
        return bool(await site.node.pool.fetchval(waiting))

    await until(done)
    page = await person.call(ListNotifications())
    return [item for item in page.items if item.type == "notification.sent"]


async def emails(site: Site, person: Person) -> list[str]:
    rows = await site.node.pool.fetch(
        "SELECT d.channel FROM deliveries d WHERE d.user_id = $1 AND d.template = 'notification.sent'", person.id
    )
    return sorted(row["channel"] for row in rows)


async def test_recipients_get_a_notice_live_in_the_list_and_by_email(server: Site) -> None:
    admin = await server.admin()
    ada, bob, carl = await server.people("Ada", "Bob", "Carl", live=True)

    answer = await send(server, admin, ada, bob, ada)

    assert (answer.status, answer.json["recipients"]) == (201, 2)
    event = await ada.hears("notification.sent")
    assert (event.data["content"]["title"], event.data["content"]["body"]) == (TITLE, BODY)
    for reader in (ada, bob):
        (item,) = await notices_of(server, reader)
        assert (item.title, item.body, item.read) == (TITLE, BODY, False)
        assert await emails(server, reader) == ["email"]
    assert await notices_of(server, carl) == []

    async def sent() -> bool:
        found = await server.node.pool.fetch(
            "SELECT message->>'subject' AS s FROM development_mailbox WHERE channel = 'email'"
        )
        return [row["s"] for row in found].count(TITLE) == 2

    await until(sent)


async def test_a_retry_under_its_key_has_one_effect(server: Site) -> None:
    admin, ada = await server.admin(), await server.person("Ada")

    first = await send(server, admin, ada, key="once")
    again = await send(server, admin, ada, key="once")
    other = await send(server, admin, ada, key="once", title="Something else")

    assert again.json == first.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert other.json["code"] == "command_id_reused"
    assert len(await notices_of(server, ada)) == 1


async def test_a_notice_has_a_hundred_recipients_at_most(server: Site) -> None:
    admin = await server.admin()
    people = await server.people(*[f"Person {number}" for number in range(NOTICE_READERS_MAX)])

    answer = await send(server, admin, *people)
    too_many = await send(server, admin, *people, admin)

    assert (answer.status, answer.json["recipients"]) == (201, NOTICE_READERS_MAX)
    assert too_many.json["fields"] == {"user_ids": "too_long"}
    await notices_of(server, admin)
    counted = "SELECT count(*) FROM notifications WHERE type = 'notification.sent'"
    assert await server.node.pool.fetchval(counted) == NOTICE_READERS_MAX


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({"title": "a\nb"}, {"title": "control_character"}),
        ({"title": "a\tb"}, {"title": "control_character"}),
        ({"title": "a\u2028b"}, {"title": "control_character"}),
        ({"title": "a\x00b"}, {"title": "control_character"}),
        ({"title": " \u200b"}, {"title": "blank"}),
        ({"title": ""}, {"title": "too_short"}),
        ({"title": "a" * (NOTICE_TITLE_MAX + 1)}, {"title": "too_long"}),
        ({"body": "a\x1b[0m"}, {"body": "control_character"}),
        ({"body": "\n"}, {"body": "blank"}),
        ({"body": "a" * (NOTICE_BODY_MAX + 1)}, {"body": "too_long"}),
        ({"channels": ["push", "web_push"]}, {"channels[1]": "not_offered"}),
        ({"channels": ["fax"]}, {"channels[0]": "unknown_value"}),
        ({"user_ids": []}, {"user_ids": "too_short"}),
        ({"user_ids": ["0190a000-0000-7000-8000-000000000000"]}, {"user_ids[0]": "not_found"}),
    ],
    ids=lambda value: "",
)
async def test_invalid_fields_are_named_and_nothing_is_sent(
    server: Site, said: dict[str, Any], fields: dict[str, str]
) -> None:
    admin, ada = await server.admin(), await server.person("Ada")

    answer = await send(server, admin, ada, **said)

    assert (answer.status, answer.json["fields"]) == (422, fields)
    assert await notices_of(server, ada) == []


async def test_an_erased_notice_is_not_shown_and_not_sent(server: Site) -> None:
    admin, ada = await server.admin(), await server.person("Ada")
    await send(server, admin, ada, channels=[])
    await notices_of(server, ada)

    await server.node.pool.execute("DELETE FROM notices")

    (item,) = await notices_of(server, ada)
    assert (item.title, item.body) == ("A message for you", "")
    journal = await server.node.pool.fetch(
        "SELECT data::text FROM journal UNION ALL SELECT event::text FROM notifications"
    )
    assert not [row for row in journal if TITLE in row[0]]


async def test_only_a_critical_notice_ignores_preferences(server: Site) -> None:
    admin, ada = await server.admin(), await server.person("Ada")
    await ada.call(SetPreferences(channels={"notification.sent": ()}))

    await send(server, admin, ada)
    await notices_of(server, ada)
    assert await emails(server, ada) == []

    await send(server, admin, ada, critical=True, channels=[Channel.EMAIL])
    assert len(await notices_of(server, ada)) == 2
    assert await emails(server, ada) == ["email"]


async def test_the_text_goes_to_the_recipients_only(server: Site) -> None:
    """The journal and the command log have the recipients and not the text."""
    admin, ada = await server.admin(), await server.person("Ada")
    secret = f"word {uuid4()}"
    await send(server, admin, ada, title=secret)
    (item,) = await notices_of(server, ada)
    assert item.title == secret

    for table in ("journal", "inbox", "command_log", "agenda", "outbox", "notifications", "deliveries"):
        rows = await server.node.pool.fetch(f"SELECT t::text AS row FROM {table} t")
        assert not [row for row in rows if secret in row["row"]], table
