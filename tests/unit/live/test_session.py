"""The session: opening, requests, events, timers and closing, without a connection or a clock."""

from math import inf
from typing import Any
from uuid import UUID

import msgspec
import pytest

from actors.runtime.call import Outcome
from protocol.conversation.commands import PostMessage
from protocol.conversation.views import GetConversation
from protocol.errors import LimitReached, SlotTaken, Unauthenticated, Unavailable
from protocol.frames import AckState, CloseCode, Position
from protocol.ids import ConversationId, Kind, Ref, UserId
from protocol.rates import Rate
from protocol.registry import Done
from protocol.roles import Principal, Role
from protocol.topics import Topic, TopicKind
from server.live.limits import Limits
from server.live.session.effects import (
    Authenticate,
    ReadPage,
    ReadPosition,
    Reauthenticate,
    RecheckTopics,
    RunQuery,
    SendSignal,
    StoreAck,
    SubmitCommand,
    SubscribeTopic,
    TokenClaims,
    UnsubscribeTopic,
)
from server.live.session.stream import Page
from tests.support.session import ADA, CUSTOMER, EPOCH, TOKEN_S, UNLIMITED, Driver, event_frame

THREAD = ConversationId(UUID(int=0xC0))
TYPING = Topic(TopicKind.TYPING, THREAD)


def post(driver: Driver, frame_id: str = "c1", **more: Any) -> list[dict[str, Any]]:
    data = {"conversation_id": str(THREAD), "text": "Hello"}
    return driver.says(frame="command", id=frame_id, name="conversation.post", data=data, **more)


def done(version: int = 1, seq: int | None = None) -> Outcome:
    return Outcome(Ref(Kind.CONVERSATION, THREAD), version, b'{"message_id":"m"}', seq)


# Opening


def test_no_hello_in_ten_seconds_closes_for_good() -> None:
    driver = Driver()

    driver.waits(10)

    assert driver.closed == "auth_timeout"
    bye = {"frame": "bye", "code": 4502, "reason": "auth_timeout", "reconnect": False, "after_s": 0.0}
    assert driver.frames == [bye]


@pytest.mark.parametrize("frame", [{"frame": "ping"}, {"frame": "query", "id": "1", "name": "conversation.list"}])
def test_the_first_frame_is_hello(frame: dict[str, Any]) -> None:
    driver = Driver()

    driver.says(**frame)

    assert driver.closed == "bad_frame"


def test_a_second_hello_is_a_bad_frame() -> None:
    driver = Driver()
    driver.opens()

    driver.says(frame="hello", token="t")

    assert driver.closed == "bad_frame"


@pytest.mark.parametrize(
    ("error", "reason", "reconnect"),
    [
        (Unauthenticated(reason="invalid"), "invalid_token", False),
        (Unauthenticated(reason="revoked"), "invalid_token", False),
        (Unauthenticated(reason="expired"), "token_expired", True),
        (Unavailable(retry_after_s=1.0), "unavailable", True),
    ],
)
def test_an_invalid_token_closes(error: Any, reason: str, reconnect: bool) -> None:
    driver = Driver()
    driver.says(frame="hello", token="t")

    driver.refuse(error)

    assert driver.closed == reason
    assert [frame["frame"] for frame in driver.frames] == ["error", "bye"]
    assert driver.frames[1]["reconnect"] is reconnect


def test_a_slow_database_closes_as_unavailable() -> None:
    driver = Driver()
    driver.says(frame="hello", token="t")
    driver.session.authenticated(TokenClaims(CUSTOMER, driver.now + TOKEN_S))

    driver.waits(10)

    assert driver.closed == "unavailable"


def test_the_welcome_has_the_user_and_the_end_of_the_log() -> None:
    driver = Driver(log=[1, 2, 3])

    welcome = driver.opens()

    assert welcome["user"] == str(ADA)
    assert (welcome["epoch"], welcome["seq"], welcome["outcome"]) == (EPOCH, 3, "fresh")


def test_the_welcome_has_the_limits() -> None:
    limits = Limits(
        frame_bytes_max=1,
        frames_per_s=2.5,
        frames_burst=3.0,
        bad_frames_max=4,
        in_flight_max=5,
        queries_at_once=6,
        queries_waiting_max=7,
        topics_max=8,
        connections_per_user_max=9,
        queue_bytes_max=10,
        page_rows=11,
        pong_s=12.0,
    )
    rates = UNLIMITED._replace(commands=Rate(13.5, 14), queries=Rate(15.5, 16))

    welcome = Driver(limits=limits, rates=rates).opens()

    assert welcome["limits"] == {
        "frame_bytes": 1,
        "frames_per_s": 2.5,
        "frames_burst": 3,
        "bad_frames": 4,
        "commands_per_s": 13.5,
        "commands_burst": 14,
        "in_flight": 5,
        "queries_per_s": 15.5,
        "queries_burst": 16,
        "queries": 6,
        "queries_waiting": 7,
        "topics": 8,
        "connections": 9,
        "queue_bytes": 10,
        "resume_page": 11,
        "pong_s": 12.0,
    }


def test_a_fresh_session_gets_no_history() -> None:
    driver = Driver(log=[1, 2, 3])

    driver.opens()

    assert driver.seqs == []
    assert driver.happens(4) == [4]


def test_a_resumed_session_sends_every_missed_event_after_the_welcome() -> None:
    driver = Driver(log=[1, 2, 3, 4, 5], page_rows=2)

    welcome = driver.opens(since=f"{EPOCH}:1")

    assert welcome["outcome"] == "resumed"
    assert driver.frames[0] == welcome
    assert driver.seqs == [2, 3, 4, 5]


def test_resuming_at_the_head_reads_nothing() -> None:
    driver = Driver(head=7)

    welcome = driver.opens(since=f"{EPOCH}:7")

    assert welcome["outcome"] == "resumed"
    assert driver.effects(ReadPage) == []
    assert driver.happens(8) == [8]


@pytest.mark.parametrize(
    ("since", "log", "head"),
    [
        ("other:2", [1, 2, 3], 3),
        (f"{EPOCH}:4", [1, 2, 3], 3),
        (f"{EPOCH}:1", [3, 4], 4),
        (f"{EPOCH}:1", [], 4),
        ("nonsense", [1, 2, 3], 3),
        (f"{EPOCH}:-1", [1, 2, 3], 3),
        (f"{EPOCH}:٣", [1, 2, 3], 3),
    ],
    ids=["other epoch", "ahead", "trimmed", "trimmed to nothing", "not a position", "negative", "other digits"],
)
def test_a_position_that_cannot_be_resumed_resets(since: str, log: list[int], head: int) -> None:
    driver = Driver(log=log, head=head)

    welcome = driver.opens(since=since)

    assert (welcome["outcome"], welcome["seq"]) == ("reset", head)
    assert driver.seqs == []
    assert driver.happens(head + 1) == [head + 1]


@pytest.mark.parametrize("since", ["other:2", f"{EPOCH}:4", f"{EPOCH}:9"])
def test_a_position_of_another_epoch_reads_no_page(since: str) -> None:
    driver = Driver(log=[1, 2, 3])

    driver.starts(since=since)

    assert driver.effects(ReadPage) == []
    assert driver.takes()[0]["outcome"] == "reset"


def test_events_that_arrive_during_opening_are_not_lost() -> None:
    driver = Driver(log=[1, 2, 3])
    driver.says(frame="hello", token="t")
    driver.session.authenticated(TokenClaims(CUSTOMER, driver.now + TOKEN_S))
    driver.effects(ReadPosition)

    driver.log.append(4)
    driver.happens(4)
    driver.session.position_read(Position(EPOCH, 3), driver.now)
    driver.waits(driver.limits.gap_grace_s)
    driver.reads()

    assert driver.seqs == [4]


def test_a_fresh_session_is_sent_no_event_up_to_its_position() -> None:
    driver = Driver(head=3)
    driver.opens()

    assert driver.happens(3) == []
    assert driver.happens(4) == [4]


def test_a_log_that_is_trimmed_during_the_replay_ends_in_a_resync() -> None:
    driver = Driver(log=[1, 2, 3, 4, 5], page_rows=2)
    driver.says(frame="hello", token="t", since=f"{EPOCH}:1")
    driver.session.authenticated(TokenClaims(CUSTOMER, driver.now + TOKEN_S))
    driver.session.position_read(Position(EPOCH, 5), driver.now)
    driver.session.page_read(driver.page(1), driver.now)

    driver.session.page_read(Page([(5, event_frame(5))], more=False), driver.now)

    assert driver.seqs == [2, 3]
    assert driver.closed == "resync"


def test_an_unreadable_log_closes_and_asks_to_reconnect() -> None:
    driver = Driver(log=[1])
    driver.says(frame="hello", token="t", since=f"{EPOCH}:0")
    driver.session.authenticated(TokenClaims(CUSTOMER, driver.now + TOKEN_S))

    driver.session.read_failed(Unavailable(retry_after_s=1.0))
    driver.takes()

    assert driver.closed == "unavailable"
    assert driver.frames[-1]["after_s"] > 0


# Events


def test_events_out_of_order_are_sent_in_order_without_a_read() -> None:
    driver = Driver()
    driver.opens()

    assert driver.happens(2) == []
    assert driver.happens(3) == []
    assert driver.happens(1) == [1, 2, 3]
    driver.waits(1)
    assert driver.effects(ReadPage) == []


def test_events_that_arrive_twice_are_sent_once() -> None:
    driver = Driver()
    driver.opens()

    assert [driver.happens(seq) for seq in (1, 1, 2, 1, 2)] == [[1], [], [2], [], []]


def test_a_missing_event_is_read_from_the_log_after_a_moment() -> None:
    driver = Driver(head=0)
    driver.opens()
    driver.log = [1, 2, 3]

    driver.happens(3)
    assert driver.effects(ReadPage) == []
    driver.waits(driver.limits.gap_grace_s)
    driver.reads()

    assert driver.seqs == [1, 2, 3]


def test_an_event_that_the_resync_finds_is_read_from_the_log() -> None:
    driver = Driver(head=0)
    driver.opens()
    driver.log = [1, 2]

    driver.session.note_head(2, driver.now)
    driver.waits(1)
    driver.reads()

    assert driver.seqs == [1, 2]


def test_early_events_past_the_bound_are_read_from_the_log() -> None:
    driver = Driver(head=0, limits=Limits(early_max=2))
    driver.opens()
    driver.log = list(range(1, 11))

    for seq in range(2, 11):
        driver.happens(seq)
    driver.waits(1)
    driver.reads()

    assert driver.seqs == list(range(1, 11))


def test_a_log_without_the_missing_event_ends_in_a_resync() -> None:
    driver = Driver(head=0)
    driver.opens()

    driver.happens(2)
    for _ in range(driver.limits.gap_reads_max):
        driver.waits(driver.limits.gap_grace_s)
        driver.reads()

    driver.takes()
    assert driver.closed == "resync"


# Commands and queries


def test_a_command_is_decoded_and_submitted() -> None:
    driver = Driver()
    driver.opens()

    post(driver, if_version=3)

    (effect,) = driver.effects(SubmitCommand)
    assert effect.command == PostMessage(conversation_id=THREAD, text="Hello")
    assert (effect.id, effect.principal, effect.if_version) == ("c1", CUSTOMER, 3)


def test_to_may_name_the_entity_instead_of_the_data() -> None:
    driver = Driver()
    driver.opens()

    driver.says(frame="command", id="1", name="conversation.post", to=str(THREAD), data={"text": "Hi"})

    (effect,) = driver.effects(SubmitCommand)
    assert effect.command == PostMessage(conversation_id=THREAD, text="Hi")


def test_to_and_data_must_not_contradict_each_other() -> None:
    driver = Driver()
    driver.opens()

    (answer,) = post(driver, to=str(UUID(int=9)))

    assert answer["code"] == "invalid"
    assert answer["fields"] == {"data.conversation_id": "mismatch"}


def test_the_reply_has_version_seq_and_id() -> None:
    driver = Driver()
    driver.opens()
    post(driver)

    driver.session.command_done("c1", done(version=4, seq=9))

    assert driver.takes() == [{"frame": "reply", "id": "c1", "data": {"message_id": "m"}, "version": 4, "seq": 9}]


def test_a_refusal_becomes_an_error_with_its_fields() -> None:
    driver = Driver()
    driver.opens()
    post(driver)

    driver.session.command_done(
        "c1", Outcome(Ref(Kind.CONVERSATION, THREAD), error=SlotTaken(retry_after_s=2.0, at="x"))
    )

    assert driver.takes() == [
        {"frame": "error", "id": "c1", "code": "slot_taken", "retry_after_s": 2.0, "fields": {"at": "x"}}
    ]


@pytest.mark.parametrize(
    ("frame", "code", "fields"),
    [
        ({"name": "conversation.sing"}, "invalid", {"name": "unknown_command"}),
        ({"name": "conversation.get"}, "invalid", {"name": "unknown_command"}),
        ({"name": "auth.sign_in"}, "invalid", {"name": "unknown_command"}),
        ({"data": {"text": "Hi"}}, "invalid", {"data.conversation_id": "missing"}),
        ({"data": {"conversation_id": "x", "text": "Hi"}}, "invalid", {"data.conversation_id": "bad_format"}),
        ({"data": {"conversation_id": str(THREAD), "text": 5}}, "invalid", {"data.text": "wrong_type"}),
        ({"data": {"conversation_id": str(THREAD), "text": "a\0b"}}, "invalid", {"data.text": "control_character"}),
        ({"data": {"conversation_id": str(THREAD), "text": "x", "self": 1}}, "invalid", {"data.self": "unknown_field"}),
        ({"data": []}, "invalid", {"data": "wrong_type"}),
    ],
)
def test_an_invalid_command_is_refused_by_field(frame: dict[str, Any], code: str, fields: dict[str, str]) -> None:
    driver = Driver()
    driver.opens()

    (answer,) = driver.says(**{"frame": "command", "id": "1", "name": "conversation.post", **frame})

    assert (answer["frame"], answer["id"], answer["code"], answer["fields"]) == ("error", "1", code, fields)
    assert driver.effects(SubmitCommand) == []
    assert driver.closed is None


def test_a_command_of_another_role_is_forbidden() -> None:
    driver = Driver()
    driver.opens()

    data = {"conversation_id": str(THREAD)}
    (answer,) = driver.says(frame="command", id="1", name="conversation.keep_open", data=data)

    assert answer["code"] == "forbidden"


def test_too_many_commands_under_way_are_refused_until_one_is_answered() -> None:
    driver = Driver(limits=Limits(in_flight_max=2))
    driver.opens()

    answers = [post(driver, f"c{n}") for n in range(3)]
    driver.session.command_done("c0", done())
    driver.takes()

    assert answers[:2] == [[], []]
    assert answers[2][0]["code"] == "limit_reached"
    assert answers[2][0]["fields"] == {"limit": "in_flight"}
    assert post(driver, "c3") == []


def test_the_command_rate_is_that_of_the_user() -> None:
    def refuse(user_number: int) -> None:
        assert user_number == ADA.int
        raise LimitReached(limit="commands_per_user", retry_after_s=0.5)

    driver = Driver(rates=UNLIMITED._replace(take_command=refuse))
    driver.opens()

    (answer,) = post(driver)

    assert (answer["code"], answer["retry_after_s"]) == ("limit_reached", 0.5)
    assert driver.effects(SubmitCommand) == []


@pytest.mark.parametrize(
    "frame",
    [
        {"frame": "query", "id": "q1", "name": "conversation.list", "data": {}},
        {"frame": "subscribe", "id": "q1", "topic": str(TYPING)},
        {"frame": "signal", "topic": str(TYPING), "state": "typing"},
    ],
    ids=lambda frame: frame["frame"],
)
def test_queries_subscriptions_and_signals_count_as_queries(frame: dict[str, Any]) -> None:
    def refuse(user: int) -> None:
        assert user == ADA.int
        raise LimitReached(limit="queries_per_user", retry_after_s=0.5)

    driver = Driver(rates=UNLIMITED._replace(take_query=refuse))
    driver.opens()

    (answer,) = driver.says(**frame)

    assert (answer["code"], answer["retry_after_s"]) == ("limit_reached", 0.5)
    assert answer.get("id") == frame.get("id")


def test_queries_run_a_few_at_once_and_the_others_in_order() -> None:
    driver = Driver(limits=Limits(queries_at_once=2, queries_waiting_max=2))
    driver.opens()

    def ask(frame_id: str) -> list[dict[str, Any]]:
        data = {"conversation_id": str(THREAD)}
        return driver.says(frame="query", id=frame_id, name="conversation.get", data=data)

    answers = [ask(f"q{n}") for n in range(5)]
    started = [effect.id for effect in driver.effects(RunQuery)]
    driver.session.requests.query_done("q0", Done())
    driver.session.requests.query_done("q1", Unavailable(retry_after_s=1.0))

    assert started == ["q0", "q1"]
    assert answers[4][0]["code"] == "limit_reached"
    assert [effect.id for effect in driver.effects(RunQuery)] == ["q2", "q3"]
    assert [frame["frame"] for frame in driver.takes()] == ["reply", "error"]


def test_a_query_is_decoded() -> None:
    driver = Driver()
    driver.opens()

    driver.says(frame="query", id="q", name="conversation.get", data={"conversation_id": str(THREAD)})

    assert driver.effects(RunQuery) == [RunQuery("q", GetConversation(conversation_id=THREAD), CUSTOMER)]


# Bad frames and floods


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b'{"frame":"\xff"}', b'{"frame":"query","data":' + b"[" * 60_000, b"\x00"]
)
def test_invalid_json_closes(data: bytes) -> None:
    driver = Driver()
    driver.opens()

    driver.says_raw(data)

    assert driver.closed == "bad_frame"


@pytest.mark.parametrize(
    ("data", "frame_id", "fields"),
    [
        (b'{"frame":"dance","id":"7"}', "7", {"frame": "unknown_value"}),
        (b'{"id":"7"}', "7", {"frame": "missing"}),
        (b'{"frame":"command","id":"7"}', "7", {"name": "missing"}),
        (b'{"frame":"command","id":"7","name":"a","x":1}', "7", {"x": "unknown_field"}),
        (b'{"frame":"command","id":"","name":"a"}', "", {"id": "too_short"}),
        (b'{"frame":"command","id":"a\\nb","name":"a"}', "a\nb", {"id": "bad_format"}),
        (b'{"frame":"command","id":"a\\n","name":"a"}', "a\n", {"id": "bad_format"}),
        (b'{"frame":"ack","seq":-1,"state":"seen"}', None, {"seq": "too_small"}),
        (b'{"frame":"dance","id":"' + b"7" * 129 + b'"}', None, {"frame": "unknown_value"}),
        (b"[]", None, {"body": "wrong_type"}),
    ],
)
def test_an_invalid_frame_is_refused_by_field(data: bytes, frame_id: str | None, fields: dict[str, str]) -> None:
    driver = Driver()
    driver.opens()

    (answer,) = driver.says_raw(data)

    assert (answer["code"], answer.get("id"), answer["fields"]) == ("invalid", frame_id, fields)
    assert driver.closed is None


def test_too_many_invalid_frames_close() -> None:
    driver = Driver(limits=Limits(bad_frames_max=2))
    driver.opens()

    for _ in range(3):
        driver.says(frame="dance")

    assert driver.closed == "bad_frame"


def test_a_flood_of_frames_closes_and_asks_to_reconnect_later() -> None:
    driver = Driver(limits=Limits(frames_per_s=1.0, frames_burst=3.0))
    driver.opens()

    answers = [driver.says(frame="ping") for _ in range(3)]

    assert [answer[0]["frame"] for answer in answers] == ["pong", "pong", "bye"]
    assert driver.closed == "rate_limited"


# The clock


def test_an_unanswered_ping_closes() -> None:
    driver = Driver()
    driver.opens()

    pinged = driver.waits(25)
    driver.waits(9.9)
    assert driver.closed is None
    driver.waits(0.1)

    assert pinged == [{"frame": "ping"}]
    assert driver.closed == "no_pong"


def test_a_later_ping_does_not_extend_the_time_to_answer_an_earlier_one() -> None:
    driver = Driver(limits=Limits(heartbeat_s=4.0, pong_s=10.0))
    driver.opens()

    driver.waits(14)

    assert driver.closed == "no_pong"


@pytest.mark.parametrize("frame", [{"frame": "pong"}, {"frame": "ping"}, {"frame": "ack", "seq": 0, "state": "seen"}])
def test_any_frame_answers_a_ping(frame: dict[str, Any]) -> None:
    driver = Driver()
    driver.opens()

    for _ in range(4):
        driver.waits(25)
        driver.says(**frame)
        driver.waits(0)

    assert driver.closed is None


def test_a_token_ends_the_session_when_it_expires() -> None:
    driver = Driver()
    driver.opens(claims=TokenClaims(CUSTOMER, driver.now + 20))

    driver.waits(20)

    assert driver.closed == "token_expired"
    assert driver.frames[-1]["reconnect"] is True


def test_a_refreshed_token_prolongs_the_session_and_may_change_the_role() -> None:
    driver = Driver()
    driver.opens(claims=TokenClaims(CUSTOMER, driver.now + 20))
    staff = Principal(user_id=ADA, role=Role.STAFF, roles=frozenset({Role.STAFF}))

    driver.says(frame="refresh", id="r", token="t2")
    assert driver.effects(Reauthenticate) == [Reauthenticate("t2", "r")]
    driver.session.refreshed("r", TokenClaims(staff, driver.now + 100))
    driver.waits(21)
    post(driver)

    assert driver.closed is None
    assert driver.frames[1] == {"frame": "reply", "id": "r", "data": {}}
    assert driver.effects(SubmitCommand)[0].principal == staff


def test_a_refresh_that_changes_the_role_rechecks_the_topics() -> None:
    driver = Driver()
    driver.opens()
    driver.says(frame="subscribe", id="s", topic=str(TYPING))
    (effect,) = driver.effects(SubscribeTopic)
    driver.session.requests.topic_allowed("s", effect.topic)
    staff = Principal(user_id=ADA, role=Role.STAFF, roles=frozenset({Role.STAFF}))

    driver.session.refreshed(None, TokenClaims(CUSTOMER, driver.now + 100))
    assert driver.effects(RecheckTopics) == []
    driver.session.refreshed(None, TokenClaims(staff, driver.now + 100))

    assert driver.effects(RecheckTopics) == [RecheckTopics((effect.topic,), staff)]


def test_after_a_refused_refresh_the_old_token_stays_valid() -> None:
    driver = Driver()
    driver.opens(claims=TokenClaims(CUSTOMER, driver.now + 20))
    driver.says(frame="refresh", id="r", token="t2")

    driver.session.refresh_failed("r", Unauthenticated(reason="invalid"))
    (answer,) = driver.takes()
    driver.waits(19)

    assert (answer["id"], answer["code"]) == ("r", "unauthenticated")
    assert driver.closed is None
    driver.waits(1)
    assert driver.closed == "token_expired"


def test_a_refresh_with_another_users_token_closes() -> None:
    driver = Driver()
    driver.opens()
    driver.says(frame="refresh", token="t2")
    other = Principal(user_id=UserId(UUID(int=5)), role=Role.CUSTOMER, roles=frozenset({Role.CUSTOMER}))

    driver.session.refreshed(None, TokenClaims(other, driver.now + 100))
    driver.takes()

    assert driver.closed == "invalid_token"


# Acks and topics


def test_an_ack_is_stored_once_and_never_moves_back() -> None:
    driver = Driver(head=0)
    driver.opens()
    driver.happens(1)
    driver.happens(2)

    for seq, state in [(1, "delivered"), (2, "delivered"), (1, "delivered"), (1, "seen"), (2, "delivered")]:
        driver.says(frame="ack", seq=seq, state=state)

    assert driver.effects(StoreAck) == [
        StoreAck("", 1, AckState.DELIVERED),
        StoreAck("", 2, AckState.DELIVERED),
        StoreAck("", 1, AckState.SEEN),
    ]


def test_an_ack_of_an_unsent_event_is_refused() -> None:
    driver = Driver(head=0)
    driver.opens()

    (answer,) = driver.says(frame="ack", seq=1, state="seen")

    assert answer["fields"] == {"seq": "not_sent_yet"}
    assert driver.effects(StoreAck) == []


def test_a_subscription_is_confirmed_after_its_check() -> None:
    driver = Driver()
    driver.opens()

    assert driver.says(frame="subscribe", id="s", topic=str(TYPING)) == []
    assert driver.effects(SubscribeTopic) == [SubscribeTopic("s", TYPING, CUSTOMER)]
    assert driver.session.requests.topic_allowed("s", TYPING)

    assert driver.takes() == [{"frame": "reply", "id": "s", "data": {}}]


def test_a_topic_unsubscribed_during_its_check_is_not_confirmed() -> None:
    driver = Driver()
    driver.opens()
    driver.says(frame="subscribe", id="s", topic=str(TYPING))

    driver.says(frame="unsubscribe", id="u", topic=str(TYPING))

    assert not driver.session.requests.topic_allowed("s", TYPING)


def test_topics_are_bounded() -> None:
    driver = Driver(limits=Limits(topics_max=2))
    driver.opens()

    answers = [driver.says(frame="subscribe", id="s", topic=f"presence/{UUID(int=n)}") for n in range(3)]

    assert answers[:2] == [[], []]
    assert answers[2][0]["fields"] == {"limit": "topics"}


@pytest.mark.parametrize("topic", ["", "typing", "typing/x", f"cooking/{UUID(int=1)}", f"typing/{UUID(int=1)}/"])
def test_an_unknown_topic_is_refused(topic: str) -> None:
    driver = Driver()
    driver.opens()

    (answer,) = driver.says(frame="subscribe", id="s", topic=topic)

    assert answer["fields"] == {"topic": "unknown_topic"}


def test_a_signal_needs_a_subscription() -> None:
    driver = Driver()
    driver.opens()
    signal = {"frame": "signal", "topic": str(TYPING), "state": "typing"}

    (answer,) = driver.says(**signal)
    driver.says(frame="subscribe", id="s", topic=str(TYPING))
    driver.session.requests.topic_allowed("s", TYPING)
    driver.takes()
    silent = driver.says(**signal)

    assert (answer["code"], answer["fields"]) == ("forbidden", {"reason": "not_subscribed"})
    assert silent == []
    assert [effect.topic for effect in driver.effects(SendSignal)] == [TYPING]


def test_a_recheck_ends_a_subscription_that_is_no_longer_allowed() -> None:
    driver = Driver()
    driver.opens()
    driver.says(frame="subscribe", id="s", topic=str(TYPING))
    driver.session.requests.topic_allowed("s", TYPING)
    driver.takes()

    driver.waits(25)
    driver.says(frame="pong")
    driver.waits(25)
    driver.says(frame="pong")
    driver.waits(10)
    assert driver.effects(RecheckTopics) == [RecheckTopics((TYPING,), CUSTOMER)]
    driver.session.requests.topics_rechecked((TYPING,), set())

    (answer,) = driver.takes()
    assert answer["fields"] == {"reason": "not_yours", "topic": str(TYPING)}
    assert driver.effects(UnsubscribeTopic) == [UnsubscribeTopic(TYPING)]
    (refused,) = driver.says(frame="signal", topic=str(TYPING), state="typing")
    assert refused["fields"] == {"reason": "not_subscribed"}, "a signal needs a subscription too"


def test_a_topic_that_was_not_rechecked_stays() -> None:
    driver = Driver()
    driver.opens()
    driver.says(frame="subscribe", id="s", topic=str(TYPING))
    driver.session.requests.topic_allowed("s", TYPING)
    driver.takes()

    driver.session.requests.topics_rechecked((), set())

    assert driver.takes() == []
    assert driver.effects(UnsubscribeTopic) == []


# The end


def test_a_draining_session_answers_pending_commands_and_then_closes() -> None:
    driver = Driver()
    driver.opens()
    post(driver)

    driver.session.drain(2.5, driver.now)
    (bye,) = driver.takes()
    assert bye == {"frame": "bye", "code": 4000, "reason": "shutdown", "reconnect": True, "after_s": 2.5}
    assert (post(driver, "c2"), driver.closed) == ([], None)
    driver.session.command_done("c1", done())

    assert [frame["id"] for frame in driver.takes()] == ["c1"]
    assert driver.closed == "shutdown"
    assert len(driver.effects(SubmitCommand)) == 1


def test_a_draining_session_closes_after_drain_s() -> None:
    driver = Driver()
    driver.opens()
    post(driver)

    driver.session.drain(0.0, driver.now)
    driver.waits(driver.limits.drain_s)

    assert driver.closed == "shutdown"


def test_nothing_is_sent_after_the_bye() -> None:
    driver = Driver(head=0)
    driver.opens()
    post(driver)

    driver.session.close(CloseCode.REVOKED)
    driver.takes()
    driver.session.command_done("c1", done())
    driver.happens(1)
    driver.says(frame="ping")
    driver.waits(100)

    assert driver.closed == "revoked"
    assert driver.takes_all()[-1]["frame"] == "bye"


def test_a_session_is_closed_once() -> None:
    driver = Driver()
    driver.opens()

    driver.session.close(CloseCode.SLOW)
    driver.session.close(CloseCode.REVOKED)
    driver.takes()

    assert driver.closed == "slow"
    assert len([frame for frame in driver.frames if frame["frame"] == "bye"]) == 1


def test_a_closed_session_has_no_deadline() -> None:
    driver = Driver()
    driver.says(frame="hello", token="t")

    driver.session.connection_lost()

    assert driver.session.deadline == inf


def test_acks_have_the_device() -> None:
    driver = Driver(head=0)
    driver.says(frame="hello", token="t", device="phone-1")
    assert driver.effects(Authenticate)
    driver.session.authenticated(TokenClaims(CUSTOMER, driver.now + TOKEN_S))
    driver.session.position_read(Position(EPOCH, 0), driver.now)
    driver.happens(1)

    driver.says(frame="ack", seq=1, state="seen")

    assert driver.effects(StoreAck) == [StoreAck("phone-1", 1, AckState.SEEN)]


def test_a_reply_has_the_json_of_the_command_log() -> None:
    driver = Driver()
    driver.opens()
    post(driver)

    outcome = Outcome(Ref(Kind.CONVERSATION, THREAD), 1, b'{"n":1.50}', replayed=True)
    driver.session.command_done("c1", outcome)

    assert driver.session.to_send == [b'{"frame":"reply","id":"c1","data":{"n":1.50},"version":1,"replayed":true}']
    assert msgspec.json.decode(driver.session.to_send[0])["replayed"] is True
