"""Terms of services: bounds, enums, small structs and refusals."""

from typing import Annotated

from msgspec import Meta

from protocol.ids import UserId
from protocol.rates import Rate, per_minute
from protocol.texts import TextKind, kind

#: Services of one business, the inactive ones included.
SERVICES_MAX = 100


IMAGES_MAX = 10


#: Staff members of one service.
SERVICE_STAFF_MAX = 50


DURATION_MINUTES_MAX = 31 * 24 * 60


BUFFER_MINUTES_MAX = 24 * 60


BUFFER_AFTER_MINUTES_DEFAULT = 15


CREDITS_MAX = 1_000_000


#: Searches for slots of one user or address: each reads and computes the time of up to 50 people.
SLOT_SEARCHES = per_minute(120)
#: Searches for slots of all users of a node together.
SLOT_SEARCHES_IN_ALL = Rate(100, 400)
#: Days of one search for slots.
SLOT_RANGE_DAYS_MAX = 31


SLOT_RANGE_DAYS_DEFAULT = 7


#: Days of one search in which every start is explained.
EXPLAINED_DAYS_MAX = 2


Title = Annotated[str, Meta(min_length=1, max_length=200, extra=kind(TextKind.NAME))]


#: An amount in major units.
Price = Annotated[int, Meta(ge=0)] | Annotated[float, Meta(ge=0)]


Credits = Annotated[int, Meta(ge=0, le=CREDITS_MAX)]


Duration = Annotated[int, Meta(ge=1, le=DURATION_MINUTES_MAX)]


Buffer = Annotated[int, Meta(ge=0, le=BUFFER_MINUTES_MAX)]


Image = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=500,
        description="The address of the picture: https, or a path of this server",
        extra=kind(TextKind.IMAGE),
    ),
]


Images = Annotated[tuple[Image, ...], Meta(max_length=IMAGES_MAX)]


StaffIds = Annotated[tuple[UserId, ...], Meta(max_length=SERVICE_STAFF_MAX)]


#: A date on the business's calendar, or an instant with its offset.
DateOrInstant = Annotated[str, Meta(max_length=40, examples=["2026-03-29", "2026-03-29T09:30:00+02:00"])]
