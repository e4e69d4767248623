"""The links in e-mails and their pages, as a part of the server."""

from dataclasses import dataclass

from server.edge.part import Context, Part
from server.links.routes import LinkPages
from server.links.tokens import Links, link_key


@dataclass(frozen=True, kw_only=True)
class LinksPart(Part):
    """The part, and the maker of links for e-mails."""

    links: Links


def open_links(context: Context, *, brand: str) -> LinksPart:
    """Open the pages. Raises: UnusableKey.

    Args:
        brand: the installation's name.
    """
    node = context.node
    links = Links(link_key(context.server.keys_dir), context.server.url)

    def listening(url: str) -> None:
        links.url = url

    pages = LinkPages(links, node.runtime, node.pool, context.limiters, now=node.clock.now, brand=brand)
    return LinksPart(links=links, routes=pages.routes, listening=listening)
