"""A user's codes: sent, guessed at, and taken once; and the password that one of them sets (SPEC §8).

send              right ──▶ used: number or address verified, or a new password
 │   ┌──────────┐
 └──▶│ WAITING  │── another one is sent ──▶ void
     └──────────┘── five wrong guesses ───▶ void
                 ── ten minutes ──────────▶ void
"""

from datetime import timedelta
from hmac import compare_digest

from msgspec.structs import replace

from actors.actor import Actor, handles
from actors.user.state import Session, UserState
from protocol.code.commands import ResetByCode, SendCode, SetPassword, VerifyContact
from protocol.code.events import CodeIssued, CodeMissed, EmailVerified, PasswordChanged, PhoneVerified
from protocol.code.facts import ContactFacts
from protocol.code.rows import CodeTarget
from protocol.code.terms import (
    CODE_PAUSE_S,
    CODE_VALID_S,
    CODES_PER_WINDOW_MAX,
    CODES_WINDOW_S,
    EMAIL_CHANGED,
    TEMPLATES,
    UNIQUE_PHONE,
    PhoneTaken,
    Purpose,
)
from protocol.code.views import CodeChecked
from protocol.delivery.channels import Channel
from protocol.delivery.rows import Delivery
from protocol.errors import EmailTaken, Forbidden, LimitReached
from protocol.ids import DeliveryId, SessionId, UserId
from protocol.user.events import SessionRevoked
from protocol.user.rows import Credentials, Person
from protocol.user.terms import UNIQUE_EMAIL, RevokeReason, email_key


class Codes(Actor[UserState]):
    """The part of a user that codes and passwords are."""

    @property
    def user_id(self) -> UserId:
        return UserId(self.actor_id)

    @handles(SendCode)
    def send_code(self, command: SendCode) -> None:
        """A code goes out; the one before it holds no longer. Raises: LimitReached."""
        self._may_have_another(command.purpose)
        expires_at = self.now + timedelta(seconds=CODE_VALID_S)
        self.emit(
            CodeIssued(
                purpose=command.purpose,
                code_hash=command.code_hash,
                channel=command.channel,
                expires_at=expires_at,
                at=self.now,
            ),
            to=(),
        )
        if command.target is not None:
            self.put(
                CodeTarget(user_id=self.user_id, purpose=command.purpose, target=command.target, expires_at=expires_at)
            )
        self.put(
            Delivery(
                id=DeliveryId(self.new_id()),
                user_id=self.user_id,
                template=TEMPLATES[command.purpose],
                channel=command.channel,
                address=command.target,
                secret=command.code,
                critical=True,
                due_at=self.now,
                expires_at=expires_at,
                at=self.now,
            )
        )

    @handles(VerifyContact, facts=ContactFacts)
    def verify_contact(self, command: VerifyContact, facts: ContactFacts) -> CodeChecked:
        """A code came back from where it was sent. Raises: EmailTaken, PhoneTaken, only to who has the right one."""
        target = facts.target
        believed = command.target in (None, target)
        if not self._is_right(command.purpose, command.code_hash, believed) or target is None:
            return CodeChecked(right=False)
        if facts.taken:
            raise PhoneTaken() if command.purpose is Purpose.PHONE else EmailTaken()
        if command.purpose is Purpose.PHONE:
            self._take_number(facts.person, target)
        else:
            self._take_address(facts.person, target)
        self._forget_target(command.purpose)
        return CodeChecked(right=True)

    @handles(ResetByCode)
    def reset_by_code(self, command: ResetByCode) -> CodeChecked:
        """Who has the code from their mailbox sets a new password; whoever was signed in is out."""
        if not self._is_right(Purpose.PASSWORD, command.code_hash):
            return CodeChecked(right=False)
        self._set_password(command.password_hash, by_code=True)
        if not self.state.is_email_verified:
            self.emit(EmailVerified(at=self.now))
            self._forget_target(Purpose.EMAIL)
        self._sign_out(self.state.sessions)
        return CodeChecked(right=True)

    @handles(SetPassword)
    def set_password(self, command: SetPassword) -> None:
        """Who knows the password sets another one, and stays where they are. Raises: Forbidden."""
        if command.password_version != self.state.password_version:
            raise Forbidden(reason="wrong_password")
        self._set_password(command.password_hash, by_code=False)
        self._sign_out(self.state.sessions, but=command.session_id)

    # What handlers share

    def _may_have_another(self, purpose: Purpose) -> None:
        """Raises: LimitReached."""
        slot = self.state.code_slot(purpose)
        if slot is None:
            return
        next_at = slot.issued_at + timedelta(seconds=CODE_PAUSE_S)
        if slot.issued >= CODES_PER_WINDOW_MAX:
            next_at = max(next_at, slot.window_at + timedelta(seconds=CODES_WINDOW_S))
        if self.now < next_at:
            raise LimitReached(limit="codes", retry_after_s=(next_at - self.now).total_seconds())

    def _is_right(self, purpose: Purpose, code_hash: bytes, believed: bool = True) -> bool:
        """Whether that is the code that waits; a wrong one is counted against it."""
        slot = self.state.code_slot(purpose)
        if slot is None or slot.code_hash is None or slot.expires_at <= self.now:
            return False
        if compare_digest(slot.code_hash, code_hash) and believed:
            return True
        self.emit(CodeMissed(purpose=purpose), to=())
        left = self.state.code_slot(purpose)
        if left is None or left.code_hash is None:
            self._forget_target(purpose)
        return False

    def _take_number(self, person: Person, number: str) -> None:
        if self.state.is_phone_verified and person.phone_number is not None:
            self.release_key(UNIQUE_PHONE, person.phone_number)
        self.claim_key(UNIQUE_PHONE, number)
        self.emit(PhoneVerified(changed=number != person.phone_number, at=self.now))
        self.put(replace(person, phone_number=number))

    def _take_address(self, person: Person, email: str) -> None:
        changed = email != person.email
        if email_key(email) != email_key(person.email):
            self.release_key(UNIQUE_EMAIL, email_key(person.email))
            self.claim_key(UNIQUE_EMAIL, email_key(email))
        self.emit(EmailVerified(changed=changed, at=self.now))
        if changed:
            self.put(replace(person, email=email))
            self._tell_the_old_address(person.email)

    def _tell_the_old_address(self, email: str) -> None:
        """Whoever reads there may not know of it."""
        self.put(
            Delivery(
                id=DeliveryId(self.new_id()),
                user_id=self.user_id,
                template=EMAIL_CHANGED,
                channel=Channel.EMAIL,
                address=email,
                critical=True,
                due_at=self.now,
                at=self.now,
            )
        )

    def _forget_target(self, purpose: Purpose) -> None:
        self.drop(CodeTarget.table, user_id=self.user_id, purpose=purpose)

    def _set_password(self, password_hash: str, *, by_code: bool) -> None:
        version = self.state.password_version + 1
        self.emit(PasswordChanged(by_code=by_code, password_version=version, at=self.now))
        self.put(Credentials(user_id=self.user_id, password_hash=password_hash, password_version=version))

    def _sign_out(self, sessions: tuple[Session, ...], but: SessionId | None = None) -> None:
        for session in sessions:
            if session.session_id != but:
                self.emit(SessionRevoked(session_id=session.session_id, reason=RevokeReason.NEW_PASSWORD, at=self.now))
