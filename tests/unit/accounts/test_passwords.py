"""Passwords and contact data: which are accepted, and in which form they are stored."""

import asyncio
import threading
from typing import Any, Literal

import pytest
from argon2 import PasswordHasher

from protocol.errors import Busy, Invalid, LimitReached
from server.accounts.attempts import Attempts
from server.accounts.common_passwords import common_passwords
from server.accounts.contact import normal_email, normal_phone
from server.accounts.limits import HASHES_MAX, SIGN_IN_ATTEMPTS, SIGN_IN_ATTEMPTS_ELSEWHERE
from server.accounts.passwords import Passwords, password_problem

WEAK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def passwords() -> Any:
    made = Passwords(WEAK)
    yield made
    made.close()


class TestRules:
    @pytest.mark.parametrize(
        ("password", "problem"),
        [
            ("short12", "too_short"),
            ("enough12", None),
            ("xyz-" * 32, None),
            ("xyz-" * 32 + "x", "too_long"),
            ("Ada@Example.com", "same_as_name_or_email"),
            ("ada.lovelace", "same_as_name_or_email"),
            ("AdaLovelace", "same_as_name_or_email"),
            ("Password1", "too_common"),
            ("Summer2024", "too_common"),
            ("summer2024!", "too_common"),
            ("P@ssw0rd", "too_common"),
            ("p4$$w0rd99", "too_common"),
            ("letmein123", "too_common"),
            ("abcdefgh", "too_common"),
            ("87654321", "too_common"),
            ("qwertzuiop", "too_common"),
            ("Passwort1!", "too_common"),
            ("Benvenuto23", "too_common"),
            ("tr0ub4dor&3", None),
            ("summer48151623", None),
            ("abcdXfghij", None),
            ("aaaaaaaabb", "too_monotonous"),
            ("correct horse", None),
            ("пароль-秘密", None),
        ],
    )
    def test_a_password_that_attackers_try_first_is_refused(self, password: str, problem: str | None) -> None:
        email = "ada@example.com" if "@" in password else "ada.lovelace@example.com"

        assert password_problem(password, email=email, name="Ada Lovelace") == problem

    def test_the_list_has_the_ten_thousand_commonest(self) -> None:
        assert len(common_passwords()) > 9_000


class TestHashing:
    async def test_only_the_password_matches_its_hash(self, passwords: Passwords) -> None:
        password_hash = await passwords.hash("correct horse")

        assert await passwords.verify("correct horse", password_hash)
        assert not await passwords.verify("correct hors", password_hash)
        assert password_hash.startswith("$argon2id$")
        assert "correct" not in password_hash

    async def test_accents_match_in_either_unicode_form(self, passwords: Passwords) -> None:
        assert await passwords.verify("cafe\u0301 noir", await passwords.hash("caf\u00e9 noir"))

    async def test_an_unknown_address_takes_the_same_work_and_matches_nothing(self) -> None:
        checked: list[str] = []

        class Watched(PasswordHasher):
            def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
                checked.append(str(hash))
                return super().verify(hash, password)

        passwords = Passwords(Watched(time_cost=1, memory_cost=8, parallelism=1))
        known = await passwords.hash("correct horse")

        assert not await passwords.verify("nobody's password", None)
        assert not await passwords.verify("nobody's password", known)
        passwords.close()
        parameters = [kept.rpartition("$")[0].rpartition("$")[0] for kept in checked]
        assert parameters == [parameters[0]] * 2

    async def test_an_invalid_hash_matches_nothing(self, passwords: Passwords) -> None:
        assert not await passwords.verify("correct horse", "plain text")

    async def test_a_hash_of_other_parameters_is_outdated(self, passwords: Passwords) -> None:
        assert not passwords.is_outdated(await passwords.hash("correct horse"))
        assert passwords.is_outdated(PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash("correct horse"))

    async def test_hashing_beyond_the_limit_is_refused_as_busy(self, passwords: Passwords) -> None:
        gate = threading.Event()
        waiting = [asyncio.ensure_future(passwords._in_thread(gate.wait)) for _ in range(HASHES_MAX)]
        await asyncio.sleep(0)  # lets them start

        with pytest.raises(Busy) as caught:
            await passwords.hash("correct horse")
        gate.set()
        await asyncio.gather(*waiting)

        assert caught.value.fields["retry_after_s"] > 0
        assert await passwords.hash("correct horse")


class TestAttempts:
    def test_failures_are_limited_by_address_and_account(self) -> None:
        attempts = Attempts(now=lambda: 0.0)
        for _ in range(SIGN_IN_ATTEMPTS.burst):
            attempts.begin("192.0.2.1", "ada@example.com")

        with pytest.raises(LimitReached) as caught:
            attempts.begin("192.0.2.1", "ADA@example.com")
        attempts.begin("192.0.2.2", "ada@example.com")
        attempts.begin("192.0.2.1", "bob@example.com")

        assert caught.value.fields["limit"] == "sign_in_attempts"
        assert caught.value.fields["retry_after_s"] > 0

    def test_an_ipv6_user_gets_no_more_attempts_by_changing_the_address(self) -> None:
        attempts = Attempts(now=lambda: 0.0)
        for last in range(SIGN_IN_ATTEMPTS.burst):
            attempts.begin(f"2001:db8::{last:x}", "ada@example.com")

        with pytest.raises(LimitReached):
            attempts.begin("2001:db8::ffff", "ada@example.com")
        attempts.begin("2001:db8:0:1::1", "ada@example.com")

    def test_a_success_clears_the_failures(self) -> None:
        attempts = Attempts(now=lambda: 0.0)

        for _ in range(3 * SIGN_IN_ATTEMPTS.burst):
            attempts.begin("192.0.2.1", "ada@example.com")
            attempts.succeeded("192.0.2.1", "ada@example.com")

    def test_guesses_from_many_addresses_are_limited_and_the_owner_s_address_is_not(self) -> None:
        attempts = Attempts(now=lambda: 0.0)
        attempts.remember("192.0.2.1", "ada@example.com")
        for number in range(SIGN_IN_ATTEMPTS_ELSEWHERE.burst):
            attempts.begin(f"198.51.100.{number}", "ada@example.com")

        with pytest.raises(LimitReached) as caught:
            attempts.begin("203.0.113.1", "ADA@example.com")

        assert caught.value.fields["limit"] == "sign_in_attempts_elsewhere"
        for _ in range(SIGN_IN_ATTEMPTS.burst):
            attempts.begin("192.0.2.1", "ada@example.com")
        attempts.begin("203.0.113.1", "bob@example.com")

    def test_the_owner_s_attempts_do_not_use_up_those_of_the_account(self) -> None:
        attempts = Attempts(now=lambda: 0.0)
        for _ in range(2 * SIGN_IN_ATTEMPTS_ELSEWHERE.burst):
            attempts.succeeded("192.0.2.1", "ada@example.com")
            attempts.begin("192.0.2.1", "ada@example.com")

        for number in range(SIGN_IN_ATTEMPTS_ELSEWHERE.burst):
            attempts.begin(f"198.51.100.{number}", "ada@example.com")

    def test_the_addresses_that_are_remembered_are_bounded(self) -> None:
        attempts = Attempts(now=lambda: 0.0, keys_max=2)
        for number in range(5):
            attempts.remember(f"192.0.2.{number}", "ada@example.com")

        assert attempts.remembered == 2


class TestContact:
    @pytest.mark.parametrize(
        ("written", "kept"),
        [
            ("Ada@EXAMPLE.com", "Ada@example.com"),
            ("ada+shop@example.org", "ada+shop@example.org"),
            ("ada@demo.test", "ada@demo.test"),
        ],
    )
    def test_an_address_is_normalised(self, written: str, kept: str) -> None:
        assert normal_email(written) == kept

    @pytest.mark.parametrize("written", ["", "ada", "ada@", "@example.com", "ada@localhost", "a b@example.com"])
    def test_an_invalid_address_is_refused_by_field(self, written: str) -> None:
        with pytest.raises(Invalid) as caught:
            normal_email(written)
        assert caught.value.fields == {"email": "not_an_address"}

    def test_a_number_is_normalised_to_e164(self) -> None:
        assert normal_phone("+49 (30) 901 820") == "+4930901820"

    @pytest.mark.parametrize("written", ["", "030 901820", "+49", "+49 30 901820 ext. 7", "+1 23", "call me"])
    def test_a_number_that_is_not_international_is_refused(self, written: str) -> None:
        with pytest.raises(Invalid) as caught:
            normal_phone(written)
        assert list(caught.value.fields) == ["phone_number"]
