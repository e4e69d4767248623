"""From a booking to an e-mail at a mail server, and from the e-mail's links back, all with real parts."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from protocol.booking.views import GetBooking
from protocol.preference.commands import SetPreferences
from protocol.preference.views import GetPreferences
from tests.support.faults import until
from tests.support.server import Person, Site, make_config, open_site
from tests.support.smtp import CUT, PASSWORD, MailServer, Taken, mail_server


@asynccontextmanager
async def site_with_mail(dsn: str, folder: Path) -> AsyncIterator[tuple[Site, MailServer]]:
    """A server whose mail server requires encryption and a password."""
    async with (
        mail_server("starttls", folder, password=PASSWORD) as mail,
        open_site(dsn, make_config(folder, email=mail.config)) as site,
    ):
        yield site, mail


async def taken(mail: MailServer, person: Person, subject: str) -> Taken:
    """Wait for an e-mail to a user."""
    found: list[Taken] = []

    async def there() -> bool:
        found[:] = [
            one for one in mail.taken if one.recipients == (person.me.email,) and one.message["Subject"] == subject
        ]
        return bool(found)

    await until(there)
    return found[0]


def part(email: Taken, kind: str) -> str:
    body = email.message.get_body((kind,))
    assert body is not None
    text = body.get_content()
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize(
    ("language", "subject"),
    [("en", "Booking confirmed"), ("de", "Buchung bestätigt"), ("it", "Prenotazione confermata")],
)
async def test_a_confirmed_booking_is_cancelled_by_the_link_in_its_email(
    database_dsn: str, tmp_path: Path, language: str, subject: str
) -> None:
    async with site_with_mail(database_dsn, tmp_path) as (site, mail):
        market, carla = await site.market(), await site.person("Carla Weiß")
        await carla.call(SetPreferences(language=language))
        booking_id = await site.confirmed(market, carla)

        email = await taken(mail, carla, subject)

        assert (email.encrypted, email.signed_in) == (True, True)
        assert email.message["To"].addresses[0].display_name == "Carla Weiß"
        (url,) = set(re.findall(rf"{site.url}/links/[\w-]+", part(email, "plain")))
        assert f'href="{url}"' in part(email, "html")
        async with aiohttp.ClientSession() as http:
            assert (await http.get(url)).status == 200
            assert (await http.post(url)).status == 200
        assert (await carla.call(GetBooking(booking_id=booking_id))).status == "CANCELLED"
        await site.prove()


async def test_a_mail_program_unsubscribes_by_the_header(database_dsn: str, tmp_path: Path) -> None:
    async with site_with_mail(database_dsn, tmp_path) as (site, mail):
        market, carla = await site.market(), await site.person("Carla")
        await site.confirmed(market, carla)
        email = await taken(mail, carla, "Booking confirmed")
        url = email.message["List-Unsubscribe"].strip("<>")

        form = dict([email.message["List-Unsubscribe-Post"].split("=")])
        async with aiohttp.ClientSession() as http:
            answer = await http.post(url, data=form)

        assert answer.status == 200
        assert (await carla.call(GetPreferences())).channels == {"booking.confirmed": ("push",)}


async def test_an_email_that_may_have_arrived_is_sent_again_under_the_same_id(
    database_dsn: str, tmp_path: Path
) -> None:
    async with site_with_mail(database_dsn, tmp_path) as (site, mail):
        market, carla = await site.market(), await site.person("Carla")
        mail.always["DATA"] = CUT
        await site.confirmed(market, carla)
        waiting = "SELECT count(*) FROM deliveries WHERE unknown_outcomes > 0 AND state = 'waiting' AND user_id = $1"

        async def cut() -> bool:
            return bool(await site.node.pool.fetchval(waiting, carla.id))

        await until(cut)
        mail.always.clear()
        await site.advance(timedelta(minutes=1))

        email = await taken(mail, carla, "Booking confirmed")
        named = "SELECT id::text FROM deliveries WHERE user_id = $1 AND template = 'booking.confirmed'"
        assert await site.node.pool.fetchval(named, carla.id) in email.message["Message-ID"]
