"""The REST side of the client: every command, query and procedure of the catalogue by its first route."""

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
    """Somebody's tokens, and until when the access token holds (on the monotonic clock)."""

    tokens: Tokens
    until_s: float

    @classmethod
    def of(cls, tokens: Tokens) -> Self:
        return cls(tokens, monotonic() + tokens.expires_in_s)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the declared reply, the entity's version, whether it is the stored answer to a retry."""

    reply: Any
    version: int | None = None
    seq: int | None = None
    replayed: bool = False


@dataclass
class Rest:
    """One person at one server.

    Every call raises the protocol's own errors: ``SlotTaken``, ``Invalid``, ``Unavailable`` …
    """

    url: str
    signed_in: SignedIn | None = None
    _http: aiohttp.ClientSession | None = field(default=None, repr=False)
    #: A refresh token is good for one time: whoever finds it in use waits for the new one.
    _renewing: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    def __post_init__(self) -> None:
        self.url = self.url.rstrip("/")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let the connections go."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def sign_up(self, email: str, password: str, name: str) -> Tokens:
        """Make an account and use it from now on."""
        return await self._sign(Register(email=email, password=password, name=name))

    async def sign_in(self, email: str, password: str) -> Tokens:
        """Sign in, and act as that person from now on."""
        return await self._sign(SignIn(email=email, password=password))

    async def act_as(self, role: Role, business_id: BusinessId | None = None) -> Tokens:
        """Act in another of one's roles from now on."""
        return await self._sign(ActAs(role=role, business_id=business_id))

    async def token(self) -> str:
        """An access token that still holds for a while; renewed if need be. Raises: Unauthenticated."""
        assert self.signed_in is not None, "sign in first"
        if self.signed_in.until_s - monotonic() < RENEW_BEFORE_S:
            async with self._renewing:
                if self.signed_in.until_s - monotonic() < RENEW_BEFORE_S:
                    refresh_token = self.signed_in.tokens.refresh_token
                    assert refresh_token is not None
                    await self._sign(Refresh(refresh_token=refresh_token))
        return self.signed_in.tokens.access_token

    def distrust(self, access_token: str) -> None:
        """The server does not take this token any more, as after a change of rights: the next one is a new one."""
        if self.signed_in is not None and self.signed_in.tokens.access_token == access_token:
            self.signed_in.until_s = monotonic()

    async def call(self, what: Struct, *, key: str | None = None, if_version: int | None = None) -> Answer:
        """Send a command, ask a query or run a procedure.

        Args:
            key: the command's id; the same key with the same command has its effect once.
        """
        declared = BY_TYPE[type(what)]
        headers = {}
        if declared.mode is Mode.COMMAND:
            headers["Idempotency-Key"] = key or str(uuid4())
        if if_version is not None:
            headers["If-Match"] = f'"{if_version}"'
        asked = _asked(declared, what)
        if not declared.by or self.signed_in is None:
            return await self._exchange(asked, headers)
        return await self._signed(asked, headers)

    async def send(self, command: Command, *, id: str, if_version: int | None = None) -> Answer:
        """Send a command by its name, as over a socket."""
        declared = BY_TYPE[type(command)]
        envelope = {"id": id, "name": declared.name, "data": command, "if_version": if_version}
        return await self._signed(_Asked("POST", "/v1/commands", envelope, declared.reply), {})

    async def listen(self, token: str, since: str | None) -> aiohttp.ClientResponse:
        """Open the stream of one's events behind a position, for the caller to close."""
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

    async def _signed(self, asked: "_Asked", headers: dict[str, str]) -> Answer:
        """Ask as whoever is signed in, once more with a new token if the server finds this one expired."""
        token = await self.token()
        try:
            return await self._exchange(asked, headers, token)
        except Unauthenticated as error:
            if error.fields.get("reason") != "expired":
                raise
        self.distrust(token)
        return await self._exchange(asked, headers, await self.token())

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        return self._http

    async def _exchange(self, asked: "_Asked", headers: dict[str, str], token: str | None = None) -> Answer:
        if token is not None:
            headers = {**headers, "Authorization": f"Bearer {token}"}
        if asked.method == "GET":
            how: dict[str, Any] = {"params": {name: _text(value) for name, value in asked.fields.items()}}
        else:
            how = {"data": msgspec.json.encode(asked.fields)}
            headers = {**headers, "Content-Type": JSON_TYPE}
        try:
            async with self._session().request(asked.method, self.url + asked.path, headers=headers, **how) as answer:
                raw = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:  # also an answer that breaks off
            raise _lost(error) from error
        if answer.status >= HTTPStatus.BAD_REQUEST or answer.content_type != JSON_TYPE:
            raise _error(raw, answer.status)
        version = answer.headers.get("ETag")
        return Answer(
            msgspec.json.decode(raw, type=asked.reply),
            version=int(version.strip('"')) if version else None,
            replayed=answer.headers.get("Idempotency-Replayed") == "true",
        )


class _Asked(NamedTuple):
    """One request; its fields stand in the query string with GET, else in the body."""

    method: str
    path: str
    fields: dict[str, Any]
    reply: type[Struct]


def _asked(declared: Declaration, what: Struct) -> _Asked:
    """The request by the first route, with the parameters of its path in place."""
    route = declared.routes[0]
    fields: dict[str, Any] = msgspec.to_builtins(what)
    path = route.path
    for name in route.params:
        path = path.replace(f"{{{name}}}", str(fields.pop(name)))
    if isinstance(what, Query):
        fields = {name: value for name, value in fields.items() if value is not None}
    return _Asked(route.method, path, fields, declared.reply)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def was_lost(error: GuildwireError) -> bool:
    """Whether there was no answer at all, so that nobody knows what came of it."""
    return isinstance(error.__cause__, aiohttp.ClientError | TimeoutError)


def _lost(error: Exception) -> Unavailable:
    return Unavailable(reason=repr(error), retry_after_s=1.0)


def _error(raw: bytes, status: int) -> GuildwireError:
    """The protocol's error that a problem document stands for; what is none comes from something on the way."""
    try:
        problem = msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.DecodeError:
        return Unavailable(status=status, retry_after_s=1.0)
    return revive(problem.get("code", "unavailable"), problem.get("fields") or {})
