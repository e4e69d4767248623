"""``server demo`` against a running server."""

from io import StringIO

from rich.console import Console

from server.demo.marketplace import make_marketplace
from server.demo.story import play
from tests.support.server import Site


async def test_the_story_is_played_to_its_end_and_events_are_printed_as_they_come(server: Site) -> None:
    await make_marketplace(server.node, lambda done, total, what: None)
    output = StringIO()

    assert await play(server.url, Console(file=output, width=40)) == 0

    story = output.getvalue()
    owner_hears, customer_pays = (story.index(said) for said in ("owner     ⟵", "customer pays"))
    assert "booking.created" in story[owner_hears : story.index("\n", owner_hears)]
    assert owner_hears < customer_pays
    assert "the owner's wallet" in story
    assert not [line for line in story.splitlines() if line != line.rstrip()]
