"""docs/notifications.md matches the declared types and the rules."""

import re
from pathlib import Path

from actors.rules.quiet_hours import DIGEST_CLOSES_S, PARTS
from actors.rules.routing import LIVE_FIRST_S, SEEN_FIRST_S
from protocol.delivery.channels import Channel
from protocol.notice.terms import NOTICE_READERS_MAX
from protocol.notification.registry import NOTIFICATIONS
from protocol.notification.types import NotificationType, Party
from protocol.preference.commands import SetPreferences
from protocol.preference.terms import DIGEST_HOUR_DEFAULT, ZONE_DEFAULT
from server.delivery.digest import DIGEST_ITEMS_MAX
from tests.support.documents import ROOT, table

PAGE = Path(ROOT / "docs/notifications.md")
NAMES = {Channel.PUSH: "push", Channel.EMAIL: "e-mail", Channel.SMS: "SMS", Channel.WHATSAPP: "WhatsApp"}


def row(one: NotificationType) -> list[str]:
    importance = one.importance.value if one.routing is None else "as it is written"
    parties = [party.value for party in Party if party in one.to]
    return [
        f"`{one.name}`",
        ", ".join(parties),
        ", ".join(NAMES[channel] for channel in NAMES if channel in one.channels),
        importance,
    ]


def test_the_table_of_types_has_each_declared_type() -> None:
    assert sorted(table(PAGE, "type | recipients | channels | importance")) == sorted(map(row, NOTIFICATIONS))


def test_the_table_of_preferences_has_each_of_them_and_its_default() -> None:
    rows = {cells[0].strip("`"): cells[-1].strip("`") for cells in table(PAGE, "field | meaning | default")}

    assert set(rows) == set(SetPreferences.__struct_fields__)
    assert rows["zone"] == ZONE_DEFAULT
    assert rows["digest_hour"] == str(DIGEST_HOUR_DEFAULT)


def test_the_table_of_the_parts_of_a_day_is_that_of_the_rules() -> None:
    minutes = {part.value: [f"{minute // 60:02}:{minute % 60:02}" for minute in span] for part, span in PARTS.items()}

    assert {name.strip("`"): rest for name, *rest in table(PAGE, "part of a day | from | until")} == minutes


def test_every_reason_that_is_named_is_one_that_is_given() -> None:
    source = "".join(path.read_text() for path in (ROOT / "server/delivery").rglob("*.py"))
    reasons = [cells[0].strip("`") for cells in table(PAGE, "reason | meaning")]

    assert [reason for reason in reasons if f'Suppressed("{reason}")' not in source] == []


def test_the_figures_in_the_text_are_those_of_the_code() -> None:
    text = re.sub(r"\s+", " ", PAGE.read_text())

    assert f"not seen within {SEEN_FIRST_S} s" in text
    assert f"A push waits {LIVE_FIRST_S} s" in text
    assert f"{DIGEST_ITEMS_MAX} at most and the number of those beyond" in text
    assert f"`user_ids` ({NOTICE_READERS_MAX} at most)" in text
    assert DIGEST_CLOSES_S == 5 * 60
