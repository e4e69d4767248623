"""The observer of the runtime."""

from actors.runtime.call import Call, Outcome


class Observer:
    """Called by the runtime for each finished command and each rerun; the base class ignores both."""

    def finished(self, call: Call, outcome: Outcome, seconds: float) -> None: ...

    def rerun(self, call: Call, status: str) -> None: ...
