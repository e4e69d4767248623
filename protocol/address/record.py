"""Saved addresses of a user, where jobs are done."""

from typing import Annotated

from msgspec import Meta

from protocol.confidential import Confidential
from protocol.ids import Kind
from protocol.places import Latitude, Longitude
from protocol.records import Record, RecordFields
from protocol.roles import ANYONE
from protocol.texts import TextKind, kind

ADDRESSES_MAX = 20

Label = Annotated[str, Meta(min_length=1, max_length=60, extra=kind(TextKind.NAME))]
Street = Annotated[str, Meta(min_length=1, max_length=200, extra=kind(TextKind.NAME))]
City = Annotated[str, Meta(min_length=1, max_length=100, extra=kind(TextKind.NAME))]
Short = Annotated[str, Meta(max_length=100, extra=kind(TextKind.NAME))]
CountryCode = Annotated[str, Meta(pattern=r"^[A-Z]{2}$(?!\n)", description="ISO 3166-1 alpha-2", examples=["DE"])]


class Address(Confidential, RecordFields, frozen=True, kw_only=True):
    """A saved address."""

    #: The user's label, such as "Home".
    label: Label
    #: Street and number, on one line.
    street: Street
    #: Floor, entrance and other directions.
    details: Short = ""
    postal_code: Short = ""
    city: City
    #: State, province or canton.
    region: Short = ""
    #: ISO 3166-1 alpha-2.
    country: CountryCode
    #: Degrees, WGS 84; only together with ``longitude``.
    latitude: Latitude | None = None
    longitude: Longitude | None = None


def _position_is_whole(address: Address) -> dict[str, str]:
    missing = [name for name in ("latitude", "longitude") if getattr(address, name) is None]
    return {missing[0]: "missing"} if len(missing) == 1 else {}


ADDRESS = Record(
    "address",
    plural="addresses",
    owner=Kind.USER,
    fields=Address,
    records_max=ADDRESSES_MAX,
    by=ANYONE,
    problems=_position_is_whole,
)
