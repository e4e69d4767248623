"""Facts that decisions about codes are made on, loaded before the turn."""

from typing import NamedTuple

from msgspec import Struct

from protocol.code.terms import Purpose
from protocol.confidential import Confidential
from protocol.ids import UserId
from protocol.user.rows import Person


class ContactAsk(NamedTuple):
    """Whose contact data, and the code of which purpose."""

    user_id: UserId
    purpose: Purpose


class ContactFacts(Confidential, Struct, frozen=True, kw_only=True):
    """How a user is reached now, and where their code was sent."""

    person: Person
    #: None: there is no code for that purpose.
    target: str | None
    #: It is another account's.
    taken: bool = False
