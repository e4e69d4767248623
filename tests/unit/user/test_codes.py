"""A user's codes: the newest one, used once, within ten minutes, and guessed at five times at most (rule P-5)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from actors.user.actor import User
from protocol.code.commands import ResetByCode, SendCode, SetPassword, VerifyContact
from protocol.code.events import CodeIssued, CodeMissed, EmailVerified, PasswordChanged, PhoneVerified
from protocol.code.facts import ContactFacts
from protocol.code.rows import CodeTarget
from protocol.code.terms import (
    CODE_MISSES_MAX,
    CODE_PAUSE_S,
    CODE_VALID_S,
    CODES_PER_WINDOW_MAX,
    CODES_WINDOW_S,
    UNIQUE_PHONE,
    PhoneTaken,
    Purpose,
)
from protocol.code.views import CodeChecked
from protocol.delivery.channels import Channel
from protocol.delivery.rows import Delivery
from protocol.effects import ClaimKey, DropRow, Effect, PutRow, ReleaseKey
from protocol.errors import EmailTaken, Forbidden, LimitReached, Rejected
from protocol.events import Event
from protocol.ids import SYSTEM, SessionId, UserId
from protocol.notification.rows import OutboxEntry
from protocol.registry import Command
from protocol.roles import Principal, Role
from protocol.user.events import SessionOpened, SessionRevoked, UserSignedUp
from protocol.user.rows import Credentials, Person
from protocol.user.terms import UNIQUE_EMAIL, RevokeReason
from tests.support.actors import ACTOR_ID, Decided, decide, replay

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
ADA = UserId(ACTOR_ID)
SERVER = Principal(user_id=SYSTEM, role=Role.SYSTEM, roles=frozenset({Role.SYSTEM}))
NUMBER, OLD_NUMBER, EMAIL = "+4930901820", "+4930000000", "ada@example.com"
RIGHT, WRONG = b"right" * 5, b"wrong" * 5
#: The hashes of two requests for a new password.
REQUEST, STRANGERS = b"request", b"stranger"
SIGNED_UP = UserSignedUp(at=NOW)
PERSON = Person(user_id=ADA, email=EMAIL, name="Ada", phone_number=OLD_NUMBER, profile_image_url=None, language="en")


def tell(events: list[Event], command: Command, *, after_s: float = 0, target: str | None = NUMBER) -> Decided:
    facts = ContactFacts(person=PERSON, target=target)
    return decide(User, [SIGNED_UP, *events], command, SERVER, NOW + timedelta(seconds=after_s), facts)


def send(purpose: Purpose = Purpose.PHONE, *, own: bool = False) -> SendCode:
    target = {Purpose.PHONE: NUMBER, Purpose.EMAIL: "new@example.com", Purpose.PASSWORD: None}[purpose]
    channel = Channel.SMS if purpose is Purpose.PHONE else Channel.EMAIL
    return SendCode(
        user_id=ADA,
        purpose=purpose,
        code="471100",
        code_hash=RIGHT,
        nonce=b"n",
        channel=channel,
        target=target,
        request_hash=REQUEST if purpose is Purpose.PASSWORD else None,
        own=own,
    )


def issued(
    purpose: Purpose = Purpose.PHONE,
    *,
    after_s: float = 0,
    code_hash: bytes = RIGHT,
    request_hash: bytes = REQUEST,
    own: bool = False,
) -> CodeIssued:
    at = NOW + timedelta(seconds=after_s)
    channel = Channel.SMS if purpose is Purpose.PHONE else Channel.EMAIL
    expires_at = at + timedelta(seconds=CODE_VALID_S)
    return CodeIssued(
        purpose=purpose,
        code_hash=code_hash,
        channel=channel,
        expires_at=expires_at,
        request_hash=request_hash if purpose is Purpose.PASSWORD else None,
        own=own,
        at=at,
    )


def verify(purpose: Purpose = Purpose.PHONE, code_hash: bytes = RIGHT, target: str | None = None) -> VerifyContact:
    return VerifyContact(user_id=ADA, purpose=purpose, code_hash=code_hash, target=target)


def reset(code_hash: bytes = RIGHT, request_hash: bytes = REQUEST) -> ResetByCode:
    return ResetByCode(user_id=ADA, code_hash=code_hash, request_hash=request_hash, password_hash="new hash")


def signed_in(number: int) -> SessionOpened:
    return SessionOpened(
        session_id=SessionId(UUID(int=number)),
        device="web",
        role=Role.CUSTOMER,
        expires_at=NOW + timedelta(days=30),
        at=NOW,
    )


def row(effects: list[Effect], kind: type[Any]) -> Any:
    (found,) = [effect.row for effect in effects if isinstance(effect, PutRow) and isinstance(effect.row, kind)]
    return found


class TestSending:
    def test_the_digits_stand_in_the_delivery_alone_and_end_with_it(self) -> None:
        events, effects, _ = tell([], send())

        delivery = row(effects, Delivery)
        assert (delivery.secret, delivery.address, delivery.template) == ("471100", NUMBER, "code.sms")
        assert (delivery.critical, delivery.due_at) == (True, NOW)
        assert delivery.expires_at == NOW + timedelta(seconds=CODE_VALID_S)
        assert row(effects, CodeTarget).target == NUMBER
        assert events == [issued()]
        assert "471100" not in repr(events)
        assert NUMBER not in repr(events)

    def test_a_code_for_a_password_goes_to_the_address_of_the_account(self) -> None:
        _, effects, _ = tell([], send(Purpose.PASSWORD))

        assert (row(effects, Delivery).address, row(effects, Delivery).template) == (None, "reset.email")

    def test_two_codes_need_a_pause(self) -> None:
        refused = tell([issued()], send(), after_s=CODE_PAUSE_S - 1).reply

        assert isinstance(refused, LimitReached)
        assert refused.fields["retry_after_s"] == 1
        assert tell([issued()], send(), after_s=CODE_PAUSE_S).events

    def test_a_day_has_so_many_codes_and_each_purpose_its_own(self) -> None:
        step_s = CODE_PAUSE_S
        many: list[Event] = [issued(after_s=step_s * n) for n in range(CODES_PER_WINDOW_MAX)]

        refused = tell(many, send(), after_s=step_s * CODES_PER_WINDOW_MAX).reply

        assert isinstance(refused, LimitReached)
        assert tell(many, send(Purpose.EMAIL), after_s=step_s * CODES_PER_WINDOW_MAX).events
        assert tell(many, send(), after_s=CODES_WINDOW_S).events


class TestVerifying:
    def test_the_right_code_makes_the_number_theirs(self) -> None:
        events, effects, reply = tell([issued()], verify())

        assert reply == CodeChecked(right=True)
        assert events == [PhoneVerified(changed=True, at=NOW)]
        assert ClaimKey(UNIQUE_PHONE, NUMBER, ACTOR_ID) in effects
        assert row(effects, Person).phone_number == NUMBER
        assert DropRow("code_targets", {"user_id": str(ADA), "purpose": "phone"}) in effects

    def test_another_number_gives_the_verified_one_back(self) -> None:
        before: list[Event] = [PhoneVerified(at=NOW), issued()]

        assert ReleaseKey(UNIQUE_PHONE, OLD_NUMBER) in tell(before, verify()).effects

    def test_another_address_is_claimed_and_the_old_one_is_told(self) -> None:
        events, effects, _ = tell([issued(Purpose.EMAIL)], verify(Purpose.EMAIL), target="New@example.com")

        assert events == [EmailVerified(changed=True, at=NOW)]
        assert [one for one in effects if isinstance(one, ReleaseKey | ClaimKey)] == [
            ReleaseKey(UNIQUE_EMAIL, EMAIL),
            ClaimKey(UNIQUE_EMAIL, "new@example.com", ACTOR_ID),
        ]
        assert row(effects, Person).email == "New@example.com"
        assert (row(effects, Delivery).template, row(effects, Delivery).address) == ("email.changed", EMAIL)

    @pytest.mark.parametrize(
        ("events", "after_s"),
        [
            ([], 0),
            ([issued()], CODE_VALID_S),
            ([issued(code_hash=WRONG), issued(after_s=60)], 60),
            ([issued(), PhoneVerified(at=NOW)], 1),
            ([issued(Purpose.EMAIL)], 1),
            ([issued(), *[CodeMissed(purpose=Purpose.PHONE)] * CODE_MISSES_MAX], 1),
        ],
        ids=["none", "too old", "replaced", "used", "of another purpose", "guessed at too often"],
    )
    def test_what_does_not_hold_is_refused(self, events: list[Event], after_s: float) -> None:
        code_hash = WRONG if len(events) == 2 and isinstance(events[1], CodeIssued) else RIGHT

        assert tell(events, verify(code_hash=code_hash), after_s=after_s).reply == CodeChecked(right=False)

    def test_a_code_holds_until_its_last_instant_and_its_fifth_guess(self) -> None:
        guesses = [CodeMissed(purpose=Purpose.PHONE)] * (CODE_MISSES_MAX - 1)

        decided = tell([issued(), *guesses], verify(), after_s=CODE_VALID_S - 1)

        assert decided.reply == CodeChecked(right=True)

    def test_a_wrong_guess_is_counted_and_the_last_one_forgets_where_it_went(self) -> None:
        first = tell([issued()], verify(code_hash=WRONG))
        guesses = [CodeMissed(purpose=Purpose.PHONE)] * (CODE_MISSES_MAX - 1)
        last = tell([issued(), *guesses], verify(code_hash=WRONG))

        assert first.events == last.events == [CodeMissed(purpose=Purpose.PHONE)]
        assert not [effect for effect in first.effects if isinstance(effect, DropRow)]
        assert [effect for effect in last.effects if isinstance(effect, DropRow)]

    @pytest.mark.parametrize(("purpose", "refusal"), [(Purpose.PHONE, PhoneTaken), (Purpose.EMAIL, EmailTaken)])
    def test_what_is_another_accounts_is_refused_to_who_has_the_right_code_alone(
        self, purpose: Purpose, refusal: type[Rejected]
    ) -> None:
        facts = ContactFacts(person=PERSON, target=NUMBER, taken=True)
        before: list[Event] = [SIGNED_UP, issued(purpose)]

        assert isinstance(decide(User, before, verify(purpose), SERVER, NOW, facts).reply, refusal)
        wrong = decide(User, before, verify(purpose, WRONG), SERVER, NOW, facts)
        assert wrong.reply == CodeChecked(right=False)

    def test_the_right_code_with_another_number_is_a_guess(self) -> None:
        decided = tell([issued()], verify(target="+4930111111"))

        assert decided.events == [CodeMissed(purpose=Purpose.PHONE)]


class TestPasswords:
    def test_a_reset_sets_the_password_and_signs_everybody_out(self) -> None:
        events, effects, reply = tell([signed_in(1), signed_in(2), issued(Purpose.PASSWORD)], reset())

        assert reply == CodeChecked(right=True)
        assert events[:2] == [PasswordChanged(by_code=True, password_version=2, at=NOW), EmailVerified(at=NOW)]
        assert [(one.session_id.int, one.reason) for one in events[2:] if isinstance(one, SessionRevoked)] == [
            (1, RevokeReason.NEW_PASSWORD),
            (2, RevokeReason.NEW_PASSWORD),
        ]
        kept = row(effects, Credentials)
        assert (kept.password_hash, kept.password_version) == ("new hash", 2)
        assert row(effects, OutboxEntry).recipients == (ADA,)

    def test_a_reset_that_proves_the_address_ends_the_code_that_was_to_prove_it(self) -> None:
        effects = tell([issued(Purpose.EMAIL), issued(Purpose.PASSWORD)], reset()).effects

        gone = DropRow("code_targets", {"user_id": str(ADA), "purpose": Purpose.EMAIL.value})
        assert gone in effects

    def test_a_code_resets_once(self) -> None:
        used = [issued(Purpose.PASSWORD), PasswordChanged(by_code=True, password_version=2, at=NOW)]

        assert tell(used, reset()).reply == CodeChecked(right=False)

    def test_a_code_that_went_to_an_address_before_resets_nothing(self) -> None:
        moved = [issued(Purpose.PASSWORD), EmailVerified(changed=True, at=NOW)]

        assert tell(moved, reset()).reply == CodeChecked(right=False)

    def test_who_knows_the_password_changes_it_and_stays(self) -> None:
        command = SetPassword(user_id=ADA, password_hash="new", password_version=1, session_id=SessionId(UUID(int=1)))

        events = tell([signed_in(1), signed_in(2)], command).events

        assert [one.session_id.int for one in events if isinstance(one, SessionRevoked)] == [2]

    def test_of_two_changes_by_the_same_old_password_the_second_is_refused(self) -> None:
        command = SetPassword(user_id=ADA, password_hash="new", password_version=1, session_id=SessionId(UUID(int=1)))
        changed = PasswordChanged(password_version=2, at=NOW)

        assert isinstance(tell([signed_in(1), changed], command).reply, Forbidden)


class TestRequests:
    """Anybody may ask for a new password of Ada; only her own request and its code are good for anything."""

    ASKED = issued(Purpose.PASSWORD)
    BY_STRANGER = issued(Purpose.PASSWORD, after_s=60, code_hash=WRONG, request_hash=STRANGERS)

    def test_another_request_does_not_void_the_code(self) -> None:
        assert tell([self.ASKED, self.BY_STRANGER], reset(), after_s=61).reply == CodeChecked(right=True)

    def test_a_guess_for_another_request_is_neither_right_nor_counted(self) -> None:
        for code_hash, request_hash in ((RIGHT, STRANGERS), (WRONG, STRANGERS)):
            decided = tell([self.ASKED], reset(code_hash, request_hash))

            assert (decided.reply, decided.events) == (CodeChecked(right=False), [])

    def test_guesses_void_the_code_of_their_request_only(self) -> None:
        missed: list[Event] = [CodeMissed(purpose=Purpose.PASSWORD, request_hash=STRANGERS)] * CODE_MISSES_MAX
        events = [self.ASKED, self.BY_STRANGER, *missed]

        assert tell(events, reset(WRONG, STRANGERS), after_s=61).reply == CodeChecked(right=False)
        assert tell(events, reset(), after_s=61).reply == CodeChecked(right=True)

    def test_a_new_password_voids_the_codes_of_all_requests(self) -> None:
        events = [self.ASKED, self.BY_STRANGER, *tell([self.ASKED, self.BY_STRANGER], reset(), after_s=61).events]

        assert tell(events, reset(WRONG, STRANGERS), after_s=62).reply == CodeChecked(right=False)

    def test_requests_of_strangers_do_not_use_up_those_from_where_the_user_is_signed_in(self) -> None:
        strangers: list[Event] = [
            issued(Purpose.PASSWORD, after_s=CODE_PAUSE_S * n, request_hash=bytes([n]))
            for n in range(CODES_PER_WINDOW_MAX)
        ]
        after_s = CODE_PAUSE_S * CODES_PER_WINDOW_MAX - 1

        assert isinstance(tell(strangers, send(Purpose.PASSWORD), after_s=after_s).reply, LimitReached)
        assert tell(strangers, send(Purpose.PASSWORD, own=True), after_s=after_s).events

    def test_the_codes_that_wait_are_bounded_by_their_time(self) -> None:
        events: list[Event] = [
            issued(Purpose.PASSWORD, after_s=CODE_VALID_S * n, request_hash=bytes([n])) for n in range(5)
        ]

        assert [one.request_hash for one in replay(User, [SIGNED_UP, *events]).codes.resets] == [bytes([4])]
