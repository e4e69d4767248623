"""A user's one-time codes, and the password that one of them sets (rule P-5).

send              right ──▶ used: number or address verified, or a new password
 │   ┌──────────┐
 └──▶│ WAITING  │── another one is sent ──▶ void, but not for a new password
     └──────────┘── five wrong codes ─────▶ void
                 ── ten minutes ──────────▶ void

Anybody can ask for a new password of anybody. Each request has an id that only its client knows: a guess without it is
neither right nor counted, and one request does not void the code of another.
"""

from datetime import timedelta
from hmac import compare_digest

from msgspec.structs import replace

from actors.actor import Actor, applies, handles
from actors.user.state import Codes, CodeSlot, SessionState, UserState, WaitingReset
from protocol.code.commands import ResetByCode, SendCode, SetPassword, VerifyContact
from protocol.code.events import CodeIssued, CodeMissed, EmailVerified, PasswordChanged, PhoneVerified
from protocol.code.facts import ContactAsk, ContactFacts
from protocol.code.rows import CodeTarget
from protocol.code.terms import (
    CODE_MISSES_MAX,
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

#: This part of the state.
FIELD = "codes"


@handles(SendCode)
def send_code(user: Actor[UserState], command: SendCode) -> None:
    """Send a code; it replaces the one before. Raises: LimitReached."""
    _require_pause(user, command.purpose, command.own)
    expires_at = user.now + timedelta(seconds=CODE_VALID_S)
    user.emit(
        CodeIssued(
            purpose=command.purpose,
            code_hash=command.code_hash,
            channel=command.channel,
            expires_at=expires_at,
            request_hash=command.request_hash,
            own=command.own,
            at=user.now,
        ),
        to=(),
    )
    if command.target is not None:
        user.put(
            CodeTarget(
                user_id=UserId(user.actor_id), purpose=command.purpose, target=command.target, expires_at=expires_at
            )
        )
    user.put(
        Delivery(
            id=DeliveryId(user.new_id()),
            user_id=UserId(user.actor_id),
            template=TEMPLATES[command.purpose],
            channel=command.channel,
            address=command.target,
            secret=command.code,
            critical=True,
            due_at=user.now,
            expires_at=expires_at,
            at=user.now,
        )
    )


def _contact_ask(user: Actor[UserState], command: VerifyContact) -> ContactAsk:
    return ContactAsk(command.user_id, command.purpose)


@handles(VerifyContact, facts=ContactFacts, asks=_contact_ask)
def verify_contact(user: Actor[UserState], command: VerifyContact, facts: ContactFacts) -> CodeChecked:
    """Check the code that was sent to an address or number. Raises: EmailTaken, PhoneTaken, if the code is right."""
    target = facts.target
    believed = command.target in (None, target)
    if not _is_right(user, command.purpose, command.code_hash, believed) or target is None:
        return CodeChecked(right=False)
    if facts.taken:
        raise PhoneTaken() if command.purpose is Purpose.PHONE else EmailTaken()
    if command.purpose is Purpose.PHONE:
        _take_number(user, facts.person, target)
    else:
        _take_address(user, facts.person, target)
    _forget_target(user, command.purpose)
    return CodeChecked(right=True)


@handles(ResetByCode)
def reset_by_code(user: Actor[UserState], command: ResetByCode) -> CodeChecked:
    """Set a new password if the code is right, and revoke all sessions."""
    waiting = user.state.codes.reset(command.request_hash)
    if waiting is None or waiting.expires_at <= user.now:
        return CodeChecked(right=False)
    if not compare_digest(waiting.code_hash, command.code_hash):
        user.emit(CodeMissed(purpose=Purpose.PASSWORD, request_hash=command.request_hash), to=())
        return CodeChecked(right=False)
    _set_password(user, command.password_hash, by_code=True)
    if not user.state.is_email_verified:
        user.emit(EmailVerified(at=user.now))
        _forget_target(user, Purpose.EMAIL)
    _sign_out(user, user.state.sessions)
    return CodeChecked(right=True)


@handles(SetPassword)
def set_password(user: Actor[UserState], command: SetPassword) -> None:
    """Set a new password by the old one; other sessions are revoked. Raises: Forbidden."""
    if command.password_version != user.state.password_version:
        raise Forbidden(reason="wrong_password")
    _set_password(user, command.password_hash, by_code=False)
    _sign_out(user, user.state.sessions, but=command.session_id)


@applies(CodeIssued)
def _issued(codes: Codes, event: CodeIssued) -> Codes:
    before = codes.find(event.purpose, event.own)
    goes_on = before is not None and event.at < before.window_at + timedelta(seconds=CODES_WINDOW_S)
    slot = CodeSlot(
        purpose=event.purpose,
        code_hash=event.code_hash if event.request_hash is None else None,
        expires_at=event.expires_at,
        issued_at=event.at,
        window_at=before.window_at if before is not None and goes_on else event.at,
        issued=before.issued + 1 if before is not None and goes_on else 1,
        own=event.own,
    )
    if event.request_hash is None:
        return codes.with_slot(slot)
    waiting = WaitingReset(request_hash=event.request_hash, code_hash=event.code_hash, expires_at=event.expires_at)
    codes = replace(codes, resets=tuple(one for one in codes.resets if event.at < one.expires_at))
    return codes.with_slot(slot).with_reset(event.request_hash, waiting)


@applies(CodeMissed)
def _missed(codes: Codes, event: CodeMissed) -> Codes:
    if event.request_hash is not None:
        return _missed_reset(codes, event.request_hash)
    before = codes.find(event.purpose)
    assert before is not None
    misses = before.misses + 1
    kept = before.code_hash if misses < CODE_MISSES_MAX else None
    return codes.with_slot(replace(before, code_hash=kept, misses=misses))


def _missed_reset(codes: Codes, request_hash: bytes) -> Codes:
    waiting = codes.reset(request_hash)
    assert waiting is not None
    misses = waiting.misses + 1
    return codes.with_reset(request_hash, replace(waiting, misses=misses) if misses < CODE_MISSES_MAX else None)


# What handlers share


def _require_pause(user: Actor[UserState], purpose: Purpose, own: bool) -> None:
    """Raises: LimitReached."""
    slot = user.state.codes.find(purpose, own)
    if slot is None:
        return
    next_at = slot.issued_at + timedelta(seconds=CODE_PAUSE_S)
    if slot.issued >= CODES_PER_WINDOW_MAX:
        next_at = max(next_at, slot.window_at + timedelta(seconds=CODES_WINDOW_S))
    if user.now < next_at:
        raise LimitReached(limit="codes", retry_after_s=(next_at - user.now).total_seconds())


def _is_right(user: Actor[UserState], purpose: Purpose, code_hash: bytes, believed: bool = True) -> bool:
    """Whether this is the waiting code; a wrong one is counted as a miss."""
    slot = user.state.codes.find(purpose)
    if slot is None or slot.code_hash is None or slot.expires_at <= user.now:
        return False
    if compare_digest(slot.code_hash, code_hash) and believed:
        return True
    user.emit(CodeMissed(purpose=purpose), to=())
    left = user.state.codes.find(purpose)
    if left is None or left.code_hash is None:
        _forget_target(user, purpose)
    return False


def _take_number(user: Actor[UserState], person: Person, number: str) -> None:
    if user.state.is_phone_verified and person.phone_number is not None:
        user.release_key(UNIQUE_PHONE, person.phone_number)
    user.claim_key(UNIQUE_PHONE, number)
    user.emit(PhoneVerified(changed=number != person.phone_number, at=user.now))
    user.put(replace(person, phone_number=number))


def _take_address(user: Actor[UserState], person: Person, email: str) -> None:
    changed = email != person.email
    if email_key(email) != email_key(person.email):
        user.release_key(UNIQUE_EMAIL, email_key(person.email))
        user.claim_key(UNIQUE_EMAIL, email_key(email))
    user.emit(EmailVerified(changed=changed, at=user.now))
    if changed:
        user.put(replace(person, email=email))
        _notify_old_address(user, person.email)


def _notify_old_address(user: Actor[UserState], email: str) -> None:
    """Notify the former address, whose reader may not have made the change."""
    user.put(
        Delivery(
            id=DeliveryId(user.new_id()),
            user_id=UserId(user.actor_id),
            template=EMAIL_CHANGED,
            channel=Channel.EMAIL,
            address=email,
            critical=True,
            due_at=user.now,
            at=user.now,
        )
    )


def _forget_target(user: Actor[UserState], purpose: Purpose) -> None:
    user.drop(CodeTarget.table, user_id=UserId(user.actor_id), purpose=purpose)


def _set_password(user: Actor[UserState], password_hash: str, *, by_code: bool) -> None:
    version = user.state.password_version + 1
    user.emit(PasswordChanged(by_code=by_code, password_version=version, at=user.now))
    user.put(Credentials(user_id=UserId(user.actor_id), password_hash=password_hash, password_version=version))


def _sign_out(user: Actor[UserState], sessions: tuple[SessionState, ...], but: SessionId | None = None) -> None:
    for session in sessions:
        if session.session_id != but:
            user.emit(SessionRevoked(session_id=session.session_id, reason=RevokeReason.NEW_PASSWORD, at=user.now))
