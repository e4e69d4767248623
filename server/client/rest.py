"""The REST client: each command, query and procedure by its first route."""

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from time import monotonic
from typing import Any, NamedTuple, Self
from uuid import uuid4

import aiohttp
import msgspec
from msgspec import Struct

from protocol.auth.procedures import ActAs, Refresh, Register, SignIn
from protocol.auth.views import Tokens
from protocol.errors import GuildwireError, Unauthenticated, Unavailable, revive
from protocol.ids import BusinessId
from protocol.registry import BY_TYPE, Command, Declaration, Mode, Procedure, Query
from protocol.roles import Role

TIMEOUT_S = 30.0
JSON_TYPE = "application/json"
STREAM_TYPE = "text/event-stream"
#: A token is renewed when this much of its life is left.
RENEW_BEFORE_S = 30.0


@dataclass(slots=True)
class SignedIn:
    """A user's tokens, and until when the access token is valid (on the monotonic clock)."""

    tokens: Tokens
    until_s: float

    @classmethod
    def of(cls, tokens: Tokens) -> Self:
        return cls(tokens, monotonic() + tokens.expires_in_s)


@dataclass(frozen=True, slots=True)
class Answer:
    """The declared reply, the entity's version, and whether it is the stored answer to a retry."""

    reply: Any
    version: int | None = None
    seq: int | None = None
    replayed: bool = False


@dataclass
class Rest:
    """One user at one server.

    Every call raises the protocol's own errors: ``SlotTaken``, ``Invalid``, ``Unavailable`` …
    """

    url: str
    signed_in: SignedIn | None = None
    _http: aiohttp.ClientSession | None = field(default=None, repr=False)
    #: A refresh token is valid once: one caller uses it, the others wait for the new one.
    _renewing: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    def __post_init__(self) -> None:
        self.url = self.url.rstrip("/")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def sign_up(self, email: str, password: str, name: str) -> Tokens:
        """Create an account and sign in."""
        return await self._sign(Register(email=email, password=password, name=name))

    async def sign_in(self, email: str, password: str) -> Tokens:
        """Sign in as a user."""
        return await self._sign(SignIn(email=email, password=password))

    async def act_as(self, role: Role, business_id: BusinessId | None = None) -> Tokens:
        """Switch to another of the user's roles."""
        return await self._sign(ActAs(role=role, business_id=business_id))

    async def token(self) -> str:
        """Return an access token, renewed if it expires soon. Raises: Unauthenticated."""
        assert self.signed_in is not None, "sign in first"
        if self.signed_in.until_s - monotonic() < RENEW_BEFORE_S:
            async with self._renewing:
                if self.signed_in.until_s - monotonic() < RENEW_BEFORE_S:
                    refresh_token = self.signed_in.tokens.refresh_token
                    assert refresh_token is not None
                    await self._sign(Refresh(refresh_token=refresh_token))
        return self.signed_in.tokens.access_token

    def distrust(self, access_token: str) -> None:
        """The server refuses this token, for example after a change of rights: renew it before the next use."""
        if self.signed_in is not None and self.signed_in.tokens.access_token == access_token:
            self.signed_in.until_s = monotonic()

    async def call(self, what: Struct, *, key: str | None = None, if_version: int | None = None) -> Answer:
        """Send a command, run a query or run a procedure.

        Args:
            key: the command's id; the same key with the same command has its effect once.
        """
        declared = BY_TYPE[type(what)]
        headers = {}
        if declared.mode is Mode.COMMAND:
            headers["Idempotency-Key"] = key or str(uuid4())
        if if_version is not None:
            headers["If-Match"] = f'"{if_version}"'
        request = _make_request(declared, what)
        if not declared.by or self.signed_in is None:
            return await self._exchange(request, headers)
        return await self._signed(request, headers)

    async def send(self, command: Command, *, id: str, if_version: int | None = None) -> Answer:
        """Send a command by its name, as over a WebSocket."""
        declared = BY_TYPE[type(command)]
        envelope = {"id": id, "name": declared.name, "data": command, "if_version": if_version}
        return await self._signed(_Request("POST", "/v1/commands", envelope, declared.reply), {})

    async def listen(self, token: str, since: str | None) -> aiohttp.ClientResponse:
        """Open the event stream after a position; the caller closes it."""
        headers = {"Authorization": f"Bearer {token}", "Accept": STREAM_TYPE}
        if since is not None:
            headers["Last-Event-ID"] = since
        try:
            async with asyncio.timeout(TIMEOUT_S):
                stream = await self._session().get(
                    self.url + "/v1/events", headers=headers, timeout=aiohttp.ClientTimeout()
                )
                if stream.status == HTTPStatus.OK and stream.content_type == STREAM_TYPE:
                    return stream
                async with stream:
                    raw = await stream.read() if stream.status >= HTTPStatus.BAD_REQUEST else b""
                    raise _error(raw, stream.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _lost(error) from error

    async def _sign(self, procedure: Procedure) -> Tokens:
        tokens: Tokens = (await self.call(procedure)).reply
        if tokens.refresh_token is None and self.signed_in is not None:
            tokens = msgspec.structs.replace(tokens, refresh_token=self.signed_in.tokens.refresh_token)
        self.signed_in = SignedIn.of(tokens)
        return tokens

    async def _signed(self, request: "_Request", headers: dict[str, str]) -> Answer:
        """Send a request with the token, and once more with a new one if the server finds it expired."""
        token = await self.token()
        try:
            return await self._exchange(request, headers, token)
        except Unauthenticated as error:
            if error.fields.get("reason") != "expired":
                raise
        self.distrust(token)
        return await self._exchange(request, headers, await self.token())

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        return self._http

    async def _exchange(self, request: "_Request", headers: dict[str, str], token: str | None = None) -> Answer:
        if token is not None:
            headers = {**headers, "Authorization": f"Bearer {token}"}
        if request.method == "GET":
            how: dict[str, Any] = {"params": {name: _text(value) for name, value in request.fields.items()}}
        else:
            how = {"data": msgspec.json.encode(request.fields)}
            headers = {**headers, "Content-Type": JSON_TYPE}
        try:
            async with self._session().request(
                request.method, self.url + request.path, headers=headers, **how
            ) as response:
                raw = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:  # also a response that breaks off
            raise _lost(error) from error
        if response.status >= HTTPStatus.BAD_REQUEST or response.content_type != JSON_TYPE:
            raise _error(raw, response.status)
        version = response.headers.get("ETag")
        return Answer(
            msgspec.json.decode(raw, type=request.reply),
            version=int(version.strip('"')) if version else None,
            replayed=response.headers.get("Idempotency-Replayed") == "true",
        )


class _Request(NamedTuple):
    """One request; its fields are in the query string with GET, else in the body."""

    method: str
    path: str
    fields: dict[str, Any]
    reply: type[Struct]


def _make_request(declared: Declaration, what: Struct) -> _Request:
    """Make the request of the first route, with the parameters of its path."""
    route = declared.routes[0]
    fields: dict[str, Any] = msgspec.to_builtins(what)
    path = route.path
    for name in route.params:
        path = path.replace(f"{{{name}}}", str(fields.pop(name)))
    if isinstance(what, Query):
        fields = {name: value for name, value in fields.items() if value is not None}
    return _Request(route.method, path, fields, declared.reply)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def was_lost(error: GuildwireError) -> bool:
    """Whether there was no response, so that the outcome is unknown."""
    return isinstance(error.__cause__, aiohttp.ClientError | TimeoutError)


def _lost(error: Exception) -> Unavailable:
    return Unavailable(reason=repr(error), retry_after_s=1.0)


def _error(raw: bytes, status: int) -> GuildwireError:
    """The protocol's error of a problem document; any other body comes from a proxy, and is Unavailable."""
    try:
        problem = msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.DecodeError:
        return Unavailable(status=status, retry_after_s=1.0)
    return revive(problem.get("code", "unavailable"), problem.get("fields") or {})
