"""All notification types, in the order of their names."""

from collections.abc import Mapping

from protocol.notification.types import DECLARED, NotificationType
from protocol.nouns import import_nouns

import_nouns()

#: name → type.
BY_NAME: Mapping[str, NotificationType] = dict(sorted(DECLARED.items()))
NOTIFICATIONS: tuple[NotificationType, ...] = tuple(BY_NAME.values())
