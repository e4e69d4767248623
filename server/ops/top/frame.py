"""The numbers of one screen, from two scrapes of ``/metrics``. Pure; None if the server has no such metric."""

from collections.abc import Callable
from dataclasses import dataclass, field

from server.ops.top.scrape import Change

#: Commands and codes that are listed, the most frequent first.
ROWS_MAX = 8
FAULTS = frozenset({"busy", "unavailable", "internal", "timeout"})
#: Outcomes of a command that are neither a refusal nor a fault.
GOOD = frozenset({"ok", "replayed"})
#: The code of requests refused by a rate limit.
RATE_LIMITED = "limit_reached"


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds; None without an observation between the scrapes."""

    p50_s: float | None = None
    p99_s: float | None = None


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One command."""

    name: str
    per_s: float
    latency: Latency


@dataclass(frozen=True, slots=True)
class Frame:
    """One screen."""

    elapsed_s: float
    commands_per_s: float | None
    command: Latency
    commits_per_s: float | None
    commit: Latency
    batch_size: float | None
    events_per_s: float | None
    #: Frames from clients, and to them.
    frames_in_per_s: float | None
    frames_out_per_s: float | None
    reruns_per_s: float | None
    #: Connections by transport.
    sessions: dict[str, float]
    users: float | None
    activations: float | None
    in_flight: float | None
    mailbox: float | None
    commit_queue: float | None
    socket_queue_bytes: float | None
    agenda_pending: float | None
    lateness: Latency
    unsealed: float | None
    #: Connections to the database by state.
    pool: dict[str, float]
    #: Deliveries by their first label's value, if the server has any.
    deliveries: dict[str, float]
    #: Share of one core.
    cpu: float | None
    rss_bytes: float | None
    rows: list[CommandRow] = field(default_factory=list)
    #: Code → rate a second.
    refusals: dict[str, float] = field(default_factory=dict)
    faults: dict[str, float] = field(default_factory=dict)


def make_frame(change: Change) -> Frame:
    """Compute everything that a screen shows."""
    outcomes = change.increase_by("guildwire_commands_total", "outcome")
    limited = change.increase("guildwire_rate_limited_total") or 0.0  # refused before they became commands
    outcomes[RATE_LIMITED] = outcomes.get(RATE_LIMITED, 0.0) + limited
    bad = {code: count / change.elapsed_s for code, count in outcomes.items() if code not in GOOD and count}
    return Frame(
        elapsed_s=change.elapsed_s,
        commands_per_s=change.rate("guildwire_commands_total"),
        command=_latency(change, "guildwire_command_seconds"),
        commits_per_s=change.rate("guildwire_commit_seconds_count"),
        commit=_latency(change, "guildwire_commit_seconds"),
        batch_size=change.mean("guildwire_commit_batch_size"),
        events_per_s=change.rate("guildwire_events_total"),
        frames_in_per_s=_frames(change, "in"),
        frames_out_per_s=_frames(change, "out"),
        reruns_per_s=change.rate("guildwire_turn_reruns_total"),
        sessions=_sessions(change),
        users=change.value("guildwire_users_online"),
        activations=change.value("guildwire_activations"),
        in_flight=change.value("guildwire_commands_in_flight"),
        mailbox=change.value("guildwire_mailbox_depth"),
        commit_queue=change.value("guildwire_commit_queue"),
        socket_queue_bytes=change.value("guildwire_socket_queue_bytes"),
        agenda_pending=change.value("guildwire_agenda_jobs"),
        lateness=_latency(change, "guildwire_agenda_lateness_seconds"),
        unsealed=change.value("guildwire_ledger_unsealed"),
        pool=change.values("guildwire_database_connections", "state"),
        deliveries=_deliveries(change),
        cpu=change.rate("process_cpu_seconds_total"),
        rss_bytes=change.value("process_resident_memory_bytes"),
        rows=_rows(change),
        refusals=_most(bad, lambda code: code not in FAULTS),
        faults=_most(bad, lambda code: code in FAULTS),
    )


def _latency(change: Change, name: str, only: tuple[str, str] | None = None) -> Latency:
    return Latency(change.quantile(name, 0.5, only), change.quantile(name, 0.99, only))


def _sessions(change: Change) -> dict[str, float]:
    by_transport = change.values("guildwire_sockets", "transport")
    there = {name or "open": count for name, count in sorted(by_transport.items()) if count}
    return there or dict.fromkeys(["open"] if by_transport else [], 0.0)


def _frames(change: Change, direction: str) -> float | None:
    increase = change.increase_by("guildwire_frames_total", "direction").get(direction)
    return None if increase is None else increase / change.elapsed_s


def _deliveries(change: Change) -> dict[str, float]:
    for label in ("state", "status", "outcome", "channel"):
        found = change.values("guildwire_deliveries", label) or change.values("guildwire_deliveries_total", label)
        if found and "" not in found:
            return found
    return {}


def _rows(change: Change) -> list[CommandRow]:
    increase = change.increase_by("guildwire_commands_total", "command")
    often = sorted(((count, name) for name, count in increase.items() if count), key=lambda row: (-row[0], row[1]))
    return [
        CommandRow(name, count / change.elapsed_s, _latency(change, "guildwire_command_seconds", ("command", name)))
        for count, name in often[:ROWS_MAX]
    ]


def _most(rates: dict[str, float], wanted: Callable[[str], bool]) -> dict[str, float]:
    often = sorted((item for item in rates.items() if wanted(item[0])), key=lambda item: (-item[1], item[0]))
    return dict(often[:ROWS_MAX])
