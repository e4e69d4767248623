"""Events: what happened, in the past tense. One declaration defines type, recipients, importance and content.

@event("booking.declined", tell=tell({Party.CUSTOMER, Party.OWNER}, ANY_CHANNEL))
class BookingDeclined(Event):
    \"\"\"The provider refuses the job.\"\"\"
    by: UserId
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar

from msgspec import Struct
from msgspec.json import Encoder

from protocol.notification.types import NotificationType, register


class Row(Struct, frozen=True, kw_only=True, gc=False):
    """One row of a read table, written as a whole in the commit of its decision."""

    table: ClassVar[str]
    key: ClassVar[tuple[str, ...]]


RowType = type[Row]

#: type → class.
EVENTS: dict[str, type["Event"]] = {}

#: In a fixed order, so that live and replayed events have equal bytes.
_encode = Encoder(order="deterministic").encode

#: Fields of a frame beside an event's own ones; no event may have a field of these names.
RESERVED_FIELDS = frozenset({"changes", "content", "refetch", "redacted"})


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An event of one actor. Contains ids, codes and amounts; never contact data or free text.

    A changed struct gets a higher ``schema`` and an upcaster.
    """

    #: ``<noun>.<what happened>``.
    type: ClassVar[str]
    noun: ClassVar[str]
    schema: ClassVar[int] = 1
    #: Who is notified of it, and how; None: nobody.
    tell: ClassVar[NotificationType | None] = None
    #: False: it never changes the public fields of its entity's view, nor who may see it.
    public: ClassVar[bool] = True
    #: Fields of the entity's view that may look different now and are not in ``changes``; ``*``: all of them.
    refetch: ClassVar[tuple[str, ...]] = ()
    #: The row class of the free text that is shown with it, as long as that row exists.
    content: ClassVar[RowType | None] = None
    #: The event's field that holds that row's id.
    content_id: ClassVar[str] = ""


E = TypeVar("E", bound=type[Event])


def event(
    name: str,
    *,
    tell: NotificationType | None = None,
    public: bool = True,
    refetch: Iterable[str] = (),
    content: tuple[RowType, str] | None = None,
) -> Callable[[E], E]:
    """Declare an event.

    Args:
        name: its type on the wire, ``<noun>.<what happened>``.
        tell: who is notified of it, by which channels, and how important it is.
        public: False for an event that never changes the public fields of its entity's view, nor who may see it.
        refetch: fields of the entity's view that may look different afterwards and that no event may carry, such as
            contact data that becomes visible; ``*`` for the whole view.
        content: the row class of the free text that is shown with it, and the field that holds that row's id.
    """

    def declare(cls: E) -> E:
        noun, dot, what = name.partition(".")
        assert all((noun, dot, what)), f"{name} is not <noun>.<what happened>"
        assert name not in EVENTS, f"the event {name} is declared twice"
        assert not RESERVED_FIELDS & set(cls.__struct_fields__), f"{name} has a field with a name that frames reserve"
        cls.type, cls.noun, cls.public, cls.refetch = name, noun, public, tuple(refetch)
        if content is not None:
            cls.content, cls.content_id = content
        if tell is not None:
            cls.tell = register(name, tell)
        EVENTS[name] = cls
        return cls

    return declare


def event_json(event: Event, changes: dict[str, Any] | None) -> bytes:
    """Encode an event for the journal: its fields, and ``changes`` if there are any."""
    fields = _encode(event)
    return fields if changes is None else with_field(fields, "changes", _encode(changes))


def with_field(fields: bytes, name: str, value: bytes) -> bytes:
    """Add a field to an encoded JSON object."""
    comma = b"," if len(fields) > 2 else b""
    return b'%b%b"%b":%b}' % (fields[:-1], comma, name.encode(), value)
