"""Notices: what an admin writes to people. The text is a row that can be erased; events only point to it."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta, Struct

from protocol.catalogue import Command, View, command
from protocol.errors import Invalid
from protocol.events import Event, Row
from protocol.ids import Kind, UserId
from protocol.notification.channels import Channel
from protocol.rates import per_minute
from protocol.roles import INTERNAL, Role
from protocol.user import Confidential

#: People to whom one notice goes.
NOTICE_READERS_MAX = 100
NOTICE_TITLE_MAX = 100
NOTICE_BODY_MAX = 2_000


class Notice(Confidential, Row, frozen=True, kw_only=True):
    """What was written. Whoever it was sent to sees it as long as it is there."""

    table: ClassVar[str] = "notices"
    key: ClassVar[tuple[str, ...]] = ("id",)

    id: UUID
    title: str
    body: str
    sent_by: UserId
    at: datetime


class NotificationSent(Event, frozen=True, kw_only=True):
    """An admin wrote to the user. The text is the notice's."""

    content: ClassVar[type[Row] | None] = Notice
    content_id: ClassVar[str] = "notice_id"

    notice_id: UUID
    by: UserId
    channels: tuple[Channel, ...]
    critical: bool = False


class NoticeSent(View, frozen=True, kw_only=True):
    """What was sent, and to how many."""

    notice_id: UUID
    recipients: int


class KnownUsers(Struct, frozen=True):
    """Those of the users asked for that there are. May be stale: nobody is told who is no more."""

    user_ids: frozenset[UserId]


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
    """Write to people: in their list and live, and by the channels named, as far as they want that."""

    user_ids: Annotated[tuple[UserId, ...], Meta(min_length=1, max_length=NOTICE_READERS_MAX)]
    #: One line.
    title: Annotated[str, Meta(min_length=1, max_length=NOTICE_TITLE_MAX)]
    body: Annotated[str, Meta(min_length=1, max_length=NOTICE_BODY_MAX)]
    channels: Annotated[tuple[Channel, ...], Meta(max_length=len(Channel))] = (Channel.PUSH, Channel.EMAIL)
    #: Passes quiet hours and preferences; unseen, it goes by SMS as well.
    critical: bool = False


@command("notification.take", actor=Kind.USER, by=INTERNAL)
class TakeNotice(Command, frozen=True, kw_only=True):
    """Be told what an admin wrote."""

    user_id: UserId
    notice_id: UUID
    by: UserId
    channels: tuple[Channel, ...]
    critical: bool = False
