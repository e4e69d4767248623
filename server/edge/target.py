"""What stands behind a route: a command to an actor, a query to the tables, or a procedure of the server.

Each endpoint admits the caller, decodes, lets the work be done, and turns what came of it into a response. Refusals are
raised; ``server.rest.app`` renders them.
"""

from collections.abc import Callable
from uuid import UUID

from protocol.ids import Ref
from protocol.registry import Command, Declaration
from protocol.roles import Principal


def target_of(declaration: Declaration, command: Command, principal: Principal, new_id: Callable[[], UUID]) -> Ref:
    """Address a command; a new actor gets its id here. Raises: Forbidden."""
    assert declaration.actor is not None
    return Ref(declaration.actor, declaration.addressee(command, principal) or new_id())
