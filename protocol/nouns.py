"""Imports every noun of a package, so that what registers itself is there before anybody looks it up."""

from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType

import protocol


def import_modules(package: ModuleType) -> None:
    """Import every module of a package. Each declares what it has where it stands; nothing lists them."""
    for module in walk_packages(package.__path__, f"{package.__name__}."):
        import_module(module.name)


def import_nouns() -> None:
    """Import all of ``protocol``: commands, events and notification types are declared then."""
    for module in walk_packages(protocol.__path__, "protocol."):
        if module.name != __name__ and not module.name.endswith("notification.registry"):
            import_module(module.name)
