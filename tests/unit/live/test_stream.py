"""The order of events as a property: though events are lost, repeated or reordered, each is sent once and in order."""

from hypothesis import given
from hypothesis import strategies as st

from server.live.limits import Limits
from server.live.session.effects import ReadPage
from tests.support.session import EPOCH, Driver


class Client:
    """Remembers the events that it received, and resumes after them."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.since: str | None = f"{EPOCH}:0"

    def takes(self, driver: Driver, read: int) -> None:
        """Read some of the sent events; the others are lost with the connection."""
        for seq in driver.seqs[:read]:
            self.seen.append(seq)
            self.since = f"{EPOCH}:{seq}"


#: One connection: how far the log has grown, the order in which the bus brings the new events (numbers past the
#: length are lost, repeated ones arrive twice), pauses between them, and how many the client reads before the cut.
connections = st.lists(
    st.tuples(
        st.integers(0, 12), st.lists(st.integers(0, 11), max_size=20), st.lists(st.booleans()), st.integers(0, 30)
    ),
    min_size=1,
    max_size=6,
)


def connect(client: Client, head: int, limits: Limits, page_rows: int) -> Driver:
    driver = Driver(log=list(range(1, head + 1)), limits=limits, page_rows=page_rows)
    assert driver.opens(since=client.since)["outcome"] == "resumed"
    return driver


@given(connections, st.integers(1, 5), st.integers(0, 4))
def test_every_event_is_sent_once_and_in_order(
    plan: list[tuple[int, list[int], list[bool], int]], page_rows: int, early_max: int
) -> None:
    limits = Limits(early_max=early_max)
    client = Client()
    head = 0
    for grows, arrivals, pauses, read in plan:
        driver = connect(client, head, limits, page_rows)
        first, head = head + 1, head + grows
        driver.log = list(range(1, head + 1))
        for nth, arrival in enumerate(arrivals):
            if first + arrival <= head:
                driver.happens(first + arrival)
            if nth < len(pauses) and pauses[nth]:
                driver.waits(limits.gap_grace_s)
                driver.reads()
        assert driver.closed is None
        client.takes(driver, read)

    driver = connect(client, head, limits, page_rows)
    client.takes(driver, len(driver.seqs))

    assert client.seen == list(range(1, head + 1))


@given(st.permutations(range(1, 15)), st.integers(0, 20))
def test_a_session_sends_events_in_order_in_whatever_order_they_arrive(order: list[int], early_max: int) -> None:
    driver = Driver(head=0, limits=Limits(early_max=early_max))
    driver.opens()
    driver.log = list(range(1, 15))

    for seq in order:
        driver.happens(seq)
        assert driver.seqs == list(range(1, len(driver.seqs) + 1))
    driver.waits(1)
    driver.reads()

    assert driver.seqs == list(range(1, 15))


@given(st.permutations(range(1, 11)), st.integers(1, 9), st.integers(1, 4))
def test_live_events_during_a_replay_neither_overtake_nor_repeat(
    order: list[int], written: int, page_rows: int
) -> None:
    driver = Driver(log=list(range(1, written + 1)), page_rows=page_rows)
    arrivals = [seq for seq in order if seq > written]
    driver.starts(since=f"{EPOCH}:0")
    driver.log = list(range(1, 11))

    while effects := driver.effects(ReadPage):
        if arrivals:
            driver.happens(arrivals.pop())
        driver.session.page_read(driver.page(effects[0].after), driver.now)
    for seq in arrivals:
        driver.happens(seq)
    driver.waits(1)
    driver.reads()

    assert driver.seqs == list(range(1, 11))
