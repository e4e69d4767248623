"""Owned records by declaration: what one declaration gives, and who may use it where a business is the owner."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from actors.actor import Actor, Turn
from actors.business.actor import Business
from actors.business.state import BusinessState, Member
from actors.records import records_of
from protocol.errors import Forbidden, Invalid, LimitReached, NotFound
from protocol.events import EVENTS
from protocol.ids import BusinessId, Kind, UserId
from protocol.records import RECORDS, Readers, Record, RecordAsk, RecordFacts, RecordFields
from protocol.registry import BY_NAME, BY_TYPE
from protocol.roles import PROVIDERS, Principal, Role

NOW = datetime(2030, 6, 1, 10, tzinfo=UTC)
SHOP, ID = BusinessId(UUID(int=50)), UUID(int=60)
OLGA, EVA = UserId(UUID(int=1)), UserId(UUID(int=2))
FREE = RecordFacts(place=None, taken=frozenset())


class Tool(RecordFields, frozen=True, kw_only=True):
    """A tool of the shop."""

    label: str
    weight_g: int = 0


@pytest.fixture(scope="module")
def tool() -> Any:
    record = Record(
        "tool",
        plural="tools",
        owner=Kind.BUSINESS,
        fields=Tool,
        records_max=2,
        by=PROVIDERS,
        readers=Readers.MANAGERS,
        problems=lambda one: {"weight_g": "negative"} if one.weight_g < 0 else {},
    )
    yield record
    del RECORDS["tool"], EVENTS["tool.changed"]
    for name in ("tool.put", "tool.drop", "tool.list"):
        del BY_TYPE[BY_NAME.pop(name).type]


def shop(by: UserId = OLGA, *, manager: bool = True) -> Actor[Any]:
    member = Member(Role.OWNER, True, False)
    state = BusinessState(owner_id=OLGA, zone="UTC", currency="EUR", commission_bp=1000, members={OLGA: member})
    principal = Principal(user_id=by, role=Role.OWNER, roles=frozenset({Role.OWNER}), business_id=SHOP, manager=manager)
    with_tools = type("Shop", (Business,), {"parts": (records_of(Kind.BUSINESS),)})
    made: Actor[Any] = with_tools(SHOP, state, Turn(NOW, principal, lambda: ID))
    return made


def call(record: Record, actor: Actor[Any], command: Any, facts: RecordFacts = FREE) -> Any:
    handler = type(actor).handlers[type(command)]
    assert handler.asks(actor, command) == RecordAsk("tool", SHOP, getattr(command, "tool_id", None))
    return handler.call(actor, command, facts)


def test_one_declaration_gives_commands_query_event_and_row(tool: Record) -> None:
    assert {route.path for name in ("tool.put", "tool.drop", "tool.list") for route in BY_NAME[name].routes} == {
        "/tools/",
        "/tools/{tool_id}/",
    }
    assert tool.Changed.type == "tool.changed"
    assert tool.Row.__struct_fields__ == ("owner_id", "id", "place", "label", "weight_g", "put_at")
    assert BY_NAME["tool.put"].by == PROVIDERS


def test_a_new_one_claims_the_first_free_place(tool: Record) -> None:
    actor = shop()

    reply = call(tool, actor, tool.Put(label="Saw"), RecordFacts(place=None, taken=frozenset({0})))

    assert reply == tool.Reply(tool_id=ID)
    claim, put = actor.effects
    assert (claim.unique, claim.key) == (tool.place, f"{SHOP}/1")  # type: ignore[union-attr]  # a claim
    assert put.row == tool.Row(owner_id=SHOP, id=ID, place=1, label="Saw", weight_g=0, put_at=NOW)  # type: ignore[union-attr]  # a row


def test_one_too_many_is_refused_before_anything_is_claimed(tool: Record) -> None:
    actor = shop()

    with pytest.raises(LimitReached) as refused:
        call(tool, actor, tool.Put(label="Saw"), RecordFacts(place=None, taken=frozenset({0, 1})))

    assert refused.value.fields == {"limit": "tools", "max": 2}
    assert (actor.emitted, actor.effects) == ([], [])


def test_what_is_put_again_keeps_its_place(tool: Record) -> None:
    actor = shop()

    call(tool, actor, tool.Put(label="Saw", tool_id=ID), RecordFacts(place=1, taken=frozenset({0, 1})))

    (put,) = actor.effects
    assert put.row.place == 1  # type: ignore[union-attr]  # a row


def test_one_that_is_not_there_is_not_found(tool: Record) -> None:
    with pytest.raises(NotFound):
        call(tool, shop(), tool.Put(label="Saw", tool_id=ID))
    with pytest.raises(NotFound):
        call(tool, shop(), tool.Drop(tool_id=ID))


def test_only_managers_write_what_a_business_owns(tool: Record) -> None:
    with pytest.raises(Forbidden):
        call(tool, shop(EVA, manager=False), tool.Put(label="Saw"))
    with pytest.raises(Forbidden):
        call(tool, shop(EVA, manager=False), tool.Drop(tool_id=ID), RecordFacts(place=0, taken=frozenset({0})))


def test_every_problem_is_named(tool: Record) -> None:
    with pytest.raises(Invalid) as refused:
        call(tool, shop(), tool.Put(label="\u200b", weight_g=-1))

    assert refused.value.fields == {"label": "blank", "weight_g": "negative"}


def test_a_second_record_of_a_name_and_an_owner_that_cannot_own_are_refused(tool: Record) -> None:
    with pytest.raises(AssertionError, match="tool is declared twice"):
        Record("tool", plural="tools", owner=Kind.BUSINESS, fields=Tool, records_max=2, by=PROVIDERS)
    with pytest.raises(AssertionError, match="cannot own records"):
        Record("screw", plural="screws", owner=Kind.BOOKING, fields=Tool, records_max=2, by=PROVIDERS)
