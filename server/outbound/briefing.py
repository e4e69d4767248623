"""What a message needs to be composed: its reader, and what happened, in the reader's language. Many at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.ids import DeliveryId
from protocol.notification.reader import Reader
from server.queries.notifications import Scene, Teller, load_scene
from server.words import Language, language
from storage.database import Pool
from storage.deliveries import Leased
from storage.queries.notification import Kept, load_notifications
from storage.queries.reader import load_readers


@dataclass(frozen=True, slots=True)
class Brief:
    """All that is known of one delivery at the moment of sending."""

    delivery: Leased
    reader: Reader
    language: Language
    #: The notification, with its event as far as the reader may still see it; None: there is none.
    kept: Kept | None
    scene: Scene

    @property
    def title(self) -> str:
        """The notification's title; empty if there is none."""
        return "" if self.kept is None else Teller(self.language, self.scene).tell(self.kept).title

    @property
    def body(self) -> str:
        """The notification's one sentence; empty if there is none."""
        return "" if self.kept is None else Teller(self.language, self.scene).tell(self.kept).body


async def brief(pool: Pool, deliveries: Sequence[Leased]) -> dict[DeliveryId, Brief]:
    """Read what these need; whose reader was erased is not among them."""
    readers = await load_readers(pool, list({one.user_id for one in deliveries}))
    keys = {(one.user_id, one.notification_id) for one in deliveries if one.notification_id is not None}
    kept = await load_notifications(pool, list(keys))
    scene = await load_scene(pool, list(kept.values()))
    return {
        one.id: Brief(
            one,
            readers[one.user_id],
            language(readers[one.user_id].language),
            None if one.notification_id is None else kept.get((one.user_id, one.notification_id)),
            scene,
        )
        for one in deliveries
        if one.user_id in readers
    }
