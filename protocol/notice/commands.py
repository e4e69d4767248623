"""Commands to notices."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta

from protocol.confidential import Confidential
from protocol.delivery.channels import Channel
from protocol.errors import Invalid
from protocol.ids import Kind, UserId
from protocol.notice.terms import NOTICE_BODY_MAX, NOTICE_READERS_MAX, NOTICE_TITLE_MAX
from protocol.notice.views import NoticeSent
from protocol.rates import per_minute
from protocol.registry import Command, command
from protocol.roles import INTERNAL, Role
from protocol.texts import TextKind, kind


@command(
    "notification.send",
    actor=Kind.USER,
    by={Role.ADMIN},
    routes=("POST /notifications/send/",),
    reply=NoticeSent,
    status=201,
    errors=(Invalid,),
    rate=per_minute(60),
)
class SendNotification(Confidential, Command, frozen=True, kw_only=True):
    """Send a message to users: live, in their list, and by these channels as far as their preferences allow."""

    user_ids: Annotated[tuple[UserId, ...], Meta(min_length=1, max_length=NOTICE_READERS_MAX)]
    #: One line.
    title: Annotated[str, Meta(min_length=1, max_length=NOTICE_TITLE_MAX, extra=kind(TextKind.NAME))]
    body: Annotated[str, Meta(min_length=1, max_length=NOTICE_BODY_MAX)]
    channels: Annotated[tuple[Channel, ...], Meta(max_length=len(Channel))] = (Channel.PUSH, Channel.EMAIL)
    #: Ignores quiet hours and preferences; if unseen, it is sent by SMS as well.
    critical: bool = False


@command("notification.take", actor=Kind.USER, by=INTERNAL)
class TakeNotice(Command, frozen=True, kw_only=True):
    """Notify the user of an admin's notice."""

    user_id: UserId
    notice_id: UUID
    by: UserId
    channels: tuple[Channel, ...]
    critical: bool = False
