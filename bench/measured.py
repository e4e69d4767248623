"""What one run of a workload measured, and what all runs together are set against."""

from dataclasses import dataclass
from statistics import median

#: Workload → its requests for each transaction of pgbench, and the ms within which 99 % of them are to be answered.
TARGETS = {"W1 book": (0.55, 40), "W2 chat": (2.5, 25)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run."""

    name: str
    #: Requests a second.
    rate: float
    p50_s: float
    #: None: not told.
    p99_s: float | None
    #: Processor time for each request, user and system.
    server_s: float
    postgres_s: float
    client_s: float
    #: Decisions in a commit on average.
    batch: float | None
    #: Cores that were busy with something that is not measured here.
    strangers: float
    #: What did not go as it should, and how often.
    wrong: dict[str, int]


def yardstick_of(runs: list[Measured]) -> float:
    """The median of pgbench's rates."""
    return median(run.rate for run in runs if run.name == "pgbench")
