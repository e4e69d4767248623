"""Leaving a business: who left is taken out of its open bookings and conversations, page by page."""

from datetime import timedelta

from msgspec.structs import replace

from actors.actor import Actor, handles
from actors.business.state import BusinessState
from protocol.booking.commands import FlagStaffLeft
from protocol.business.commands import ReleaseLeaver
from protocol.business.facts import LeaverAsk, LeaverWork
from protocol.conversation.commands import HandOverConversation
from protocol.conversation.terms import Participant
from protocol.ids import BookingId, BusinessId, ConversationId, Kind, UserId

#: A booking that was being made for the leaver may commit after them; it is found by a second look.
SECOND_LOOK = timedelta(minutes=1)


def release_leaver(business: Actor[BusinessState], user_id: UserId) -> None:
    """Take a leaver out of what they take part in, now and once more in a minute."""
    command = ReleaseLeaver(business_id=BusinessId(business.actor_id), user_id=user_id)
    business.send(business.ref, command)
    business.set_timer(f"leaver-{user_id}", business.now + SECOND_LOOK, command)


def _leaver_ask(business: Actor[BusinessState], cmd: ReleaseLeaver) -> LeaverAsk:
    return LeaverAsk(cmd.business_id, cmd.user_id, cmd.after)


@handles(ReleaseLeaver, facts=LeaverWork, asks=_leaver_ask)
def release_page(business: Actor[BusinessState], cmd: ReleaseLeaver, facts: LeaverWork) -> None:
    """Tell one page of bookings and conversations. One who came back meanwhile stays."""
    state = business.state
    member = state.members.get(cmd.user_id)
    if member is not None and member.serves:
        return
    managers = tuple([Participant(user_id=one, role=state.members[one].role) for one in state.managers()])
    for ref in facts.refs:
        if ref.kind is Kind.BOOKING:
            business.send(ref, FlagStaffLeft(booking_id=BookingId(ref.id), staff_id=cmd.user_id))
        else:
            command = HandOverConversation(
                conversation_id=ConversationId(ref.id), leaves=cmd.user_id, managers=managers
            )
            business.send(ref, command)
    if facts.next_after is not None:
        business.send(business.ref, replace(cmd, after=facts.next_after))
