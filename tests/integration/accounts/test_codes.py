"""Codes by SMS and e-mail by the API: verified contact data, new passwords, and what must not be revealed."""

import asyncio
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from structlog.testing import capture_logs

from protocol.code.terms import CODE_MISSES_MAX, CODE_PAUSE_S, CODE_VALID_S, CODES_PER_WINDOW_MAX
from protocol.user.views import CurrentUser
from server.accounts.limits import CODE_GUESSES, CODES_PER_RANGE, CODES_PER_TARGET
from tests.support.faults import until
from tests.support.live_server import connect_client
from tests.support.mailbox import another, code, sent
from tests.support.server import PASSWORD, Person, Response, Site, make_config, open_site

NUMBER = "+4915112345678"
NEW_PASSWORD = "quite another secret"
WITHIN_S = 5


async def post(site: Site, what: str, person: Person | None = None, **body: Any) -> Response:
    return await site.request("POST", f"/auth/{what}/", person, body)


async def verify_phone(site: Site, person: Person, **body: Any) -> Response:
    return await post(site, "verify-phone", person, **body)


class Asked(NamedTuple):
    """What a user has after asking for a new password."""

    code: str
    request_id: str = "A" * 22

    @property
    def wrong(self) -> "Asked":
        """A wrong code for the same request."""
        return self._replace(code=another(self.code))


async def asked_to_reset(site: Site, person: Person) -> Asked:
    """Ask for a reset, and read the code from the mailbox."""
    before = len(await sent(site, "reset.email", 0))
    answer = await post(site, "reset-password", email=person.me.email)
    return Asked(await code(site, "reset.email", before + 1), answer.json["request_id"])


async def reset(site: Site, email: str, given: Asked, password: str = NEW_PASSWORD) -> Response:
    body: dict[str, Any] = given._asdict() | {"email": email, "new_password": password}
    return await post(site, "reset-password", **body)


def verdict(answer: Response) -> str:
    return "ok" if answer.status == 200 else str(answer.json["code"])


class TestVerifying:
    async def test_a_number_is_verified_by_its_code(self, server: Site) -> None:
        ada = await server.person("Ada")

        asked = await verify_phone(server, ada, phone_number="+49 151 12345678")
        assert asked.json == {"done": False, "expires_in_s": CODE_VALID_S, "request_id": None}
        assert (await ada.call(CurrentUser())).phone_number is None
        answer = await verify_phone(server, ada, code=await code(server, "code.sms"))

        assert answer.json == {"done": True, "expires_in_s": None, "request_id": None}
        me = await ada.call(CurrentUser())
        assert (me.phone_number, me.is_phone_verified) == (NUMBER, True)
        assert (await verify_phone(server, ada)).json["done"]
        await server.prove()

    async def test_a_code_is_used_once(self, server: Site) -> None:
        ada = await server.person("Ada")
        await verify_phone(server, ada, phone_number=NUMBER)
        right = await code(server, "code.sms")

        answers = await asyncio.gather(*[verify_phone(server, ada, code=right) for _ in range(8)])

        assert sorted(verdict(answer) for answer in answers) == ["code_invalid"] * 7 + ["ok"]

    async def test_a_retry_with_its_key_gets_the_first_reply(self, server: Site) -> None:
        ada = await server.person("Ada")
        await verify_phone(server, ada, phone_number=NUMBER)
        body = {"code": await code(server, "code.sms")}

        answers = [
            await server.request("POST", "/auth/verify-phone/", ada, body, **{"Idempotency-Key": "once"})
            for _ in range(2)
        ]

        assert [verdict(answer) for answer in answers] == ["ok", "ok"]

    async def test_a_code_is_void_after_ten_minutes(self, server: Site) -> None:
        ada = await server.person("Ada")
        await verify_phone(server, ada, phone_number=NUMBER)
        right = await code(server, "code.sms")
        await server.advance(timedelta(seconds=CODE_VALID_S))

        assert verdict(await verify_phone(server, ada, code=right)) == "code_invalid"

    async def test_a_new_code_voids_the_previous_one(self, server: Site) -> None:
        ada = await server.person("Ada")
        await verify_phone(server, ada, phone_number=NUMBER)
        first = await code(server, "code.sms")
        assert verdict(await verify_phone(server, ada, phone_number=NUMBER)) == "limit_reached"
        await server.advance(timedelta(seconds=CODE_PAUSE_S))
        await verify_phone(server, ada, phone_number=NUMBER)
        second = await code(server, "code.sms", 2)

        if first != second:
            assert verdict(await verify_phone(server, ada, code=first)) == "code_invalid"
        assert verdict(await verify_phone(server, ada, code=second)) == "ok"

    async def test_five_wrong_guesses_void_a_code(self, server: Site) -> None:
        ada = await server.person("Ada")
        await verify_phone(server, ada, phone_number=NUMBER)
        right = await code(server, "code.sms")

        for _ in range(CODE_MISSES_MAX):
            assert verdict(await verify_phone(server, ada, code=another(right))) == "code_invalid"

        assert verdict(await verify_phone(server, ada, code=right)) == "code_invalid"
        assert await server.node.pool.fetchval("SELECT count(*) FROM code_targets") == 0

    async def test_a_number_verified_by_another_user_is_refused(self, server: Site) -> None:
        ada, eve = await server.people("Ada", "Eve")
        for count, person in enumerate((ada, eve), 1):
            await verify_phone(server, person, phone_number=NUMBER)
            answer = await verify_phone(server, person, code=await code(server, "code.sms", count))
            assert verdict(answer) == ("ok" if person is ada else "phone_taken")

        assert (await eve.call(CurrentUser())).phone_number is None

    async def test_a_number_that_was_replaced_is_free_again(self, server: Site) -> None:
        ada, eve = await server.people("Ada", "Eve")
        for count, (person, number) in enumerate([(ada, NUMBER), (ada, NUMBER[:-1] + "9"), (eve, NUMBER)], 1):
            await verify_phone(server, person, phone_number=number, password=PASSWORD)
            assert verdict(await verify_phone(server, person, code=await code(server, "code.sms", count))) == "ok"
            await server.advance(timedelta(seconds=CODE_PAUSE_S))

        assert (await eve.call(CurrentUser())).phone_number == NUMBER

    async def test_a_changed_address_is_verified_and_the_old_one_gets_a_notice(self, server: Site) -> None:
        ada = await server.person("Ada")
        before = ada.me.email

        await post(server, "verify-email", ada, email="New.Ada@people.test", password=PASSWORD)
        answer = await post(server, "verify-email", ada, code=await code(server, "code.email"))

        assert verdict(answer) == "ok"
        assert (await ada.call(CurrentUser())).email == "New.Ada@people.test"
        await sent(server, "email.changed")
        notified = await server.node.pool.fetchval(
            "SELECT message->>'to' FROM development_mailbox m JOIN deliveries d ON d.id = m.delivery_id"
            " WHERE d.template = 'email.changed'"
        )
        assert notified == before
        assert (await post(server, "signin", email="new.ada@people.test", password=PASSWORD)).status == 200
        assert (await post(server, "signin", email=before, password=PASSWORD)).status == 401

    async def test_a_stolen_token_alone_changes_neither_address_nor_verified_number(self, server: Site) -> None:
        ada = await server.person("Ada")
        await verify_phone(server, ada, phone_number=NUMBER)
        await verify_phone(server, ada, code=await code(server, "code.sms"))

        answers = [
            await post(server, "verify-email", ada, email="thief@people.test"),
            await post(server, "verify-email", ada, email="thief@people.test", password="a wrong password"),
            await verify_phone(server, ada, phone_number=NUMBER[:-1] + "9"),
        ]

        assert [(one.status, one.json["fields"]) for one in answers] == [
            (403, {"reason": "password_needed"}),
            (403, {"reason": "wrong_password"}),
            (403, {"reason": "password_needed"}),
        ]
        assert await server.node.pool.fetchval("SELECT count(*) FROM code_targets") == 0

    async def test_an_address_of_another_account_is_refused_only_after_its_code(self, server: Site) -> None:
        ada, eve = await server.people("Ada", "Eve")

        asked = await post(server, "verify-email", eve, email=ada.me.email, password=PASSWORD)
        answer = await post(server, "verify-email", eve, code=await code(server, "code.email"))

        assert verdict(asked) == "ok"
        assert verdict(answer) == "email_taken"

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "phone_number"),
            ({"phone_number": "0151 12345678"}, "phone_number"),
            ({"phone_number": "+49 1"}, "phone_number"),
            ({"phone_number": "+49 151 12345678 ext. 5"}, "phone_number"),
            ({"code": "12345"}, "code"),
            ({"code": "1234567"}, "code"),
            ({"code": "١٢٣٤٥٦"}, "code"),
        ],
    )
    async def test_an_invalid_field_is_named(self, server: Site, body: dict[str, str], field: str) -> None:
        ada = await server.person("Ada")

        answer = await verify_phone(server, ada, **body)

        assert (answer.status, list(answer.json["fields"])) == (422, [field])


class TestResetting:
    async def test_a_code_sets_a_password_and_ends_all_sessions_within_seconds(self, server: Site) -> None:
        ada = await server.person("Ada")
        phone = await server.sign_in(ada.me.email)
        here, there = await ada.rest.token(), await phone.rest.token()
        async with connect_client(server.url, here) as one, connect_client(server.url, there) as other:
            given = await asked_to_reset(server, ada)
            async with asyncio.timeout(WITHIN_S):
                assert verdict(await reset(server, ada.me.email, given)) == "ok"
                assert await one.end() == (4503, "revoked")
                assert await other.end() == (4503, "revoked")

        assert (await post(server, "signin", email=ada.me.email, password=PASSWORD)).status == 401
        assert (await post(server, "signin", email=ada.me.email, password=NEW_PASSWORD)).status == 200
        assert verdict(await reset(server, ada.me.email, given, PASSWORD)) == "code_invalid"
        assert "changed" in (await sent(server, "password.changed"))[0]
        await server.prove()

    async def test_a_reset_does_not_reveal_whether_an_address_has_an_account(self, server: Site) -> None:
        ada = await server.person("Ada")
        nobody = "nobody@people.test"
        work = "SELECT count(*) FROM command_log WHERE command IN ('user.send_code', 'user.reset_password')"

        answers, done = [], []
        for email in (ada.me.email, nobody):
            before = await server.node.pool.fetchval(work)
            asked = await post(server, "reset-password", email=email)
            guessed = await reset(server, email, Asked("000000"))
            answers.append([(one.status, said(one)) for one in (asked, guessed)])
            done.append(await server.node.pool.fetchval(work) - before)

        assert answers[0] == answers[1]
        assert done == [2, 2]
        assert await server.node.pool.fetchval("SELECT count(*) FROM deliveries WHERE template = 'reset.email'") == 1

    async def test_wrong_expired_used_and_unknown_codes_are_refused_alike(self, server: Site) -> None:
        ada = await server.person("Ada")
        right = await asked_to_reset(server, ada)
        answers = [
            await reset(server, "nobody@people.test", right),
            await reset(server, ada.me.email, right.wrong),
            await reset(server, ada.me.email, right),
            await reset(server, ada.me.email, right),
        ]
        await server.advance(timedelta(seconds=CODE_PAUSE_S))
        late = await asked_to_reset(server, ada)
        await server.advance(timedelta(seconds=CODE_VALID_S))
        answers.append(await reset(server, ada.me.email, late))

        assert [verdict(one) for one in answers] == ["code_invalid", "code_invalid", "ok", *["code_invalid"] * 2]
        assert len({str(said(one)) for one in answers if one.status != 200}) == 1

    async def test_a_stranger_neither_voids_nor_uses_up_the_codes_of_the_owner(self, server: Site) -> None:
        ada = await server.person("Ada")
        right = await asked_to_reset(server, ada)
        for _ in range(CODE_MISSES_MAX):
            assert verdict(await reset(server, ada.me.email, Asked("000000", "B" * 22))) == "code_invalid"
        await server.advance(timedelta(seconds=CODE_PAUSE_S))
        await asked_to_reset(server, ada)  # by a stranger, who does not see the code

        missing = await post(server, "reset-password", email=ada.me.email, code=right.code, new_password=NEW_PASSWORD)

        assert (missing.status, missing.json["fields"]) == (422, {"request_id": "missing"})
        assert await server.node.pool.fetchval("SELECT count(*) FROM journal WHERE type = 'code.missed'") == 0
        assert verdict(await reset(server, ada.me.email, right)) == "ok"

    async def test_an_unacceptable_password_does_not_use_up_the_code(self, server: Site) -> None:
        ada = await server.person("Ada")
        right = await asked_to_reset(server, ada)

        assert verdict(await reset(server, ada.me.email, right, "short")) == "invalid"
        assert verdict(await reset(server, ada.me.email, right)) == "ok"

    async def test_guessing_is_limited_by_address_and_account(self, server: Site) -> None:
        verdicts = [
            verdict(await reset(server, "nobody@people.test", Asked("000000"))) for _ in range(CODE_GUESSES.burst + 1)
        ]

        assert verdicts == ["code_invalid"] * CODE_GUESSES.burst + ["limit_reached"]

    async def test_a_pending_code_survives_a_restart(self, database_dsn: str, tmp_path: Path) -> None:
        async with open_site(database_dsn, make_config(tmp_path)) as site:
            ada = await site.person("Ada")
            email, right = ada.me.email, await asked_to_reset(site, ada)

        async with open_site(database_dsn, make_config(tmp_path)) as site:
            assert verdict(await reset(site, email, right.wrong)) == "code_invalid"
            assert verdict(await reset(site, email, right)) == "ok"

    async def test_a_code_that_was_not_sent_yet_is_sent_after_a_restart(
        self, database_dsn: str, tmp_path: Path
    ) -> None:
        async with open_site(database_dsn, make_config(tmp_path)) as site:
            ada = await site.person("Ada")
            email = ada.me.email
            await site.server.delivery.stop(1)
            request_id = (await post(site, "reset-password", email=email)).json["request_id"]
            assert await site.node.pool.fetchval("SELECT state FROM deliveries WHERE template = 'reset.email'") == (
                "waiting"
            )

        async with open_site(database_dsn, make_config(tmp_path)) as site:
            assert verdict(await reset(site, email, Asked(await code(site, "reset.email"), request_id))) == "ok"


class TestChanging:
    async def test_a_changed_password_ends_the_sessions_of_other_devices_only(self, server: Site) -> None:
        ada = await server.person("Ada")
        phone = await server.sign_in(ada.me.email)

        answer = await post(server, "change-password", ada, password=PASSWORD, new_password=NEW_PASSWORD)

        assert answer.status == 200
        assert (await ada.call(CurrentUser())).id == ada.id
        token = phone.rest.signed_in.tokens.access_token if phone.rest.signed_in else ""
        assert (await server.request("GET", "/auth/sessions/", Authorization=f"Bearer {token}")).status == 401
        assert (await post(server, "signin", email=ada.me.email, password=NEW_PASSWORD)).status == 200

    async def test_a_change_without_the_old_password_is_refused(self, server: Site) -> None:
        ada = await server.person("Ada")

        answer = await post(server, "change-password", ada, password="a guess", new_password=NEW_PASSWORD)

        assert (answer.status, answer.json["fields"]) == (403, {"reason": "wrong_password"})


class TestBounds:
    async def test_codes_to_one_address_are_limited(self, server: Site) -> None:
        verdicts = [
            verdict(await post(server, "reset-password", email="nobody@people.test"))
            for _ in range(CODES_PER_TARGET.burst + 1)
        ]

        assert verdicts == ["ok"] * CODES_PER_TARGET.burst + ["limit_reached"]

    async def test_codes_to_a_range_of_numbers_are_limited(self, server: Site) -> None:
        people = await server.people(*["Pumper"] * (CODES_PER_RANGE.burst + 1))

        verdicts = [
            verdict(await verify_phone(server, person, phone_number=f"{NUMBER[:-3]}{at:03}"))
            for at, person in enumerate(people)
        ]

        assert verdicts == ["ok"] * CODES_PER_RANGE.burst + ["limit_reached"]

    async def test_codes_of_one_account_are_limited_by_day(self, server: Site) -> None:
        ada = await server.person("Ada")
        verdicts = []
        for at in range(CODES_PER_WINDOW_MAX + 1):
            verdicts.append(verdict(await verify_phone(server, ada, phone_number=f"{NUMBER[:-3]}{at:03}")))
            await server.advance(timedelta(seconds=CODE_PAUSE_S))

        assert verdicts == ["ok"] * CODES_PER_WINDOW_MAX + ["limit_reached"]


class TestSecrets:
    async def test_codes_numbers_and_addresses_are_not_logged_nor_kept_once_sent(
        self, server: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        ada = await server.person("Ada")
        with capture_logs() as logs:
            await verify_phone(server, ada, phone_number=NUMBER)
            phone_code = await code(server, "code.sms")
            wrong = await verify_phone(server, ada, code=another(phone_code))
            await post(server, "verify-email", ada, email="other@people.test", password=PASSWORD)
            email_code = await code(server, "code.email")
            await server.advance(timedelta(seconds=CODE_PAUSE_S))
            reset_code = await asked_to_reset(server, ada)
            refused = await reset(server, ada.me.email, reset_code.wrong)
            await reset(server, ada.me.email, reset_code)
        await until(lambda: over(server))

        codes = [phone_code, email_code, reset_code.code]
        secrets = [*codes, *map(another, codes), NUMBER, "other@people.test", NEW_PASSWORD]
        tables = await server.node.pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        # The mailbox is what users received; the other two tables are meant for contact data.
        wanted = [
            row[0] for row in tables if row[0] not in ("development_mailbox", "people", "code_targets", "unique_keys")
        ]
        kept = " ".join(
            [str(row[0]) for table in wanted for row in await server.node.pool.fetch(f"SELECT t::text FROM {table} t")]
        )
        seen = kept + str(logs) + caplog.text + repr(wrong.body) + repr(refused.body)
        assert "code.issued" in kept
        assert [secret for secret in secrets if secret in seen] == []


async def over(site: Site) -> bool:
    return not await site.node.pool.fetchval("SELECT count(*) FROM deliveries WHERE state IN ('waiting', 'sending')")


def said(answer: Response) -> Any:
    """The response's body without the fields that differ each time."""
    body = answer.json
    return {name: value for name, value in body.items() if name not in ("request_id", "instance")}
