"""The result of one run of a workload, and the targets."""

from dataclasses import dataclass
from statistics import median

#: Workload → target of its requests for each transaction of pgbench, and of p99 in ms.
TARGETS = {"W1 book": (0.55, 40), "W2 chat": (2.5, 25)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run."""

    name: str
    #: Requests a second.
    rate: float
    p50_s: float
    #: None if not measured.
    p99_s: float | None
    #: CPU time for each request, user and system.
    server_s: float
    postgres_s: float
    client_s: float
    #: Decisions in a commit on average.
    batch: float | None
    #: Cores that were busy with other processes.
    others_cores: float
    #: Error → count.
    wrong: dict[str, int]


def yardstick_of(runs: list[Measured]) -> float:
    """The median of pgbench's rates."""
    return median(run.rate for run in runs if run.name == "pgbench")
