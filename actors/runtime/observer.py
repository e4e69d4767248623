"""Who watches the runtime at work."""

from actors.runtime.call import Call, Outcome


class Observer:
    """Hears what the runtime does; operations turn it into metrics."""

    def finished(self, call: Call, outcome: Outcome, seconds: float) -> None: ...

    def rerun(self, call: Call, status: str) -> None: ...
