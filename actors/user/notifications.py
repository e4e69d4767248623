"""What one user is told, and how they want to be told: wishes are rows that it writes and does not keep."""

from datetime import datetime

from msgspec.structs import replace

from actors.actor import Actor, handles
from actors.rules.preferences import contact_preferences_after, preferences_after, without_written_channels
from actors.rules.texts import text_problem
from actors.user.state import UserState
from protocol.errors import Invalid, NotFound
from protocol.ids import Kind, Ref, UserId
from protocol.instants import InstantError, to_utc
from protocol.notice.commands import SendNotification, TakeNotice
from protocol.notice.events import NotificationSent
from protocol.notice.facts import KnownUsers
from protocol.notice.rows import Notice
from protocol.notice.views import NoticeSent
from protocol.notification.commands import ReadNotifications
from protocol.notification.events import NotificationsRead
from protocol.notification.facts import UnreadNotifications
from protocol.notification.rows import NotificationMarkRow, NotificationReadRow
from protocol.notification.types import BY_NAME
from protocol.preference.commands import SetContactPreferences, SetPreferences, StopEmails
from protocol.preference.events import NotificationPreferencesSet
from protocol.preference.facts import PreferenceFacts
from protocol.preference.rows import NotificationPreferences


class Notifications(Actor[UserState]):
    """The part of a user's actor that has to do with notifications."""

    @property
    def user_id(self) -> UserId:
        return UserId(self.actor_id)

    # Notifications

    @handles(ReadNotifications, facts=UnreadNotifications)
    def read_notifications(self, command: ReadNotifications, facts: UnreadNotifications) -> None:
        """Mark some, or all up to an instant, as read. Raises: Invalid."""
        read_until = self._read_until(command)
        named = tuple(one for one in dict.fromkeys(command.notification_ids) if one in facts.notification_ids)
        if not named and read_until is None:
            return
        self.emit(NotificationsRead(notification_ids=named, read_until=read_until))
        for notification_id in named:
            self.put(NotificationReadRow(user_id=self.user_id, notification_id=notification_id, read_at=self.now))
        if read_until is not None:
            self.put(NotificationMarkRow(user_id=self.user_id, read_until=read_until))

    def _read_until(self, command: ReadNotifications) -> datetime | None:
        """How far the mark moves; None: not at all. Raises: Invalid."""
        if command.read_until is None:
            return None
        try:
            wanted = min(to_utc(command.read_until), self.now)
        except InstantError as error:
            raise Invalid(read_until=error.code) from None
        before = self.state.notifications_read_until
        return None if before is not None and wanted <= before else wanted

    # Notices

    @handles(SendNotification, facts=KnownUsers)
    def send_notification(self, command: SendNotification, facts: KnownUsers) -> NoticeSent:
        """Write to people, each of whom hears of it by a message of its own. Raises: Invalid."""
        _check_notice(command, facts)
        by = self.principal.user_id
        notice = Notice(id=self.new_id(), title=command.title, body=command.body, sent_by=by, at=self.now)
        self.put(notice)
        readers = tuple(dict.fromkeys(command.user_ids))
        for user_id in readers:
            told = TakeNotice(
                user_id=user_id, notice_id=notice.id, by=by, channels=command.channels, critical=command.critical
            )
            self.send(Ref(Kind.USER, user_id), told)
        return NoticeSent(notice_id=notice.id, recipients=len(readers))

    @handles(TakeNotice, facts=Notice)
    def take_notice(self, command: TakeNotice, facts: Notice) -> None:
        """Be told what an admin wrote. Raises: NotFound, if it was erased before."""
        assert self.exists, f"user {self.actor_id} is written to and never was"
        self.emit(
            NotificationSent(notice_id=facts.id, by=command.by, channels=command.channels, critical=command.critical),
            content=facts,
            content_is_kept=True,
        )

    # Preferences

    @handles(SetPreferences, facts=PreferenceFacts)
    def set_preferences(self, command: SetPreferences, facts: PreferenceFacts) -> None:
        """Say how one wants to be reached. Raises: Invalid."""
        self._prefer(facts, preferences_after(command, facts.preferences), command.language)

    @handles(SetContactPreferences, facts=PreferenceFacts)
    def set_contact_preferences(self, command: SetContactPreferences, facts: PreferenceFacts) -> None:
        """Say how a person wants to be written to, as that person or for a business of theirs.

        Raises: Invalid, NotFound to anybody else.
        """
        if self.principal.user_id != self.user_id and not (self.principal.manager and facts.is_customer):
            raise NotFound(entity=self.kind.value, id=str(self.user_id))
        self._prefer(facts, contact_preferences_after(command, facts.preferences), command.language)

    @handles(StopEmails, facts=PreferenceFacts)
    def stop_letters(self, command: StopEmails, facts: PreferenceFacts) -> None:
        """Send no more letters of a kind."""
        wanted = without_written_channels(command.template, facts.preferences)
        if wanted != facts.preferences:
            self._prefer(facts, wanted, None)

    def _prefer(self, facts: PreferenceFacts, wanted: NotificationPreferences, language: str | None) -> None:
        """Keep what is wanted. Nobody else writes these rows, so the facts are what they were."""
        self.emit(NotificationPreferencesSet(by=self.principal.user_id))
        self.put(wanted)
        if language is not None:
            self.put(replace(facts.person, language=language))


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
