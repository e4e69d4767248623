"""How the events of messages change a conversation as its reader's client shows it.

Everything else about an entity changes by the generic merge of ``changes``. A message's text is no part of that: it
comes as the event's ``content``, and what is unread differs from reader to reader.
"""

from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from protocol.conversation.terms import PREVIEW_CHARS_MAX, UNREAD_MAX
from protocol.conversation.views import ConversationView, MessageView
from protocol.ids import MessageId, UserId
from server.client.live import Event

#: Instead of a view: the client has to ask for it again.
Outdated = None
_NOTHING = UUID(int=0)


def after_message(view: ConversationView, reader_id: UserId, event: Event) -> ConversationView | None:
    """The view after an event about messages; other events leave it as it is. None: only a new view can tell."""
    data = event.data
    match event.type:
        case "message.posted":
            return _posted(view, reader_id, data)
        case "message.edited":
            shown = _is_last(view, data) and data["content"] is not None
            return replace(view, last_message=_shown(data["content"])) if shown else view
        case "message.deleted":
            unread = _id(data["sender_id"]) != reader_id and _id(data["message_id"]) > _mark(view, reader_id)
            return Outdated if unread or _is_last(view, data) else view
        case "messages.read":
            return _read(view, reader_id, data)
    return view


def _posted(view: ConversationView, reader_id: UserId, data: dict[str, Any]) -> ConversationView | None:
    if data["content"] is None:
        return Outdated  # erased since: what is last now is not in the event
    message = _shown(data["content"])
    unread = view.unread_count + (message.sender_id != reader_id and message.deleted_at is None)
    if unread >= UNREAD_MAX:
        return Outdated  # messages of one's own may have displaced others among those that count
    return replace(view, last_message=message, unread_count=unread)


def _read(view: ConversationView, reader_id: UserId, data: dict[str, Any]) -> ConversationView | None:
    user_id, message_id = UserId(_id(data["user_id"])), MessageId(_id(data["message_id"]))
    members = [
        replace(member, read_message_id=message_id) if member.user_id == user_id else member for member in view.members
    ]
    if user_id != reader_id:
        return replace(view, members=members)
    if view.last_message is not None and message_id < view.last_message.id:
        return Outdated  # how many lie behind the mark, the view does not say
    return replace(view, members=members, unread_count=0)


def _id(text: str) -> UUID:
    return UUID(text)


def _mark(view: ConversationView, reader_id: UserId) -> MessageId:
    """Up to which message the reader has read."""
    marks = (one.read_message_id for one in view.members if one.user_id == reader_id)
    return next(marks, None) or MessageId(_NOTHING)


def _is_last(view: ConversationView, data: dict[str, Any]) -> bool:
    return view.last_message is not None and view.last_message.id == _id(data["message_id"])


def _shown(content: dict[str, Any]) -> MessageView:
    message = msgspec.convert({"edited_at": None, "deleted_at": None, **content}, MessageView)
    return replace(message, text=message.text[:PREVIEW_CHARS_MAX])
