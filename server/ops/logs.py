"""Logs: one event a line, with fields; JSON for machines, colours for terminals."""

import logging
import sys
from typing import Any

import structlog

#: Fields whose values never reach a log.
SECRET_FIELDS = frozenset({"password", "token", "access_token", "refresh_token", "secret", "authorization", "code"})


def configure_logs(level: str, format_: str) -> None:
    """Set up structlog and the standard library's logging alike.

    Args:
        level: debug, info, warning or error.
        format_: ``json``, ``console``, or ``auto``: console on a terminal, else JSON.
    """
    console = format_ == "console" or (format_ == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _hide_secrets,
        structlog.processors.StackInfoRenderer(),
    ]
    # Without the frames' variables, which hold tokens, addresses and texts.
    colours = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.RichTracebackFormatter(show_locals=False))
    renderer: Any = colours if console else structlog.processors.JSONRenderer()
    ending: list[Any] = [renderer] if console else [structlog.processors.format_exc_info, renderer]
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[_drop_meta, *ending])
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


def _hide_secrets(logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for name in SECRET_FIELDS & event.keys():
        event[name] = "…"
    return event


def _drop_meta(logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(logger, method, event)
