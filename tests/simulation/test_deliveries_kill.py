"""A server killed while it sends loses no message, and duplicates only those with an unknown outcome."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

from protocol.delivery.channels import Channel
from protocol.delivery.rows import Delivery
from protocol.ids import DeliveryId, NotificationId, UserId
from server.delivery.config import EmailConfig
from server.ops.database import open_database
from storage.database import Pool, connect_pool
from storage.deliveries import routing_round
from tests.support.faults import until
from tests.support.process import readable_directory, server_process
from tests.support.server import PASSWORD, Site, make_config, open_site
from tests.support.sizes import few_or_many
from tests.support.smtp import MailServer, mail_server

AT_ONCE = 8
#: Leases of the killed server expire after this.
LEASE_S = 4
#: Delay of the mail server, so that some messages are always in flight.
THINKS_S = 0.02
ALL = "SELECT id, state, attempts, unknown_outcomes FROM deliveries WHERE template = 'of.this.test'"


def variables(email: EmailConfig) -> dict[str, str]:
    """The environment that makes a server use this mail server."""
    return {
        "GUILDWIRE_EMAIL__HOST": email.host,
        "GUILDWIRE_EMAIL__PORT": str(email.port),
        "GUILDWIRE_EMAIL__SECURITY": email.security,
        "GUILDWIRE_EMAIL__FROM_ADDRESS": email.from_address,
        "GUILDWIRE_DELIVERIES__AT_ONCE": str(AT_ONCE),
        "GUILDWIRE_DELIVERIES__EMAIL_PER_S": "0",
        "GUILDWIRE_DELIVERIES__LEASE_S": str(LEASE_S),
    }


async def queue_emails(data_dir: Path, count: int) -> set[UUID]:
    """Queue e-mails to a known user while no server runs; returns their ids."""
    config = make_config(data_dir)
    async with open_database(config.server, config.database) as database:
        async with open_site(database.dsn, config) as site:
            user_id, notification_id = await notified_user(site)
        emails = [email(user_id, notification_id) for _ in range(count)]
        async with opened(database.dsn) as pool, routing_round(pool) as batch:
            await batch.write(emails)
    return {one.id for one in emails}


@asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[Pool]:
    pool = await connect_pool(dsn, size_max=2)
    try:
        yield pool
    finally:
        await pool.close()


async def notified_user(site: Site) -> tuple[UserId, NotificationId]:
    """A user with a notification of a sign-in on a device not seen before."""
    person = await site.person("Carla Customer")
    body = {"email": person.me.email, "password": PASSWORD}
    answer = await site.request("POST", "/auth/signin/", None, body, **{"User-Agent": "Tablet"})
    assert answer.status == 200, answer.body
    found = "SELECT id FROM notifications WHERE user_id = $1"

    async def is_notified() -> bool:
        return await site.node.pool.fetchval(found, person.id) is not None

    await until(is_notified)
    return person.id, NotificationId(await site.node.pool.fetchval(found, person.id))


def email(user_id: UserId, notification_id: NotificationId) -> Delivery:
    now = datetime.now(UTC)
    return Delivery(
        id=DeliveryId(uuid4()),
        user_id=user_id,
        notification_id=notification_id,
        template="of.this.test",
        channel=Channel.EMAIL,
        due_at=now,
        at=now,
    )


def arrived(mail: MailServer, wanted: set[UUID]) -> Counter[UUID]:
    """How often each e-mail arrived, by Message-ID."""
    ids = (UUID(taken.message["Message-ID"].strip("<>").partition("@")[0]) for taken in mail.taken)
    return Counter(id for id in ids if id in wanted)


@few_or_many("emails, killed_at", (300, (100,)), (1_000, (200, 500)))
async def test_what_is_in_flight_when_the_server_is_killed_is_sent_and_every_double_is_counted(
    emails: int, killed_at: tuple[int, ...]
) -> None:
    """The server is killed each time this many e-mails have arrived."""
    with readable_directory() as directory:
        wanted = await queue_emails(directory, emails)
        async with mail_server() as mail, server_process(directory, **variables(mail.config)) as server:
            mail.delay_s = THINKS_S
            running = await server.start()
            for count in killed_at:
                await until(partial(have_arrived, mail, count))
                await server.kill()
                running = await server.start()
            async with opened(running.dsn) as pool:
                await until(lambda: all_over(pool))
                rows = {row["id"]: row for row in await pool.fetch(ALL)}
            assert await server.stop() == 0

    came = arrived(mail, wanted)
    doubles = {id: count - 1 for id, count in came.items() if count > 1}
    unknown = {id: row["unknown_outcomes"] for id, row in rows.items() if row["unknown_outcomes"]}
    assert set(rows) == set(came) == wanted, "nothing is lost"
    assert {row["state"] for row in rows.values()} == {"sent"}
    assert all(count <= unknown.get(id, 0) for id, count in doubles.items()), "every double is counted"
    assert 0 < sum(unknown.values()) <= len(killed_at) * (AT_ONCE + 1), "and nothing but what was in flight"


async def have_arrived(mail: MailServer, count: int) -> bool:
    return len(mail.taken) >= count


async def all_over(pool: Pool) -> bool:
    return not await pool.fetchval(f"SELECT count(*) FROM ({ALL}) mine WHERE state IN ('waiting', 'sending')")
