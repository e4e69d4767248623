"""Logs never contain a secret, neither as a field nor as a local variable of a traceback."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from server.ops.logs import configure_logs


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Restore the configuration of logging."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_traceback_does_not_show_local_variables(format_: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", format_)

    for log in (structlog.get_logger(), logging.getLogger("somebody.else")):
        try:
            crash(f"{4711}00")
        except ValueError:
            log.exception("it.crashed")

    said = capsys.readouterr().err
    assert said.count("ValueError") >= 2
    assert "471100" not in said


@pytest.mark.parametrize("format_", ["json", "console"])
def test_secret_fields_are_hidden(format_: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", format_)

    structlog.get_logger().info("it.happened", code="471100", password="sesame", port=8080)

    said = capsys.readouterr().err
    assert "8080" in said
    assert "471100" not in said
    assert "sesame" not in said


def crash(code: str) -> None:
    words = [code]
    raise ValueError(f"{len(words)} is one too many")
