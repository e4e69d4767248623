"""From a client's frame to a declared command or query, its sender's right to send it checked."""

from typing import cast

from protocol.errors import Forbidden
from protocol.frames import CommandFrame, QueryFrame
from protocol.registry import BY_NAME, Command, Declaration, Mode, Query
from protocol.roles import Principal
from server.edge.guards import invalid
from server.live.connection.codec import Codec
from server.live.session.effects import Ask, Submit


def read_command(codec: Codec, frame: CommandFrame, principal: Principal) -> Submit:
    """Decode a command. Raises: Invalid, Malformed, Forbidden."""
    declared = _declared(frame.name, Mode.COMMAND, principal)
    into: type[Command] = declared.type  # type: ignore[assignment]  # the mode says that it is one
    if frame.to is None:
        command = codec.decode_data(frame.data, into)
    elif declared.key is None:
        raise invalid({"to": "not_addressable"})
    else:
        command = codec.decode_addressed(frame.data, into, declared.key, str(frame.to))
    return Submit(frame.id, command, declared, principal, frame.if_version)


def read_query(codec: Codec, frame: QueryFrame, principal: Principal) -> Ask:
    """Decode a query. Raises: Invalid, Malformed, Forbidden."""
    declared = _declared(frame.name, Mode.QUERY, principal)
    return Ask(frame.id, codec.decode_data(frame.data, cast(type[Query], declared.type)), principal)


def _declared(name: str, mode: Mode, principal: Principal) -> Declaration:
    declared = BY_NAME.get(name)
    if declared is None or declared.mode is not mode:
        raise invalid({"name": f"unknown_{mode.value}"})
    if principal.role not in declared.by and (declared.by or mode is Mode.COMMAND):
        raise Forbidden(reason="role", role=principal.role, roles=sorted(declared.by))
    return declared
