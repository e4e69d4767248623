"""Imports every noun of a package, so that its declarations are registered."""

from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType

import protocol


def import_modules(package: ModuleType) -> None:
    """Import every module of a package; each registers its declarations."""
    for module in walk_packages(package.__path__, f"{package.__name__}."):
        import_module(module.name)


def import_nouns() -> None:
    """Import all of ``protocol``, which registers commands, events and notification types."""
    for module in walk_packages(protocol.__path__, "protocol."):
        if module.name != __name__ and not module.name.endswith("notification.registry"):
            import_module(module.name)
