"""Every actor by its kind. The folder of a noun has the name of its kind, and holds one actor of that kind."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from actors.actor import Actor
from protocol.ids import Kind


def _find(kind: Kind) -> type[Actor[Any]]:
    """Import the actor of a kind. AssertionError unless its module declares exactly one."""
    module = import_module(f"actors.{kind.value}.actor")
    declared = [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == module.__name__]
    found = [one for one in declared if issubclass(one, Actor) and vars(one).get("kind") is kind]
    assert len(found) == 1, f"{module.__name__}: declares {len(found)} actors of the kind {kind.value}, not one"
    return found[0]


ACTORS: Mapping[Kind, type[Actor[Any]]] = {kind: _find(kind) for kind in Kind}
