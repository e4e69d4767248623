"""The values of ``server top`` from two pages of /metrics, and its screen on terminals of any width."""

import io

import pytest
from rich.console import Console

from server.ops.top.frame import Frame, Latency, make_frame
from server.ops.top.scrape import Change, read_scrape
from server.ops.top.screen import show

FIRST = """
# HELP guildwire_commands_total Commands
# TYPE guildwire_commands_total counter
guildwire_commands_total{command="booking.create",outcome="ok"} 100
guildwire_commands_total{command="booking.create",outcome="slot_taken"} 5
# TYPE guildwire_command_seconds histogram
guildwire_command_seconds_bucket{command="booking.create",le="0.01"} 100
guildwire_command_seconds_bucket{command="booking.create",le="0.1"} 105
guildwire_command_seconds_bucket{command="booking.create",le="+Inf"} 105
guildwire_command_seconds_count{command="booking.create"} 105
guildwire_command_seconds_sum{command="booking.create"} 1
# TYPE guildwire_commit_batch_size histogram
guildwire_commit_batch_size_bucket{le="1"} 10
guildwire_commit_batch_size_bucket{le="+Inf"} 10
guildwire_commit_batch_size_count 10
guildwire_commit_batch_size_sum 10
# TYPE guildwire_turn_reruns counter
# TYPE guildwire_rate_limited counter
guildwire_rate_limited_total{limit="commands_per_user"} 4
# TYPE guildwire_sockets gauge
guildwire_sockets{transport="json"} 7
guildwire_sockets{transport="poll"} 0
# TYPE guildwire_frames_total counter
guildwire_frames_total{transport="json",direction="in"} 10
guildwire_frames_total{transport="json",direction="out"} 100
guildwire_frames_total{transport="sse",direction="out"} 5
# TYPE guildwire_database_connections gauge
guildwire_database_connections{state="busy"} 1
guildwire_database_connections{state="idle"} 4
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 3.0
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 104857600
"""
SECOND = """
# HELP guildwire_commands_total Commands
# TYPE guildwire_commands_total counter
guildwire_commands_total{command="booking.create",outcome="ok"} 190
guildwire_commands_total{command="booking.create",outcome="slot_taken"} 11
guildwire_commands_total{command="booking.create",outcome="busy"} 2
guildwire_commands_total{command="message.post",outcome="ok"} 2
# TYPE guildwire_command_seconds histogram
guildwire_command_seconds_bucket{command="booking.create",le="0.01"} 150
guildwire_command_seconds_bucket{command="booking.create",le="0.1"} 205
guildwire_command_seconds_bucket{command="booking.create",le="+Inf"} 205
guildwire_command_seconds_count{command="booking.create"} 205
guildwire_command_seconds_sum{command="booking.create"} 3
# TYPE guildwire_commit_batch_size histogram
guildwire_commit_batch_size_bucket{le="1"} 10
guildwire_commit_batch_size_bucket{le="+Inf"} 20
guildwire_commit_batch_size_count 20
guildwire_commit_batch_size_sum 50
# TYPE guildwire_turn_reruns counter
# TYPE guildwire_rate_limited counter
guildwire_rate_limited_total{limit="commands_per_user"} 5
guildwire_rate_limited_total{limit="booking.create"} 1
# TYPE guildwire_sockets gauge
guildwire_sockets{transport="json"} 9
guildwire_sockets{transport="poll"} 0
guildwire_sockets{transport="sse"} 2
# TYPE guildwire_frames_total counter
guildwire_frames_total{transport="json",direction="in"} 16
guildwire_frames_total{transport="json",direction="out"} 400
guildwire_frames_total{transport="sse",direction="out"} 105
# TYPE guildwire_database_connections gauge
guildwire_database_connections{state="busy"} 3
guildwire_database_connections{state="idle"} 2
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 4.0
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 209715200
"""


def change(first: str = FIRST, second: str = SECOND, elapsed_s: float = 2.0) -> Change:
    return Change(read_scrape(first, 10.0), read_scrape(second, 10.0 + elapsed_s))


def shown(frame: Frame, width: int = 80) -> list[str]:
    screen = io.StringIO()
    Console(file=screen, width=width).print(show("http://127.0.0.1:8080", "ready", frame))
    return screen.getvalue().splitlines()


def test_rates_are_the_increase_of_counters_a_second() -> None:
    frame = make_frame(change())

    assert frame.commands_per_s == pytest.approx(50)
    assert frame.cpu == pytest.approx(0.5)
    assert frame.batch_size == pytest.approx(4)
    assert frame.reruns_per_s == 0
    assert (frame.frames_in_per_s, frame.frames_out_per_s) == (3, 200)


def test_gauges_show_their_present_values() -> None:
    frame = make_frame(change())

    assert frame.sessions == {"json": 9, "sse": 2}
    assert frame.pool == {"busy": 3, "idle": 2}
    assert frame.rss_bytes == 209715200


def test_a_server_without_sessions_shows_zero() -> None:
    page = '# TYPE guildwire_sockets gauge\nguildwire_sockets{transport="json"} 0\n'

    assert make_frame(change(page, page)).sessions == {"open": 0}


def test_latencies_are_of_observations_between_the_scrapes() -> None:
    frame = make_frame(change())

    assert frame.command.p50_s == pytest.approx(0.01)
    assert frame.command.p99_s == pytest.approx(0.01 + 0.09 * 49 / 50)


def test_a_latency_above_every_bucket_is_the_last_bound() -> None:
    page = 'x_bucket{{le="0.1"}} 0\nx_bucket{{le="+Inf"}} {}\n'

    assert change(page.format(0), page.format(5)).quantile("x", 0.5) == 0.1


def test_refusals_and_faults_are_listed_separately() -> None:
    frame = make_frame(change())

    assert frame.refusals == {"slot_taken": 3, "limit_reached": 1}
    assert frame.faults == {"busy": 1}


def test_commands_are_listed_by_frequency() -> None:
    rows = make_frame(change()).rows

    assert [(row.name, row.per_s) for row in rows] == [("booking.create", 49), ("message.post", 1)]
    assert rows[1].latency == Latency()


def test_counters_reset_by_a_restart_count_from_zero() -> None:
    frame = make_frame(change(SECOND, FIRST))

    assert frame.commands_per_s == pytest.approx(52.5)
    assert frame.cpu == pytest.approx(1.5)
    assert frame.batch_size == pytest.approx(1)


def test_without_our_metrics_the_values_are_missing() -> None:
    frame = make_frame(change("up 1\n", "up 1\n"))

    assert (frame.commands_per_s, frame.command, frame.rows, frame.sessions) == (None, Latency(), [], {})
    assert any("commands/s –" in " ".join(line.split()) for line in shown(frame))


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_screen_fits_its_terminal(width: int) -> None:
    lines = shown(make_frame(change()), width)

    assert all(len(line) <= width for line in lines)
    said = " ".join(" ".join(lines).split())
    for label in ("commands/s", "sessions", "database", "booking.create", "slot_taken", "busy"):
        assert label in said


def test_a_screen_of_80_columns_has_a_line_for_each_pair_of_values() -> None:
    lines = [" ".join(line.split()) for line in shown(make_frame(change()))]

    assert "commands/s 50.0 sessions 9 json 2 sse" in lines
    assert any("frames/s 3.0 in 200 out" in line for line in lines)
    assert "CPU 50% unsealed –" in lines
    assert "memory 200 MiB database 3 busy 2 idle" in lines
