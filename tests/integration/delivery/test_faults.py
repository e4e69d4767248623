"""Whatever a mail server does, an e-mail is sent or dead, and arrives twice only after an unknown outcome."""

from datetime import UTC, datetime, timedelta

import pytest

from protocol.ids import DeliveryId
from server.delivery.adapters import Suppressed, TryLater
from server.delivery.channels.email.mime import Email
from server.delivery.channels.email.smtp import Smtp
from server.delivery.worker import DeliveryWorker, WorkerOptions
from storage.database import Pool
from storage.deliveries import Leased
from tests.support.deliveries import delivery, queue
from tests.support.faults import until
from tests.support.smtp import CUT, GARBAGE, SILENCE, mail_server

#: fault: what the server does, and when · first: outcome of the first attempt, and whether it may have arrived ·
#: then: the final state.
TABLE = """
fault         at       does                  first     reason               unknown  then
none          -        -                     sent      -                    0        sent
slow          -        -                     sent      -                    0        sent
busy          connect  421_too_many          waiting   smtp_421             0        sent
full          MAIL     452_4.3.1_full        waiting   smtp_452             0        sent
greylisted    RCPT     450_4.2.0_greylisted  waiting   smtp_450             0        sent
broken        DATA     451_4.3.0_broken      waiting   smtp_451             0        sent
refused       DATA     554_5.7.1_spam        dead      smtp_554             0        dead
no_such       RCPT     550_5.1.1_unknown     dead      smtp_550             0        dead
silent_early  MAIL     silence               waiting   timeout              ?        sent
silent_late   DATA     silence               waiting   timeout              1        sent
cut_early     RCPT     cut                   waiting   *                    0        sent
cut_late      DATA     cut                   waiting   disconnected         1        sent
nonsense      DATA     garbage               waiting   *                    1        sent
"""
_ROWS = [line.split() for line in TABLE.strip().splitlines()[1:]]
_DOES = {"silence": SILENCE, "cut": CUT, "garbage": GARBAGE}
#: Long enough for everything but silence.
LEASE_S = 2.0


async def write(leased: list[Leased]) -> dict[DeliveryId, Email | Suppressed | TryLater]:
    return {one.id: Email(id=one.id, to="carla@people.test", subject="Paid", text="Thank you") for one in leased}


@pytest.mark.parametrize("row", _ROWS, ids=[row[0] for row in _ROWS])
async def test_the_outcome_of_each_fault(pool: Pool, row: list[str]) -> None:
    fault, at, does, first, reason, unknown, then = row
    one, moved = delivery(), [timedelta(0)]
    await queue(pool, one)

    def now() -> datetime:
        return datetime.now(UTC) + moved[0]

    async with mail_server() as mail:
        mail.delay_s = 0.3 if fault == "slow" else 0.0
        if at != "-":
            mail.faults[at] = [_DOES.get(does, does.replace("_", " "))]
        adapter = Smtp(mail.config, now)
        worker: DeliveryWorker[Email] = DeliveryWorker(adapter, write, pool, now, WorkerOptions(lease_s=LEASE_S))  # type: ignore[arg-type]
        worker.start()
        try:
            await until(lambda: tried(pool, 1))
            found = await pool.fetchrow("SELECT state, reason, unknown_outcomes FROM deliveries")
            moved[0] = timedelta(hours=1)
            worker.wake()
            await until(lambda: over(pool))
        finally:
            await worker.stop()

    assert found is not None
    said = [found["state"], found["reason"] or "-", str(found["unknown_outcomes"])]
    assert [said[0], "*" if reason == "*" else said[1], "?" if unknown == "?" else said[2]] == [first, reason, unknown]
    assert await pool.fetchval("SELECT state FROM deliveries") == then
    possible = await pool.fetchval("SELECT unknown_outcomes FROM deliveries")
    declined = at == "DATA" and unknown == "0"
    assert len(mail.taken) == (then == "sent")
    assert mail.heard["DATA"] - declined <= 1 + possible, "a duplicate that was not counted"


async def tried(pool: Pool, attempts: int) -> bool:
    return bool(await pool.fetchval("SELECT state <> 'sending' AND attempts >= $1 FROM deliveries", attempts))


async def over(pool: Pool) -> bool:
    return bool(await pool.fetchval("SELECT state IN ('sent', 'dead', 'skipped') FROM deliveries"))
