"""The faults of a soak: of the server, its database and the networks, one kind in each round."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

import psutil

from protocol.ids import ConversationId
from tests.soak.simulated_users import Device, Person, SimulatedUsers, Violation
from tests.soak.work import Work
from tests.support.process import ServerProcess

#: The share of all devices that a cut or a freeze affects.
SHARE = 0.3
#: How long a round's load runs before the fault, and after it.
LOAD_S = (0.5, 2.0)
#: Cuts of one round, and how long a storm takes and pauses in between.
CUTS = 5
STORM_S = 60.0
STORM_PAUSE_S = (0.2, 2.0)
#: Postmasters that may die in one life of the server: with ten in a row it stops.
POSTMASTERS_MAX = 8
#: Longer than the client takes to detect a dead connection: the heartbeat, and its margin.
DEAF_S = 45.0
FREEZE_MESSAGES = 400
FREEZE_TEXT = "x" * 4_000
SIGNALS = 300
STOPPED_S = 2.0


@dataclass
class FaultInjector:
    """Causes the faults of a soak.

    Args:
        storm_s: how long a storm of cuts takes.
    """

    server: ServerProcess
    crowd: SimulatedUsers
    work: Work
    chance: random.Random
    storm_s: float = STORM_S
    postmasters: int = 0
    #: How long the server was unavailable in the last fault; None: it was available.
    away_s: float | None = None

    @property
    def kinds(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Every fault by its name."""
        return {
            "kill": self.kill,
            "term": self.term,
            "postgres": self.postgres,
            "backend": self.backend,
            "stop": self.stop,
            "cut": self.cut,
            "freeze": self.freeze,
            "typing": self.typing,
            "torn": self.torn,
            "storm": self.storm,
            "deaf": self.deaf,
            "none": self.nothing,
        }

    async def some_load(self) -> None:
        """Let the load run for a moment."""
        await asyncio.sleep(self.chance.uniform(*LOAD_S))
        self.work.check()

    # The server and its database

    async def kill(self) -> None:
        """kill -9 of the server under load."""
        began = monotonic()
        await self.server.kill()
        await self._start(began)

    async def term(self) -> None:
        """A clean restart."""
        began = monotonic()
        code = await self.server.stop()
        if code != 0:
            raise Violation(f"the server ended with {code} on SIGTERM")
        await self._start(began)

    async def _start(self, began: float) -> None:
        await self.server.start()
        self.postmasters = 0
        self.away_s = monotonic() - began

    async def postgres(self) -> None:
        """kill -9 of the postmaster; the server starts another one."""
        if self.postmasters >= POSTMASTERS_MAX:
            await self.kill()
            return
        self.postmasters += 1
        began, before = monotonic(), self._postmaster()
        before.kill()
        while True:
            with suppress(StopIteration, psutil.Error):
                if self._postmaster().pid != before.pid:
                    break
            if monotonic() - began > 60.0:
                raise Violation("no postmaster takes the place of the one that was killed")
            await asyncio.sleep(0.02)
        self.away_s = monotonic() - began

    async def backend(self) -> None:
        """kill -9 of one of the server's database sessions: Postgres ends all of them and recovers."""
        sessions = [one for one in self._postmaster().children() if "[local]" in " ".join(one.cmdline())]
        if sessions:
            self.chance.choice(sessions).kill()

    async def stop(self) -> None:
        """Suspend the server's process for a while, as on an overloaded machine."""
        process = psutil.Process(self.server.pid)
        process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(STOPPED_S)
        finally:
            process.send_signal(signal.SIGCONT)

    def _postmaster(self) -> psutil.Process:
        return next(child for child in psutil.Process(self.server.pid).children() if child.name() == "postgres")

    # The networks

    def _some(self) -> list[Device]:
        devices = self.crowd.devices
        return self.chance.sample(devices, max(1, round(SHARE * len(devices))))

    async def cut(self) -> None:
        """Cut some networks, several times."""
        for _ in range(CUTS):
            for device in self._some():
                device.line.cut()
            await asyncio.sleep(self.chance.uniform(0.05, 0.4))

    async def storm(self) -> None:
        """A minute of cuts: some networks are cut at any moment, and some stay down for a while."""
        until = monotonic() + self.storm_s
        while monotonic() < until:
            some = self._some()
            for device in some:
                device.line.down = self.chance.random() < 0.5
                device.line.cut()
            await asyncio.sleep(self.chance.uniform(*STORM_PAUSE_S))
            for device in some:
                device.line.down = False
            self.work.check()

    async def freeze(self) -> None:
        """Some devices stop reading while their conversation is flooded; the server closes them, and they resume."""
        if not self.work.talks:
            await self.cut()
            return
        thread, customer, staff = self.work.talks[-1]
        frozen = [customer.any_device(self.chance), staff.any_device(self.chance)]
        for device in frozen:
            device.line.freeze()
        try:
            awake = next(device for device in customer.devices if device not in frozen)
            for start in range(0, FREEZE_MESSAGES, 20):
                tells = [self._flood(awake, thread, number) for number in range(start, start + 20)]
                await asyncio.gather(*tells)
        finally:
            for device in frozen:
                device.line.thaw()

    async def _flood(self, device: Device, thread: ConversationId, number: int) -> None:
        who = next(person for person in self.crowd.people if device in person.devices)
        alone = Person(who.name, [device])  # the frozen ones would not answer
        await self.work.say(alone, thread, f"{number:04} {FREEZE_TEXT}"[:4000], random.Random(number), at_once=True)

    async def typing(self) -> None:
        """Users send too many frames, which closes their sessions for a moment."""
        if not self.work.talks:
            return
        thread, customer, staff = self.work.talks[-1]
        topic = f"typing/{thread}"
        for device in [*customer.devices, *staff.devices]:
            async with asyncio.timeout(30):
                await device.client.subscribe(topic)
        for _ in range(SIGNALS):
            for device in [*customer.devices, *staff.devices]:
                await device.client.signal(topic, "typing")
            await asyncio.sleep(0.002)

    async def torn(self) -> None:
        """Some networks deliver byte by byte, others late."""
        some = self._some()
        for device in some:
            if self.chance.random() < 0.5:
                device.line.piece_bytes = self.chance.choice([1, 7, 100])
            else:
                device.line.delay_s = self.chance.uniform(0.01, 0.2)
        await asyncio.sleep(self.chance.uniform(1.0, 2.0))
        for device in some:
            device.line.heal()

    async def deaf(self) -> None:
        """Half-open connections: data of one end never arrives, and neither end notices."""
        some = self._some()
        for device in some:
            if self.chance.random() < 0.5:
                device.line.swallows_up = True
            else:
                device.line.swallows_down = True
        await asyncio.sleep(DEAF_S)
        for device in some:
            device.line.heal()

    async def nothing(self) -> None:
        """A round without a fault."""
