"""What a member who left still takes part in is found page by page, each once."""

from uuid import UUID, uuid4

from protocol.business.facts import LEAVER_PAGE, LeaverAsk
from protocol.ids import BusinessId, Kind, Ref, UserId
from storage.database import Pool
from storage.offers import OfferCache
from storage.queries.business import load_leaver_work
from storage.registry import Sources

BUSINESS, OTHER = BusinessId(uuid4()), BusinessId(uuid4())
SAM = UserId(uuid4())
JOBS = 2 * LEAVER_PAGE


async def fill(pool: Pool, business_id: BusinessId, status: str, *, start: int, count: int) -> list[UUID]:
    """Bookings of Sam, each with its conversation."""
    ids = [UUID(int=start + number) for number in range(count)]
    await pool.execute(
        """
        INSERT INTO bookings
        SELECT id, 'N', $3, $4, $2, $4, id, 'Job', now(), now(), now(), 'UTC', 1, 'EUR', 'card', 'SECURED', 'HELD',
               true, NULL, NULL, NULL, now(), 1 FROM unnest($1::uuid[]) id
        """,
        *(ids, business_id, status, SAM),
    )
    await pool.execute(
        "INSERT INTO conversations SELECT id, 'customer_staff', id, $2, NULL, now() FROM unnest($1::uuid[]) id",
        *(ids, business_id),
    )
    await pool.execute(
        "INSERT INTO conversation_members SELECT id, $2, 'staff', now() FROM unnest($1::uuid[]) id", ids, SAM
    )
    return ids


async def test_each_open_job_and_each_conversation_is_found_once(pool: Pool) -> None:
    open_jobs = await fill(pool, BUSINESS, "CONFIRMED", start=1, count=JOBS)
    done = await fill(pool, BUSINESS, "COMPLETED", start=1_000, count=3)
    await fill(pool, OTHER, "CONFIRMED", start=2_000, count=3)
    sources = Sources(pool=pool, offers=OfferCache(pool))

    found: list[Ref] = []
    after: UUID | None = None
    while True:
        (work,) = await load_leaver_work(sources, [LeaverAsk(BUSINESS, SAM, after)])
        assert 0 < len(work.refs) <= LEAVER_PAGE
        found += work.refs
        if work.next_after is None:
            break
        after = work.next_after

    conversations = [Ref(Kind.CONVERSATION, id_) for id_ in [*open_jobs, *done]]
    assert len(found) == len(set(found))
    assert set(found) == {*conversations, *[Ref(Kind.BOOKING, id_) for id_ in open_jobs]}
