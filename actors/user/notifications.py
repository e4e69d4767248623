"""The notifications of one user, and their preferences: rows that the actor writes, and are not part of its state."""

from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from actors.actor import Actor, applies, handles
from actors.rules.preferences import contact_preferences_after, preferences_after, without_written_channels
from actors.rules.texts import text_problem
from actors.user.state import Notifications, UserState
from protocol.errors import Invalid, NotFound
from protocol.events import Event
from protocol.ids import Kind, Ref, UserId
from protocol.instants import InstantError, to_utc
from protocol.notice.commands import SendNotification, TakeNotice
from protocol.notice.events import NotificationSent
from protocol.notice.facts import KnownUsers
from protocol.notice.rows import Notice
from protocol.notice.views import NoticeSent
from protocol.notification.commands import ReadNotifications
from protocol.notification.events import NotificationsRead
from protocol.notification.facts import UnreadAsk, UnreadNotifications
from protocol.notification.registry import BY_NAME
from protocol.notification.rows import NotificationMarkRow, NotificationReadRow
from protocol.preference.commands import SetContactPreferences, SetPreferences, StopEmails
from protocol.preference.events import NotificationPreferencesSet
from protocol.preference.facts import PreferenceAsk, PreferenceFacts
from protocol.preference.rows import NotificationPreferences

#: This part of the state.
FIELD = "notifications"


# Notifications


def _own_of(user: Actor[UserState], command: ReadNotifications) -> UnreadAsk:
    return UnreadAsk(UserId(user.actor_id), command.notification_ids)


@handles(ReadNotifications, facts=UnreadNotifications, asks=_own_of)
def read_notifications(user: Actor[UserState], command: ReadNotifications, facts: UnreadNotifications) -> None:
    """Mark some, or all up to an instant, as read. Raises: Invalid."""
    read_until = _read_until(user, command)
    named = tuple(one for one in dict.fromkeys(command.notification_ids) if one in facts.notification_ids)
    if not named and read_until is None:
        return
    user.emit(NotificationsRead(notification_ids=named, read_until=read_until))
    for notification_id in named:
        user.put(NotificationReadRow(user_id=UserId(user.actor_id), notification_id=notification_id, read_at=user.now))
    if read_until is not None:
        user.put(NotificationMarkRow(user_id=UserId(user.actor_id), read_until=read_until))


def _read_until(user: Actor[UserState], command: ReadNotifications) -> datetime | None:
    """How far the mark moves; None: not at all. Raises: Invalid."""
    if command.read_until is None:
        return None
    try:
        wanted = min(to_utc(command.read_until), user.now)
    except InstantError as error:
        raise Invalid(read_until=error.code) from None
    before = user.state.notifications.read_until
    return None if before is not None and wanted <= before else wanted


@applies(NotificationsRead)
def _read(notifications: Notifications, event: NotificationsRead) -> Notifications:
    return Notifications(event.read_until or notifications.read_until)


@applies(NotificationPreferencesSet, NotificationSent)
def _kept_elsewhere(notifications: Notifications, event: Event) -> Notifications:
    """Preferences and notices are rows, and not part of the state."""
    return notifications


# Notices


def _readers(user: Actor[UserState], command: SendNotification) -> tuple[UserId, ...]:
    return tuple(command.user_ids)


@handles(SendNotification, facts=KnownUsers, asks=_readers)
def send_notification(user: Actor[UserState], command: SendNotification, facts: KnownUsers) -> NoticeSent:
    """Send a notice to users; each user's actor gets a message of its own. Raises: Invalid."""
    _check_notice(command, facts)
    by = user.principal.user_id
    notice = Notice(id=user.new_id(), title=command.title, body=command.body, sent_by=by, at=user.now)
    user.put(notice)
    readers = tuple(dict.fromkeys(command.user_ids))
    for user_id in readers:
        message = TakeNotice(
            user_id=user_id, notice_id=notice.id, by=by, channels=command.channels, critical=command.critical
        )
        user.send(Ref(Kind.USER, user_id), message)
    return NoticeSent(notice_id=notice.id, recipients=len(readers))


def _notice_id(user: Actor[UserState], command: TakeNotice) -> UUID:
    return command.notice_id


@handles(TakeNotice, facts=Notice, asks=_notice_id)
def take_notice(user: Actor[UserState], command: TakeNotice, facts: Notice) -> None:
    """Take a notice for this user. Raises: NotFound if the notice was erased before."""
    assert user.exists, f"user {user.actor_id} got a notice and does not exist"
    user.emit(
        NotificationSent(notice_id=facts.id, by=command.by, channels=command.channels, critical=command.critical),
        content=facts,
        content_is_kept=True,
    )


# Preferences


def _preference_ask(
    user: Actor[UserState], command: SetPreferences | SetContactPreferences | StopEmails
) -> PreferenceAsk:
    return PreferenceAsk(UserId(user.actor_id), user.principal.business_id)


@handles(SetPreferences, facts=PreferenceFacts, asks=_preference_ask)
def set_preferences(user: Actor[UserState], command: SetPreferences, facts: PreferenceFacts) -> None:
    """Set the user's preferences. Raises: Invalid."""
    _prefer(user, facts, preferences_after(command, facts.preferences), command.language)


@handles(SetContactPreferences, facts=PreferenceFacts, asks=_preference_ask)
def set_contact_preferences(user: Actor[UserState], command: SetContactPreferences, facts: PreferenceFacts) -> None:
    """Set contact preferences, as the user or for a business whose customer the user is.

    Raises: Invalid, and NotFound for other principals.
    """
    if user.principal.user_id != UserId(user.actor_id) and not (user.principal.manager and facts.is_customer):
        raise NotFound(entity=user.kind.value, id=str(UserId(user.actor_id)))
    _prefer(user, facts, contact_preferences_after(command, facts.preferences), command.language)


@handles(StopEmails, facts=PreferenceFacts, asks=_preference_ask)
def stop_emails(user: Actor[UserState], command: StopEmails, facts: PreferenceFacts) -> None:
    """Unsubscribe the user from e-mails of one kind."""
    wanted = without_written_channels(command.template, facts.preferences)
    if wanted != facts.preferences:
        _prefer(user, facts, wanted, None)


def _prefer(
    user: Actor[UserState], facts: PreferenceFacts, wanted: NotificationPreferences, language: str | None
) -> None:
    """Store the preferences. Only this actor writes these rows, so the facts are current."""
    user.emit(NotificationPreferencesSet(by=user.principal.user_id))
    user.put(wanted)
    if language is not None:
        user.put(replace(facts.person, language=language))


def _check_notice(command: SendNotification, facts: KnownUsers) -> None:
    """Raises: Invalid, naming each field that does not fit."""
    problems = {
        "title": text_problem(command.title, lines=False),
        "body": text_problem(command.body),
        **{
            f"channels[{at}]": None if channel in BY_NAME[NotificationSent.type].channels else "not_offered"
            for at, channel in enumerate(command.channels)
        },
        **{
            f"user_ids[{at}]": None if user_id in facts.user_ids else "not_found"
            for at, user_id in enumerate(command.user_ids)
        },
    }
    if found := {field: problem for field, problem in problems.items() if problem is not None}:
        raise Invalid(**found)
