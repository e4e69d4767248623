"""One request and its response, as every handler sees it."""

from collections.abc import Callable, Mapping
from typing import Final

from aiohttp.web import BaseRequest, RequestKey, StreamResponse


class Exchange:
    """What the transport knows of one request. Plain handlers get it by ``request[EXCHANGE]``."""

    __slots__ = ("_mark", "address", "path_params", "request_id")

    def __init__(self, request_id: str, address: str, mark: Callable[[BaseRequest, StreamResponse], None]) -> None:
        self.request_id = request_id
        #: The client's address, behind trusted proxies too.
        self.address = address
        #: The path's parameters by name, percent signs undone; for plain handlers only.
        self.path_params: Mapping[str, str] = {}
        self._mark = mark

    async def start(self, request: BaseRequest, response: StreamResponse) -> None:
        """Begin a streamed response, with the headers that every response gets (security, CORS, request id)."""
        self._mark(request, response)
        await response.prepare(request)


EXCHANGE: Final = RequestKey("exchange", Exchange)
