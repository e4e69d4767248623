"""Owned records: simple rows without states of their own, put and dropped by their owner.

    ADDRESS = Record("address", plural="addresses", owner=Kind.USER, fields=Address, records_max=20, by=ANYONE)

This declaration defines

* the command ``address.put`` at ``POST /addresses/`` (a new one) and ``PUT /addresses/{address_id}/`` (in its place),
  ``address.drop`` at ``DELETE /addresses/{address_id}/``, and the query ``address.list`` at ``GET /addresses/``, paged;
* the event ``address.changed {id, deleted}``, which goes to those who get their owner's events;
* the row, which the owner's actor writes in the commit of the command (``actors/records.py``);
* the limit: each record claims one of ``records_max`` places of its owner, so the database enforces it.

The owner is the sender's user actor, or the business that they act for. The ids of records are not in the owner's
state. Something with states of its own is not a record. A migration creates the table, with the row's columns in order.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from protocol.confidential import Confidential
from protocol.effects import UniqueKey
from protocol.errors import Conflict, LimitReached, NotFound
from protocol.events import Event, Row, event
from protocol.ids import Kind
from protocol.registry import PAGE_LIMIT_DEFAULT, Command, PageLimit, Query, View, command, query
from protocol.roles import Role


class RecordFields(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of a record that its owner writes."""


class Readers(StrEnum):
    """Who may list the records of a business; those of a user are their own."""

    MEMBERS = "members"
    MANAGERS = "managers"


class RecordAsk(NamedTuple):
    """The owner and the name of records, and possibly one record."""

    name: str
    owner_id: UUID
    #: None: a new record.
    record_id: UUID | None


class RecordFacts(Struct, frozen=True, kw_only=True):
    """Facts: the places that an owner's records take. Never stale: each put or drop changes the owner's version."""

    #: The place of the requested record; None: there is no record of that id.
    place: int | None
    taken: frozenset[int]


#: name → record.
RECORDS: dict[str, "Record"] = {}


class Record:
    """One kind of owned record.

    Args:
        name: the noun, singular; ``<name>_id`` is the field that names one.
        plural: the path, and the table.
        owner: the kind of actor that owns them: a user, or a business.
        fields: the fields that the owner writes.
        records_max: records of one owner.
        by: the roles that may put, drop and list them.
        readers: members of a business who may list them; only managers may put and drop.
        problems: validates fields together; returns field → code. Pure.
    """

    def __init__(
        self,
        name: str,
        *,
        plural: str,
        owner: Kind,
        fields: type[RecordFields],
        records_max: int,
        by: Iterable[Role],
        readers: Readers = Readers.MEMBERS,
        problems: Callable[[Any], Mapping[str, str]] | None = None,
    ) -> None:
        assert owner in (Kind.USER, Kind.BUSINESS), f"a {owner.value} cannot own records"
        assert name not in RECORDS, f"the record {name} is declared twice"
        self.name, self.plural, self.owner, self.fields = name, plural, owner, fields
        self.records_max, self.readers = records_max, readers
        self.problems = problems or (lambda record: {})
        self.key = f"{name}_id"
        self.place = UniqueKey(
            f"{name}_place", taken=Conflict
        )  # never returned: with facts a lost claim causes a rerun
        roles = frozenset(by)
        written = [_field(one) for one in msgspec.structs.fields(fields)]
        self.Row = self._row(written)
        self.Changed = self._changed()
        self.View, self.Reply, self.Page = self._views(written)
        self.Put, self.Drop = self._commands(written, roles)
        self.List = self._list(roles)
        RECORDS[name] = self

    def of(self, put: Command) -> RecordFields:
        """The fields of a put command."""
        return self.fields(**{name: getattr(put, name) for name in self.fields.__struct_fields__})

    # The structs

    def _make(self, name: str, bases: tuple[type, ...], doc: str, fields: list[Any], **namespace: Any) -> Any:
        title = "".join(part.capitalize() for part in self.name.split("_"))
        hidden = issubclass(self.fields, Confidential)
        namespace = {"__doc__": doc, "notes_from": self.fields, **namespace}
        return msgspec.defstruct(
            name.format(title),
            fields,
            bases=(Confidential, *bases) if hidden else bases,
            namespace=namespace,
            module=self.fields.__module__,
            frozen=True,
            kw_only=True,
        )

    def _row(self, written: list[Any]) -> type[Row]:
        fields = [("owner_id", UUID), ("id", UUID), ("place", int), *written, ("put_at", datetime)]
        doc = f"One record of {self.plural}; erasable."
        row: type[Row] = self._make("{}Row", (Row,), doc, fields, table=self.plural, key=("id",))
        return row

    def _changed(self) -> type[Event]:
        doc = f"One of the {self.plural} was put or dropped; list them again."
        fields = [("id", UUID), ("deleted", bool, False)]
        changed: type[Event] = self._make("{}Changed", (Event,), doc, fields)
        return event(f"{self.name}.changed")(changed)

    def _views(self, written: list[Any]) -> tuple[type[View], type[View], type[View]]:
        doc = (self.fields.__doc__ or "").strip()
        view = self._make("{}View", (View,), doc, [("id", UUID), *written, ("put_at", datetime)])
        reply = self._make("{}Reply", (View,), f"Which of the {self.plural} it is.", [(self.key, UUID)])
        page_fields = [("items", list[view]), ("next_cursor", str | None), ("as_of", str)]  # type: ignore[valid-type]  # made here
        page = self._make("{}Page", (View,), f"A page of {self.plural}, the one put last first.", page_fields)
        return view, reply, page

    def _commands(self, written: list[Any], by: frozenset[Role]) -> tuple[type[Command], type[Command]]:
        one = f"/{self.plural}/{{{self.key}}}/"
        put = self._make(
            "Put{}",
            (Command,),
            f"Save one of the {self.plural}: a new one, or a replacement of the one that is named.",
            [*written, (self.key, UUID | None, None)],
        )
        drop = self._make("Drop{}", (Command,), f"Drop one of the {self.plural}.", [(self.key, UUID)])
        command(
            f"{self.name}.put",
            actor=self.owner,
            by=by,
            reply=self.Reply,
            routes=(f"POST /{self.plural}/", f"PUT {one}"),
            errors=(LimitReached, NotFound),
        )(put)
        command(f"{self.name}.drop", actor=self.owner, by=by, routes=(f"DELETE {one}",), errors=(NotFound,))(drop)
        return put, drop

    def _list(self, by: frozenset[Role]) -> type[Query]:
        fields = [("limit", PageLimit, PAGE_LIMIT_DEFAULT), ("cursor", str | None, None)]
        listing = self._make(
            f"List{self.plural.capitalize()}", (Query,), f"The sender's {self.plural}, the one put last first.", fields
        )
        query(f"{self.name}.list", by=by, view=self.Page, routes=(f"GET /{self.plural}/",))(listing)
        found: type[Query] = listing
        return found


def _field(field: msgspec.structs.FieldInfo) -> tuple[Any, ...]:
    """The definition of a field for another struct, with its bounds and its default."""
    if field.required:
        return field.name, field.type
    return field.name, field.type, field.default
