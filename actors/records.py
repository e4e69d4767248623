"""Owned records as a part of their owner's actor: put, drop, event and limit for every declared record."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from actors.actor import Actor, applies, handles
from actors.rules.texts import text_problem
from protocol.errors import Forbidden, Invalid, LimitReached, NotFound
from protocol.events import Event
from protocol.ids import BusinessId, Kind
from protocol.nouns import import_nouns
from protocol.records import RECORDS, Record, RecordAsk, RecordFacts
from protocol.registry import Command


def records_of(kind: Kind) -> ModuleType:
    """Build the part that handles all records of one kind of owner."""
    import_nouns()
    part = ModuleType(f"records of a {kind.value}")
    for record in RECORDS.values():
        if record.owner is kind:
            vars(part)[f"put_{record.name}"] = _putting(record)
            vars(part)[f"drop_{record.name}"] = _dropping(record)
            vars(part)[f"{record.name}_changed"] = _applying(record)
    return part


def _applying(record: Record) -> Callable[..., Any]:
    @applies(record.Changed)
    def unchanged(state: Any, event: Event) -> Any:
        """Records are rows and are not part of the owner's state."""
        return state

    return unchanged


def _asking(record: Record) -> Callable[[Actor[Any], Command], RecordAsk]:
    def ask(owner: Actor[Any], command: Command) -> RecordAsk:
        return RecordAsk(record.name, owner.actor_id, getattr(command, record.key))

    return ask


def _putting(record: Record) -> Callable[..., Any]:
    @handles(record.Put, facts=RecordFacts, asks=_asking(record))
    def put(owner: Actor[Any], command: Command, facts: RecordFacts) -> Any:
        """Write one record. Raises: Invalid, NotFound, LimitReached, Forbidden."""
        _owner_only(owner)
        fields = record.of(command)
        texts = {name: value for name in fields.__struct_fields__ if isinstance(value := getattr(fields, name), str)}
        problems = {name: text_problem(text, lines=False) for name, text in texts.items() if text}
        wrong = {name: problem for name, problem in problems.items() if problem} | dict(record.problems(fields))
        if wrong:
            raise Invalid(**wrong)
        record_id, place = getattr(command, record.key), facts.place
        if record_id is None:
            place = next((one for one in range(record.records_max) if one not in facts.taken), None)
            if place is None:
                raise LimitReached(limit=record.plural, max=record.records_max)
            record_id = owner.new_id()
            owner.claim_key(record.place, f"{owner.actor_id}/{place}")
        elif place is None:
            raise NotFound(entity=record.name, id=str(record_id))
        written = {name: getattr(fields, name) for name in fields.__struct_fields__}
        owner.emit(record.Changed(id=record_id))
        owner.put(record.Row(owner_id=owner.actor_id, id=record_id, place=place, put_at=owner.now, **written))
        return record.Reply(**{record.key: record_id})

    return put


def _dropping(record: Record) -> Callable[..., Any]:
    @handles(record.Drop, facts=RecordFacts, asks=_asking(record))
    def drop(owner: Actor[Any], command: Command, facts: RecordFacts) -> None:
        """Delete one record. Raises: NotFound, Forbidden."""
        _owner_only(owner)
        record_id = getattr(command, record.key)
        if facts.place is None:
            raise NotFound(entity=record.name, id=str(record_id))
        owner.emit(record.Changed(id=record_id, deleted=True))
        owner.drop(record.plural, id=record_id)
        owner.release_key(record.place, f"{owner.actor_id}/{facts.place}")

    return drop


def _owner_only(owner: Actor[Any]) -> None:
    """Require the user themselves, or a manager of the business. Raises: NotFound, if there is no owner; Forbidden."""
    manages = owner.kind is Kind.USER or owner.principal.manages(BusinessId(owner.actor_id))
    if owner.state is not None and not manages:
        raise Forbidden(reason="managers_only")
