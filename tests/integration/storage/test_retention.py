"""What is not kept for good goes in time, in small steps, and takes nothing with it that is needed."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from functools import partial
from uuid import UUID

import pytest

from actors.actor import ACTORS
from protocol.booking.views import GetTimeline
from protocol.frames import OpenOutcome
from protocol.ids import BookingId
from protocol.notice.commands import SendNotification
from protocol.notification.views import ListNotifications
from protocol.snapshot import GetSnapshot
from server.edge.job import Daily, Job
from server.ops.config import RetentionConfig
from server.ops.retention import retention_jobs
from server.ops.verify import verify
from storage import retention
from storage.database import Pool
from storage.inbox import PAGES, InboxRange, read_pages
from storage.retention import (
    ARCHIVE,
    FORGET_NOTIFICATIONS,
    FORGET_STRAY_READS,
    TRIM,
    archive_journals,
    forget_notifications,
    sweeping,
    trim_inboxes,
)
from storage.verify import JOURNALS
from tests.support.faults import until
from tests.support.server import Person, Site

AT = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ADA, BOB = UUID(int=1), UUID(int=2)
Story = tuple[Site, Person, BookingId]
MANY = 300


async def fill_inbox(pool: Pool, user_id: UUID, days: Sequence[float]) -> None:
    """An inbox with one row on each of these days, in this order."""
    await pool.execute("INSERT INTO inbox_counters VALUES ($1, $2)", user_id, len(days))
    await pool.executemany(
        "INSERT INTO inbox VALUES ($1, $2, 'user', $1, $2, $3)",
        [(user_id, seq, AT + day * DAY) for seq, day in enumerate(days, start=1)],
    )


async def seqs(pool: Pool, user_id: UUID) -> list[int]:
    rows = await pool.fetch("SELECT seq FROM inbox WHERE user_id = $1 ORDER BY seq", user_id)
    return [row["seq"] for row in rows]


async def log_commands(pool: Pool, days: Sequence[float]) -> None:
    await pool.executemany(
        "INSERT INTO command_log VALUES ($1, $2, '', 'x', 'user', $1, 0, false, '{}', NULL, $3)",
        [(ADA, str(key), AT + day * DAY) for key, day in enumerate(days)],
    )


async def keys(pool: Pool) -> list[int]:
    return sorted(int(row["key"]) for row in await pool.fetch("SELECT key FROM command_log"))


async def plan(pool: Pool, sql: str, *values: object) -> str:
    return "\n".join(row[0] for row in await pool.fetch(f"EXPLAIN {sql}", *values))


def job(site: Site, name: str, **keep: int) -> Job:
    """One of the jobs that the site's server runs by night."""
    (found,) = [job for job in nightly(site, **keep) if job.name == name]
    return found


def nightly(site: Site, **keep: int) -> list[Job]:
    """The site's jobs, with a retention of their own."""
    return retention_jobs(site.node.pool, Daily(time(3, 17)), RetentionConfig(**keep))


# Inboxes


async def test_the_old_beginning_of_an_inbox_goes(pool: Pool) -> None:
    await fill_inbox(pool, ADA, [1, 2, 3, 4])

    assert await trim_inboxes(pool, AT + 3 * DAY) == 2

    assert await seqs(pool, ADA) == [3, 4]


async def test_what_is_left_is_contiguous_though_the_times_are_not_in_order(pool: Pool) -> None:
    await fill_inbox(pool, ADA, [1, 5, 2, 6])

    assert await trim_inboxes(pool, AT + 4 * DAY) == 1

    assert await seqs(pool, ADA) == [2, 3, 4], "an old row behind one that is needed stays"


async def test_the_last_row_stays_however_old_so_that_the_counter_has_its_row(pool: Pool) -> None:
    await fill_inbox(pool, ADA, [1, 1, 1])
    await fill_inbox(pool, BOB, [1])

    assert await trim_inboxes(pool, AT + 99 * DAY) == 2

    assert (await seqs(pool, ADA), await seqs(pool, BOB)) == ([3], [1])


async def test_long_inboxes_and_many_users_take_several_statements(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "TRIM_USERS_MAX", 2)
    monkeypatch.setattr(retention, "TRIM_ROWS_MAX", 3)
    for number in range(1, 6):
        await fill_inbox(pool, UUID(int=number), [*[1] * number * 3, 9])

    assert await trim_inboxes(pool, AT + 2 * DAY) == 45

    assert [await seqs(pool, UUID(int=number)) for number in range(1, 6)] == [[4], [7], [10], [13], [16]]


async def test_one_statement_deletes_no_more_than_its_limits(pool: Pool) -> None:
    await fill_inbox(pool, ADA, [1] * 10)
    await fill_inbox(pool, BOB, [1] * 10)

    row = await pool.fetchrow(TRIM, UUID(int=0), AT + 2 * DAY, 1, 3)

    assert row is not None
    assert (row["deleted"], row["more"], row["users"], row["last"]) == (3, True, 1, ADA)


async def test_trimming_goes_by_the_inboxes_keys(pool: Pool) -> None:
    await pool.execute("INSERT INTO inbox_counters SELECT gen_random_uuid(), 50 FROM generate_series(1, 2000)")
    await pool.execute(
        "INSERT INTO inbox SELECT user_id, s, 'user', user_id, s, $1 FROM inbox_counters, generate_series(1, 50) s", AT
    )
    await pool.execute("ANALYZE inbox, inbox_counters")

    shown = await plan(pool, TRIM, ADA, AT + DAY, 200, 100)

    assert "Seq Scan" not in shown, shown
    assert shown.count("inbox_pkey") >= 2, shown
    assert "Tid Scan on inbox" in shown, shown


# Tables that are swept


async def test_rows_from_before_the_instant_are_swept_and_no_others(pool: Pool) -> None:
    await log_commands(pool, [1, 3, 2, 5])

    assert await sweeping("command_log", "at")(pool, AT + 3 * DAY) == 2

    assert await keys(pool) == [1, 3]


async def test_a_table_of_many_blocks_is_swept_in_many_statements(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "SWEEP_BLOCKS_MAX", 1)
    await log_commands(pool, [1, 9] * MANY)
    assert await pool.fetchval("SELECT pg_relation_size('command_log')") > 2 * 8192

    assert await sweeping("command_log", "at")(pool, AT + 3 * DAY) == MANY

    assert await keys(pool) == list(range(1, 2 * MANY, 2))


async def test_sweeping_reads_only_the_blocks_of_its_step(pool: Pool) -> None:
    await log_commands(pool, [1] * MANY)
    await pool.execute("ANALYZE command_log")

    shown = await plan(
        pool, "DELETE FROM command_log WHERE ctid >= $1::tid AND ctid < $2::tid AND at < $3", (0, 0), (1, 0), AT
    )

    assert "Tid Range Scan on command_log" in shown


async def test_an_empty_table_is_swept(pool: Pool) -> None:
    assert await sweeping("unmatched_webhooks", "received_at")(pool, AT) == 0


# Notifications


async def notify(pool: Pool, user_id: UUID, days: Sequence[float]) -> None:
    """Notifications of these days; each has its day's number as its id."""
    await pool.executemany(
        "INSERT INTO notifications (user_id, id, type, kind, entity_id, event, at)"
        " VALUES ($1, $2, 'booking.paid', 'booking', $1, '{}', $3)",
        [(user_id, UUID(int=int(day * 10)), AT + day * DAY) for day in days],
    )


async def read_one(pool: Pool, user_id: UUID, day: float) -> None:
    await pool.execute(
        "INSERT INTO notification_reads VALUES ($1, $2, $3)", user_id, UUID(int=int(day * 10)), AT + day * DAY
    )


async def days_of(pool: Pool, relation: str = "notifications", column: str = "id") -> list[tuple[UUID, float]]:
    rows = await pool.fetch(f"SELECT user_id, {column} AS id FROM {relation} ORDER BY user_id, id")
    return [(row["user_id"], row["id"].int / 10) for row in rows]


async def forget(pool: Pool, read: float, unread: float) -> int:
    return await forget_notifications(pool, read_before=AT + read * DAY, unread_before=AT + unread * DAY)


async def test_old_notifications_go_once_they_were_read_and_all_of_them_later(pool: Pool) -> None:
    await notify(pool, ADA, [1, 5, 6, 12])
    await read_one(pool, ADA, 6)
    await read_one(pool, ADA, 12)
    await notify(pool, BOB, [1, 5, 6, 12])
    await pool.execute("INSERT INTO notification_marks VALUES ($1, $2)", BOB, AT + 5 * DAY)

    assert await forget(pool, 10, 2) == 4

    assert await days_of(pool) == [(ADA, 5), (ADA, 12), (BOB, 6), (BOB, 12)]


async def test_whether_it_was_read_is_forgotten_with_a_notification_and_never_before_it(pool: Pool) -> None:
    await notify(pool, ADA, [5, 12])
    for day in (5, 12):
        await read_one(pool, ADA, day)
    await read_one(pool, ADA, 4)  # of something that never was
    await read_one(pool, BOB, 13)

    assert await forget(pool, 10, 2) == 1

    reads = await days_of(pool, "notification_reads", "notification_id")
    assert reads == [(ADA, 12), (BOB, 13)]


async def test_many_notifications_are_forgotten_in_many_statements(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "SWEEP_BLOCKS_MAX", 1)
    await notify(pool, ADA, [day / 10 for day in range(1, MANY)])
    await notify(pool, BOB, [99])
    assert await pool.fetchval("SELECT pg_relation_size('notifications')") > 2 * 8192

    assert await forget(pool, 50, 50) == MANY - 1

    assert await days_of(pool) == [(BOB, 99)]


async def test_each_step_of_forgetting_reads_its_blocks_alone(pool: Pool) -> None:
    await pool.execute(
        "INSERT INTO notifications SELECT gen_random_uuid(), gen_random_uuid(), 'booking.paid', 'booking',"
        " i.user_id, 1, '{}', '2030-01-01'::timestamptz + n * interval '1 minute'"
        " FROM (SELECT gen_random_uuid() AS user_id) i, generate_series(1, 30000) n;"
        " INSERT INTO notification_reads SELECT user_id, id, at FROM notifications WHERE random() < 0.5;"
        " ANALYZE notifications, notification_reads"
    )
    here = (0, 0), (64, 0)

    forgetting = await plan(pool, FORGET_NOTIFICATIONS, *here, AT + DAY, AT)
    strays = await plan(pool, FORGET_STRAY_READS, *here, AT + DAY)

    assert "Tid Range Scan on notifications" in forgetting, forgetting
    assert "Tid Range Scan on notification_reads" in strays, strays


# The archive


@pytest.fixture
async def story(server: Site) -> Story:
    """A server with a booking that has ended long ago, and its customer."""
    market, customer = await server.market(), await server.person("Carla", live=True)
    booking_id = await server.completed(market, customer)
    await server.advance(3 * DAY)
    return server, customer, booking_id


async def entries(pool: Pool, relation: str, kind: str = "booking") -> int:
    return int(await pool.fetchval(f"SELECT count(*) FROM {relation} WHERE kind = $1", kind))


async def test_the_journal_of_what_has_come_to_rest_moves_to_the_archive(story: Story) -> None:
    site, customer, booking_id = story
    before = await site.node.pool.fetch("SELECT * FROM journal_all ORDER BY kind, id, version")
    timeline = await customer.call(GetTimeline(booking_id=booking_id))

    moved = await archive_journals(site.node.pool, site.node.clock.now() + DAY)

    assert moved == len(before), "nobody has a timer any more"
    assert await site.node.pool.fetchval("SELECT count(*) FROM journal") == 0
    assert await site.node.pool.fetch("SELECT * FROM journal_all ORDER BY kind, id, version") == before
    assert await customer.call(GetTimeline(booking_id=booking_id)) == timeline
    await site.prove()


async def test_an_inbox_is_read_back_from_the_archive_as_from_the_journal(story: Story) -> None:
    site, customer, _ = story
    before = await read_pages(site.node.pool, [InboxRange(customer.id, 0, 500)])

    await archive_journals(site.node.pool, site.node.clock.now() + DAY)

    assert await read_pages(site.node.pool, [InboxRange(customer.id, 0, 500)]) == before
    assert len(before[0]) > 5


async def test_who_had_an_event_lately_or_has_a_timer_stays(server: Site) -> None:
    market, customer = await server.market(), await server.person("Carla")
    waiting = await server.confirmed(market, customer)
    late = server.node.clock.now() + DAY

    await archive_journals(server.node.pool, server.node.clock.now() - DAY)
    assert await entries(server.node.pool, "journal_archive") == 0, "all of it is young"
    await archive_journals(server.node.pool, late)

    assert await entries(server.node.pool, "journal_archive") == 0, "the booking waits for its reminders"
    assert await entries(server.node.pool, "journal_archive", "business") == 1
    assert await server.node.pool.fetchval("SELECT count(*) FROM journal WHERE id = $1", waiting) > 0
    await server.prove()


async def test_who_wakes_up_goes_on_in_the_journal_and_can_be_moved_again(server: Site) -> None:
    person = await server.person("Ada")
    await archive_journals(server.node.pool, server.node.clock.now() + DAY)
    assert await entries(server.node.pool, "journal", "user") == 0

    await server.sign_in(person.me.email)

    assert await entries(server.node.pool, "journal", "user") > 0
    await server.prove()
    await archive_journals(server.node.pool, server.node.clock.now() + DAY)
    assert await entries(server.node.pool, "journal", "user") == 0
    assert await entries(server.node.pool, "journal_archive", "user") == 2, "each time in one row"
    await server.prove()


async def test_long_journals_and_many_actors_take_several_statements(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, _, _ = story
    monkeypatch.setattr(retention, "ARCHIVE_BLOCKS_MAX", 1)
    monkeypatch.setattr(retention, "ARCHIVE_ACTORS_MAX", 1)
    monkeypatch.setattr(retention, "ARCHIVE_EVENTS_MAX", 2)
    before = await site.node.pool.fetch("SELECT * FROM journal_all ORDER BY kind, id, version")

    await archive_journals(site.node.pool, site.node.clock.now() + DAY)

    assert await site.node.pool.fetchval("SELECT max(cardinality(types)) FROM journal_archive") == 2
    assert await site.node.pool.fetchval("SELECT count(*) FROM journal") == 0
    assert await site.node.pool.fetch("SELECT * FROM journal_all ORDER BY kind, id, version") == before
    await site.prove()


async def test_the_archive_is_read_by_its_key(pool: Pool) -> None:
    await crowd(pool)
    looks: dict[str, tuple[str, list[object]]] = {
        "one actor": ("SELECT * FROM journal_all WHERE kind = 'user' AND id = $1", [ADA]),
        "an inbox": (PAGES, [[ADA], [0], [500]]),
        "a page of verify": (JOURNALS, [["user"] * 2, [ADA, BOB]]),
    }

    for what, (sql, values) in looks.items():
        shown = await plan(pool, sql, *values)
        assert "Index Scan using journal_archive_pkey" in shown, f"{what}: {shown}"
        assert "Seq Scan" not in shown, f"{what}: {shown}"


async def test_the_journal_is_searched_block_by_block_and_moved_by_its_key(pool: Pool) -> None:
    await crowd(pool)

    shown = await plan(pool, ARCHIVE, (0, 0), (64, 0), AT, 100, 500)

    assert "Tid Range Scan on journal" in shown, shown
    assert "Seq Scan" not in shown, shown


async def crowd(pool: Pool) -> None:
    """Enough actors, events and inbox rows that reading a whole table would be noticed."""
    await pool.execute(
        "INSERT INTO actors SELECT 'user', gen_random_uuid(), 2, 1, 1, '{}' FROM generate_series(1, 5000);"
        " INSERT INTO journal"
        " SELECT kind, id, v, 'x', 1, '{}', '2030-01-05', id, 'x' FROM actors, generate_series(1, 2) v;"
        " INSERT INTO journal_archive"
        " SELECT kind, gen_random_uuid(), 1, 2, '{x,x}', '{1,1}', ARRAY['{}', '{}']::jsonb[],"
        " '{2030-01-01,2030-01-01}', ARRAY[id, id], '{x,x}' FROM actors;"
        " INSERT INTO inbox SELECT id, s, kind, id, s, '2030-01-05' FROM actors, generate_series(1, 2) s;"
        " INSERT INTO agenda SELECT gen_random_uuid(), kind, id, 't', '2030-02-01', NULL, 'x', '{}', 'x' FROM actors;"
        " ANALYZE actors, journal, journal_archive, inbox, agenda"
    )


# The jobs


async def test_a_client_that_was_away_for_longer_than_inboxes_are_kept_starts_afresh(server: Site) -> None:
    market, customer = await server.market(), await server.person("Carla")
    old = (await customer.call(GetSnapshot())).as_of
    await server.booked(market, customer)
    later = server.node.clock.now() + 10 * DAY
    trim = job(server, "trim_inboxes", inbox_days=30)

    assert await trim.run(later) == {"rows": 0}
    client = await server.listen(customer, old)
    await client.until(lambda event: event.type == "booking.created")
    assert client.outcomes == [OpenOutcome.RESUMED], "within the time it gets what it missed"

    await server.booked(market, customer, hours=2)
    removed = await trim.run(later + 30 * DAY)
    assert removed["rows"] > 0
    away = await server.listen(customer, old)
    await away.ask(GetSnapshot())
    assert away.outcomes == [OpenOutcome.RESET]
    await server.prove()


async def test_a_retry_within_the_time_finds_its_answer_and_after_it_does_not(server: Site) -> None:
    sweep = job(server, "forget_answers", command_log_days=7)
    count = "SELECT count(*) FROM command_log"
    await server.person("Ada")
    made, now = await server.node.pool.fetchval(count), server.node.clock.now()

    assert await sweep.run(now + 6 * DAY) == {"rows": 0}
    assert await sweep.run(now + 8 * DAY) == {"rows": made}

    assert await server.node.pool.fetchval(count) == 0
    await server.prove()


async def test_journals_stay_where_they_are_if_they_shall(server: Site) -> None:
    assert "archive_journals" in [job.name for job in nightly(server)]
    assert "archive_journals" not in [job.name for job in nightly(server, journal_days=0)]


async def test_the_servers_own_clock_runs_them(server: Site) -> None:
    await server.person("Ada")
    assert await entries(server.node.pool, "journal", "user") > 0

    for _ in range(2):
        await server.advance(201 * DAY)
        await server.server.jobs.settle()

    assert await entries(server.node.pool, "journal", "user") == 0
    assert await server.node.pool.fetchval("SELECT count(*) FROM command_log") == 0
    assert not [finding async for finding in verify(server.node.pool, ACTORS) if finding.broken]


async def test_a_notification_that_nobody_reads_stays_for_a_year_and_its_text_a_day_longer(server: Site) -> None:
    admin, reader = await server.admin(), await server.person("Rita")
    await admin.call(SendNotification(user_ids=(reader.id,), title="Closed on Monday", body="We are at the fair."))
    await until(partial(is_told, server, reader))
    made = await server.node.pool.fetchval("SELECT count(*) FROM notifications")
    jobs = {one.name: one for one in nightly(server)}
    now = server.node.clock.now()

    async def gone_after(days: float) -> list[int]:
        names = ("forget_notifications", "forget_notices")
        return [(await jobs[name].run(now + days * DAY))["rows"] for name in names]

    assert await gone_after(364) == [0, 0]
    assert await gone_after(365.5) == [made, 0]
    assert await gone_after(367) == [0, 1]
    await server.prove()


async def is_told(site: Site, reader: Person) -> bool:
    page = await reader.call(ListNotifications())
    return any(item.type == "notification.sent" for item in page.items)
