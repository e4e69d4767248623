"""Events: what happened, in the past tense. One declaration serves state, timeline, apps and integrators."""

import re
from typing import ClassVar

from msgspec import Struct

_CAMEL = re.compile(r"(?<!^)(?=[A-Z])")


class Row(Struct, frozen=True, kw_only=True, gc=False):
    """One row of a read table, written whole in the commit of the decision that it follows from."""

    table: ClassVar[str]
    key: ClassVar[tuple[str, ...]]


RowType = type[Row]

#: type → class.
EVENTS: dict[str, type["Event"]] = {}


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Something that happened to one actor. Holds ids, codes and amounts; never contact data or free text.

    ``BookingCreated`` has the type ``booking.created``. A changed shape gets a higher ``schema`` and an upcaster.
    """

    type: ClassVar[str]
    schema: ClassVar[int] = 1
    #: The row class of the free text that is shown with it, as long as that row exists.
    content: ClassVar[RowType | None] = None
    #: The event's field that holds that row's id.
    content_id: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        noun, *rest = _CAMEL.sub("_", cls.__name__).lower().split("_")
        cls.type = f"{noun}.{'_'.join(rest)}"
        EVENTS[cls.type] = cls
