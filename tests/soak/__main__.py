"""``make soak``: rounds of load, each with one fault, and checks after each. The same seed makes the same choices.

Exit code 0 if every promise held, 1 if one was broken, 130 if it was stopped. On a failure it says what was broken, and
leaves a report beside the table: the seed, the round, what each client saw of its connections, the server's last words.
"""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from traceback import format_exception

from server.ops.logs import configure_logs
from tests.soak.checks import Checks
from tests.soak.faults import STORM_S, FaultInjector
from tests.soak.simulated_users import Violation, connect_users, prepare
from tests.soak.work import Work
from tests.support.process import readable_directory, server_process

VARIABLES = {
    "GUILDWIRE_LIMITS__COMMANDS_PER_S": "100000",
    "GUILDWIRE_LIMITS__UNPAID_HOLDS_MAX": "0",
    "GUILDWIRE_LIMITS__QUERIES_PER_S": "100000",
    "GUILDWIRE_LIMITS__REQUESTS_PER_ADDRESS_PER_S": "100000",
    "GUILDWIRE_DEV__ENABLED": "true",
    "GUILDWIRE_DEV__DEMO_DATA": "false",
    # So that tokens are renewed in the middle of everything.
    "GUILDWIRE_AUTH__ACCESS_TOKEN_S": "60",
}
#: How often each fault comes, unless ``--faults`` says which. A storm and deaf lines take a minute: on demand.
WEIGHTS = {
    "kill": 5,
    "term": 2,
    "postgres": 2,
    "backend": 2,
    "stop": 1,
    "cut": 3,
    "freeze": 1,
    "typing": 1,
    "torn": 2,
    "none": 1,
}
#: How often lines are cut beside another fault.
CUT_BESIDE = 0.3
LOG_TAIL_LINES = 60
HEAD = (
    " round fault      load s  away s  answers refused retries resumes resets   events  typing"
    " bookings messages  RSS MB  proof s"
)


class Table:
    """The report: one row for each round."""

    def __init__(self) -> None:
        self._rows = 0
        self._before: Counter[str] = Counter()

    def row(self, soak: "Soak", load_s: float, proof_s: float) -> None:
        """Print the result of a round."""
        if self._rows % 25 == 0:
            print(HEAD, flush=True)
        self._rows += 1
        now = soak.counts
        new = {what: now[what] - self._before[what] for what in now}
        self._before = now
        away_s = soak.trouble.away_s
        away = "-" if away_s is None else f"{away_s:.2f}"
        print(
            f"{soak.rounds:6} {soak.fault:10} {load_s:6.1f} {away:>7} {new['answers']:8} {new['refused']:7}"
            f" {new['retries']:7} {new['resumes']:7} {new['resets']:6} {new['events']:8} {new['typing']:7}"
            f" {soak.proof.bookings:8} {soak.proof.messages:8} {soak.proof.memory.now_mb:7.0f} {proof_s:8.2f}",
            flush=True,
        )


class Soak:
    """One run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.chance = random.Random(options.seed)
        self.rounds = 0
        self.fault = "preparing"
        self.faults: Counter[str] = Counter()
        self.table = Table()
        self.proof: Checks
        self.work: Work
        self.trouble: FaultInjector

    @property
    def counts(self) -> Counter[str]:
        """All counts since the start."""
        devices, ledger = self.work.crowd.devices, self.work.ledger
        return Counter(
            answers=ledger.answers,
            refused=len(ledger.refused),
            retries=ledger.retries,
            resumes=sum(len(device.client.outcomes) - 1 for device in devices),
            resets=sum(device.resets for device in devices),
            events=sum(device.events for device in devices),
            typing=sum(device.typing for device in devices),
        )

    async def run(self, data_dir: Path) -> None:
        """Prepare, then run the rounds. Raises: Violation."""
        options = self.options
        plan = await prepare(data_dir, options.clients, options.staff)
        async with server_process(data_dir, **VARIABLES) as server, AsyncExitStack() as stack:
            await server.start()
            crowd = await connect_users(stack, server.url, plan)
            self.work = Work(crowd, self.chance)
            stack.push_async_callback(self.work.end)
            self.trouble = FaultInjector(server, crowd, self.work, self.chance, storm_s=options.storm_s)
            self.proof = Checks(server, crowd, self.work.ledger)
            self.work.begin()
            began = monotonic()
            try:
                while not self._enough(monotonic() - began):
                    await self._round()
            except BaseException as error:
                self._report(error, server.log if (server.data_dir / "server.log").exists() else "")
                raise
            code = await server.stop()
            if code != 0:
                raise Violation(f"the server ended with {code}")

    def _enough(self, passed_s: float) -> bool:
        options = self.options
        if options.minutes is not None and passed_s >= 60 * options.minutes:
            return True
        return options.rounds is not None and self.rounds >= options.rounds

    async def _round(self) -> None:
        """Run load with a fault in the middle, then stop the load for the checks."""
        trouble, chance = self.trouble, self.chance
        self.rounds += 1
        self.fault = chance.choices([*WEIGHTS], [*WEIGHTS.values()])[0]
        if self.options.faults:
            self.fault = chance.choice(self.options.faults)
        self.faults[self.fault] += 1
        trouble.away_s = None
        began = monotonic()
        self.work.resume()
        await trouble.some_load()
        beside = asyncio.create_task(trouble.cut()) if chance.random() < CUT_BESIDE else None
        try:
            await trouble.kinds[self.fault]()
        finally:
            if beside is not None:
                await asyncio.gather(beside, return_exceptions=True)
        await trouble.some_load()
        await self.work.pause()
        paused = monotonic()
        await self.proof.run()
        self.table.row(self, paused - began, monotonic() - paused)

    def _report(self, error: BaseException, log: str) -> None:
        """Write the details of a failure."""
        if isinstance(error, asyncio.CancelledError):
            return
        path = Path(self.options.report) / f"soak-{self.options.seed}.txt"
        now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        parts = [
            f"seed {self.options.seed}, round {self.rounds}, fault {self.fault}, {now}",
            f"again: python -m tests.soak {' '.join(sys.argv[1:])} --seed {self.options.seed}",
            "",
            *([str(error)] if isinstance(error, Violation) else format_exception(error)),
        ]
        for device in self.work.crowd.devices:
            position = f"at {device.replica.as_of}, resets {device.resets}, byes {dict(device.byes)}"
            parts += ["", f"-- {device.name}: {position}", *device.notes, *device.wrong]
        parts += ["", f"-- the server's last {LOG_TAIL_LINES} lines", *log.splitlines()[-LOG_TAIL_LINES:]]
        path.write_text("\n".join(parts) + "\n")
        print(f"BROKEN in round {self.rounds} ({self.fault}), seed {self.options.seed}:\n{error}\nreport {path}")

    def summary(self, passed_s: float) -> str:
        """The summary of the run."""
        counts, ledger = self.counts, self.work.ledger
        byes = sum((device.byes for device in self.work.crowd.devices), Counter[str]())
        faults = ", ".join(f"{name} {times}" for name, times in self.faults.most_common())
        return (
            f"{self.rounds} rounds in {passed_s:.0f} s: {faults}\n"
            f"{counts['answers']} answers ({counts['refused']} refused, {ledger.replayed} replayed,"
            f" {counts['retries']} sent again), {self.proof.bookings} bookings, {len(ledger.paid)} payments,"
            f" {self.proof.messages} messages\n"
            f"{counts['events']} numbered events on {len(self.work.crowd.devices)} devices, each once and in order;"
            f" {counts['resumes']} resumes, {counts['resets']} resets, goodbyes {dict(byes)}\n"
            f"memory of the server at most {self.proof.memory.peak_mb:.0f} MB\n"
            "nothing lost, nothing doubled"
        )


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--rounds", type=int, help="stop after so many rounds (20, unless --minutes is given)")
    parser.add_argument("--minutes", type=float, help="stop after so long")
    parser.add_argument("--seed", type=int, help="choose alike again")
    parser.add_argument("--clients", type=int, default=8, help="customers, with three devices each (8)")
    parser.add_argument("--staff", type=int, default=4, help="staff members, with three devices each (4)")
    parser.add_argument(
        "--faults", type=lambda text: text.split(","), default=[], help=f"of {', '.join(WEIGHTS)}, storm, deaf"
    )
    parser.add_argument(
        "--cuts", action="store_true", help="30 %% of clients cut at random for a minute, twice in a row"
    )
    parser.add_argument("--storm-s", type=float, default=STORM_S, help="how long a storm of cuts takes (60)")
    parser.add_argument("--report", default=tempfile.gettempdir(), help="where a failure's report goes")
    options = parser.parse_args(arguments)
    if options.cuts:
        options.faults, options.rounds = ["storm"], options.rounds or 2
    if unknown := set(options.faults) - {*WEIGHTS, "storm", "deaf"}:
        parser.error(f"unknown faults: {', '.join(sorted(unknown))}")
    if options.clients < 3:
        parser.error("at least 3 clients: they compete for the same hours")
    if options.rounds is None and options.minutes is None:
        options.rounds = 20
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(2**32)
    return options


async def main(options: argparse.Namespace) -> int:
    """Run a soak; returns the exit code."""
    configure_logs("warning", "auto")
    print(f"seed {options.seed}", flush=True)
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    soak, began = Soak(options), monotonic()
    try:
        with readable_directory() as directory:
            await soak.run(directory)
    except asyncio.CancelledError:
        print(f"stopped in round {soak.rounds}")
        return 130
    except Violation as broken:
        print(broken)
        return 1
    print(soak.summary(monotonic() - began))
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(parse(sys.argv[1:]))))
