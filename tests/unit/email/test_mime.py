"""The MIME form of e-mails."""

from datetime import UTC, datetime
from uuid import UUID

from protocol.ids import DeliveryId
from server.delivery.channels.email.mime import Email, Sender, to_wire

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
SENDER = Sender("no-reply@market.example.com", "Guildwire")
#: As long as real ones, and longer than the lines that the library leaves unfolded.
URL = f"https://market.example.com/unsubscribe/{'A' * 90}"


def lines_of(**said: str) -> list[bytes]:
    email = Email(id=DeliveryId(UUID(int=5)), to="ada@example.com", text="Hello", **{"subject": "Hello", **said})
    return to_wire(email, SENDER, NOW).data.split(b"\r\n")


def test_a_long_unsubscribe_url_stays_on_one_line() -> None:
    lines = lines_of(unsubscribe_url=URL)

    assert f"List-Unsubscribe: <{URL}>".encode() in lines
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in lines


def test_a_long_message_id_stays_one() -> None:
    email = Email(id=DeliveryId(UUID(int=5)), to="ada@example.com", subject="Hello", text="Hello")
    domain = f"{'a' * 60}.example.com"

    data = to_wire(email, Sender(f"no-reply@{domain}", "Guildwire"), NOW).data

    assert f"<{email.id}@{domain}>".encode() in data


def test_no_line_is_longer_than_mail_servers_accept() -> None:
    lines = lines_of(subject="ä" * 200, to_name="ö" * 80, unsubscribe_url=URL, html=f"<p>{'x' * 5_000}")

    assert max(map(len, lines)) <= 998
