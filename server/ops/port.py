"""Checks that the server can listen, before it makes or opens a database."""

import errno
import os
import socket
from contextlib import ExitStack
from pathlib import Path

from server.edge.config import ServerConfig
from server.ops.pid_file import Running, read_pid_file


class CannotListenError(Exception):
    """The server cannot listen on the configured address; the message names the key to change."""


def check_port(server: ServerConfig) -> None:
    """Bind the configured address for a moment. Raises: CannotListenError."""
    if server.port == 0:
        return
    where = f"{server.host or '*'}:{server.port}"
    try:
        _bind(server.host, server.port)
    except socket.gaierror:
        raise CannotListenError(f"server.host: {server.host} is not an address of this machine") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            running = other_server(Path(server.data_dir))
            reason = f"{where} is in use{by(running)}; set another port by GUILDWIRE_SERVER__PORT or server.port"
        elif error.errno == errno.EACCES:
            reason = f"{where} needs a privilege; set a port above 1023 by GUILDWIRE_SERVER__PORT or server.port"
        else:
            reason = f"server.host, server.port: {where}: {error.strerror}"
        raise CannotListenError(reason) from None


def other_server(data_dir: Path) -> Running | None:
    """The running server of this data folder, if it is not this process."""
    running = read_pid_file(data_dir)
    return None if running is None or running.pid == os.getpid() else running


def by(running: Running | None) -> str:
    """`` by …``, which names a running server; empty without one."""
    return "" if running is None else f" by the running server {running.url} (process id {running.pid})"


def _bind(host: str, port: int) -> None:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    with ExitStack() as stack:
        for family, kind, protocol, _, address in found:
            probe = stack.enter_context(socket.socket(family, kind, protocol))
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the listener does
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
