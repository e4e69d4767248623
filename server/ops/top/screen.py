"""One frame of ``server top`` as text for a terminal of any width. Pure."""

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from server.ops.top.frame import Frame, Latency

NOTHING = "–"


def show(url: str, health: str, frame: Frame) -> RenderableType:
    """The screen: health, throughput, queues, errors."""
    parts: list[RenderableType] = [_head(url, health), _figures(frame)]
    if frame.rows:
        parts += ["", _commands(frame)]
    for title, rates, style in (("refusals", frame.refusals, "yellow"), ("faults", frame.faults, "red")):
        if rates:
            said = "  ".join(f"{code} {rate(per_s)}/s" for code, per_s in rates.items())
            parts += ["", Text.assemble((f"{title}  ", f"bold {style}"), said, overflow="fold")]
    return Group(*parts)


def _head(url: str, health: str) -> Text:
    style = "green" if health == "ready" else "red"
    return Text.assemble(("guildwire ", "bold"), url, "  ", (health, f"bold {style}"), overflow="fold")


def _figures(frame: Frame) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), expand=False)
    for style in ("bold", None, "bold", None):
        table.add_column(style=style, overflow="fold")
    left = [
        ("commands/s", rate(frame.commands_per_s)),
        ("  p50 p99", latency(frame.command)),
        ("commits/s", rate(frame.commits_per_s)),
        ("  p50 p99", latency(frame.commit)),
        ("batch size", rate(frame.batch_size)),
        ("reruns/s", rate(frame.reruns_per_s)),
        ("events/s", rate(frame.events_per_s)),
        ("frames/s", _frames(frame)),
        ("CPU", NOTHING if frame.cpu is None else f"{frame.cpu:.0%}"),
        ("memory", size(frame.rss_bytes)),
    ]
    right = [
        ("sessions", _counts(frame.sessions)),
        ("people online", count(frame.users)),
        ("activations", count(frame.activations)),
        ("in flight", count(frame.in_flight)),
        ("mailboxes", count(frame.mailbox)),
        ("commit queue", count(frame.commit_queue)),
        ("unsent", size(frame.socket_queue_bytes)),
        ("agenda", f"{count(frame.agenda_pending)}, late {latency(frame.lateness)}"),
        ("unsealed", count(frame.unsealed)),
        ("database", _counts(frame.pool)),
    ]
    for this, that in zip(left, right, strict=True):
        table.add_row(*this, *that)
    if frame.deliveries:
        table.add_row("", "", "deliveries", _counts(frame.deliveries))
    return table


def _commands(frame: Frame) -> Table:
    table = Table("command", box=None, padding=(0, 1, 0, 0), header_style="bold")
    for title in ("per s", "p50", "p99"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in frame.rows:
        table.add_row(row.name, rate(row.per_s), seconds(row.latency.p50_s), seconds(row.latency.p99_s))
    return table


def _counts(counts: Mapping[str, float]) -> str:
    return "  ".join(f"{number:,.0f} {name}" for name, number in counts.items()) or NOTHING


def _frames(frame: Frame) -> str:
    if frame.frames_in_per_s is None and frame.frames_out_per_s is None:
        return NOTHING
    return f"{rate(frame.frames_in_per_s)} in {rate(frame.frames_out_per_s)} out"


def rate(value: float | None) -> str:
    """A rate, or another number with fractions."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def count(value: float | None) -> str:
    """A whole number."""
    return NOTHING if value is None else f"{value:,.0f}"


def seconds(value: float | None) -> str:
    """A duration in the unit that reads best."""
    if value is None:
        return NOTHING
    return f"{value * 1e3:.1f} ms" if value < 1 else f"{value:.1f} s"


def latency(value: Latency) -> str:
    """Median and tail."""
    return NOTHING if value.p50_s is None else f"{seconds(value.p50_s)} {seconds(value.p99_s)}"


def size(value: float | None) -> str:
    """Bytes in the unit that reads best."""
    if value is None:
        return NOTHING
    return f"{value / 1024**2:,.0f} MiB" if value >= 1024**2 else f"{value / 1024:,.0f} KiB"
