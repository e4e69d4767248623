"""Facts of decisions about codes."""

from typing import NamedTuple

from msgspec import Struct

from protocol.code.terms import Purpose
from protocol.confidential import Confidential
from protocol.ids import UserId
from protocol.user.rows import Person


class ContactAsk(NamedTuple):
    """The user, and the purpose of the code."""

    user_id: UserId
    purpose: Purpose


class ContactFacts(Confidential, Struct, frozen=True, kw_only=True):
    """A user's contact data, and the target of their code."""

    person: Person
    #: None: there is no code for that purpose.
    target: str | None
    #: Whether another account has the target.
    taken: bool = False
