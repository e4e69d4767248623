"""Calls a language model for a use, with a time limit, a budget and bounded concurrency; callers can do without."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from math import ceil
from time import monotonic
from typing import Any, Generic, TypeVar

import msgspec
import structlog
from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder, schema_components

from actors.rules.contact_data import redacted
from protocol.ids import UserId
from server.edge.breaker import Breaker
from server.llm.asking import Answered, Model, ModelFailed, Question
from server.llm.config import LlmConfig
from server.llm.figures import LlmFigures
from server.llm.prompts import Prompt
from storage.database import UNWRITABLE, Pool
from storage.llm import cached_answer, correct_budget, keep_answer, take_budget

log = structlog.get_logger(__name__)

#: Attempts of one request, all within its time limit.
TRIES_MAX = 2
#: The wait before the next attempt.
AGAIN_AFTER_S = 0.05
#: How long storing a response in the cache may delay it.
KEEP_TIMEOUT_S = 0.1
#: Precision of the clock of timers.
TIMER_MARGIN_S = 0.01
#: Requests that may wait for each concurrent one.
WAITING_PER_TURN_MAX = 4
#: Tokens that a server may add to the text: roles, and marks around messages.
OVERHEAD_TOKENS_MAX = 64

#: Keywords of JSON Schema that not every server supports.
_UNSUPPORTED = frozenset({"title", "description", "minLength", "maxLength", "minItems", "maxItems"})

T = TypeVar("T", bound=Struct)


@dataclass(frozen=True, slots=True)
class Use(Generic[T]):
    """One purpose that the model is called for."""

    name: str
    prompt: Prompt
    answer: type[T]
    #: The time limit of all attempts together, in seconds.
    timeout_s: float
    output_tokens_max: int


@dataclass(frozen=True, slots=True)
class UseRequest:
    """The request of a use, for one user."""

    user_id: UserId
    #: The parameters of the prompt.
    words: dict[str, str]
    #: What the response depends on, such as the last message's id: part of the cache key.
    about: str
    #: What people wrote, and only as much as the use needs. All text in it is redacted before it leaves.
    data: Struct


class NoAnswer(Exception):
    """There is no response, and local rules apply; ``reason`` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LanguageModel:
    """The model as its callers see it: it responds, or it does not.

    Args:
        model: None: none is configured.
        now: the domain's clock.
    """

    def __init__(self, model: Model | None, config: LlmConfig, pool: Pool, now: Callable[[], datetime]) -> None:
        self._model = model
        self._config = config
        self._pool = pool
        self._now = now
        self._turns = asyncio.Semaphore(config.at_once)
        self._waiting = 0
        self.breaker = Breaker(monotonic)
        self.figures = LlmFigures(lambda: self.breaker.wait_s > 0)

    async def ask(self, use: Use[T], request: UseRequest) -> T | None:
        """Ask for a response of the use's type; None if there is none, and local rules apply."""
        answer: T | None = None
        try:
            async with asyncio.timeout(min(use.timeout_s, self._config.timeout_s)) as bound:
                question = self._question(use, request)
                key = _key(use, request, question)
                answer, by = await self._cached(use, key), "cache"
                if answer is None:
                    answer, by = await self._in_turn(use, request, question, bound.when() or 0.0), "model"
            if by == "model":
                await self._keep(key, answer)
        except NoAnswer as none:
            by = none.reason
        except TimeoutError:
            by = "timeout"
        except UNWRITABLE as error:
            by = "database"
            log.warning("llm.no_database", action="local_rules", use=use.name, error=repr(error))
        except Exception as error:
            by = "internal"
            log.exception("llm.crashed", action="local_rules", use=use.name, error=type(error).__name__)
        self.figures.answered(use.name, by)
        return answer

    def _question(self, use: Use[Any], request: UseRequest) -> Question:
        """Make the request; all text that people wrote is redacted here. Raises: NoAnswer."""
        if self._model is None:
            raise NoAnswer("off")
        return Question(
            model=self._model.name,
            system=use.prompt.text(**request.words),
            data=msgspec.json.encode(_redacted(msgspec.to_builtins(request.data))).decode(),
            schema=_schema(use.answer),
            schema_name=use.name,
            output_tokens_max=use.output_tokens_max,
        )

    # Cached responses

    async def _cached(self, use: Use[T], key: bytes) -> T | None:
        """Raises: errors of the database."""
        kept = await cached_answer(self._pool, key, self._now())
        return None if kept is None else _decoded(use.answer, kept)

    async def _keep(self, key: bytes, answer: Struct) -> None:
        """Store a response in the cache, unless the database is slow."""
        expires_at = self._now() + timedelta(seconds=self._config.cache_s)
        with suppress(*UNWRITABLE):
            async with asyncio.timeout(KEEP_TIMEOUT_S):
                await keep_answer(self._pool, key, msgspec.json.encode(answer), expires_at)

    # Calling the model

    async def _in_turn(self, use: Use[T], request: UseRequest, question: Question, until: float) -> T:
        """Raises: NoAnswer."""
        if self._waiting >= self._config.at_once * WAITING_PER_TURN_MAX:
            raise NoAnswer("busy")
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._tries(use, request, question, until)
        finally:
            self._turns.release()

    async def _tries(self, use: Use[T], request: UseRequest, question: Question, until: float) -> T:
        """Raises: NoAnswer."""
        for left in range(TRIES_MAX - 1, -1, -1):
            try:
                answered = await self._paid(use, request.user_id, question, until)
                answer = _decoded(use.answer, answered.content.encode())
                if answer is not None:
                    return answer
                raise ModelFailed("wrong_shape", again=True)
            except ModelFailed as failed:
                if not (failed.again and left) or failed.after_s is not None:
                    raise NoAnswer(failed.reason) from failed
            await asyncio.sleep(AGAIN_AFTER_S)
        raise AssertionError("the last try ends it")

    async def _paid(self, use: Use[T], user_id: UserId, question: Question, until: float) -> Answered:
        """Call once, within the user's budget: reserve the highest possible cost, then correct it by the actual one.

        A cost that is unknown, after a timeout or a broken response, counts as spent.
        Raises: NoAnswer, ModelFailed.
        """
        if self.breaker.wait_s > 0:
            raise NoAnswer("let_alone")
        day, tokens_in, tokens_out = self._now().date(), _tokens_max(question), question.output_tokens_max
        most = self._cost(tokens_in, tokens_out)
        if not await take_budget(self._pool, user_id, day, most, self._config.user_day_microdollars):
            raise NoAnswer("budget")
        try:
            answered = await self._asked(use, question, until)
        except (ModelFailed, asyncio.CancelledError) as error:
            if isinstance(error, ModelFailed) and not error.charged:
                await correct_budget(self._pool, user_id, day, -most)
            else:
                self.figures.cost(use.name, tokens_in, tokens_out, most)
            raise
        tokens_in = tokens_in if answered.tokens_in is None else answered.tokens_in
        tokens_out = tokens_out if answered.tokens_out is None else answered.tokens_out
        spent = self._cost(tokens_in, tokens_out)
        self.figures.cost(use.name, tokens_in, tokens_out, spent)
        await correct_budget(self._pool, user_id, day, spent - most)
        return answered

    async def _asked(self, use: Use[T], question: Question, until: float) -> Answered:
        """Raises: ModelFailed."""
        assert self._model is not None
        if self.breaker.wait_s > 0:
            raise ModelFailed("let_alone")
        generation, began_s, outcome = self.breaker.begin(), monotonic(), "abandoned"
        try:
            answered = await self._model.ask(question)
            outcome = "ok"
            self.breaker.succeeded()
            return answered
        except ModelFailed as failed:
            outcome = failed.reason
            self.breaker.failed(generation)
            if failed.after_s is not None:
                self.breaker.pause(failed.after_s)
            raise
        except asyncio.CancelledError:
            if asyncio.get_running_loop().time() >= until - TIMER_MARGIN_S:
                outcome = "timeout"
                self.breaker.failed(generation)
            raise
        finally:
            self.breaker.dropped(generation)
            self.figures.called(use.name, outcome, monotonic() - began_s)

    def _cost(self, tokens_in: int, tokens_out: int) -> int:
        """In millionths of a dollar, rounded up."""
        config = self._config
        return ceil(tokens_in * config.input_token_microdollars + tokens_out * config.output_token_microdollars)


def model_of(config: LlmConfig) -> Model | None:
    """The configured model; None: none is."""
    if not config.base_url:
        return None
    from server.llm.model import OpenAiModel  # noqa: PLC0415  # takes most of a second, so only if there is a model

    return OpenAiModel(config)


def _redacted(value: Any) -> Any:
    """The same with contacts replaced in every text."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {name: _redacted(inner) for name, inner in value.items()}
    return [_redacted(inner) for inner in value] if isinstance(value, list) else value


def _key(use: Use[Any], request: UseRequest, question: Question) -> bytes:
    """The cache key: all that the response depends on. Of the reader that is the role, which ``data`` has."""
    parts = [use.name, use.prompt.name, question.model, request.about, question.system, question.data]
    return sha256(msgspec.json.encode(parts)).digest()


def _tokens_max(question: Question) -> int:
    """An upper bound: tokenizers of bytes make no more tokens than there are bytes."""
    texts = (question.system, question.data, msgspec.json.encode(question.schema).decode())
    return sum(len(text.encode()) for text in texts) + OVERHEAD_TOKENS_MAX


def _schema(type_: type[Struct]) -> dict[str, Any]:
    """The schema of a response as the API expects it: the object itself at the top."""
    _, components = schema_components([type_], ref_template="#/$defs/{name}")
    top = components.pop(type_.__name__)
    bare: dict[str, Any] = _bare({**top, "$defs": components} if components else top)
    return bare


def _bare(schema: Any) -> Any:
    """The schema without unsupported keywords; decoding still checks them."""
    if isinstance(schema, dict):
        return {name: _bare(inner) for name, inner in schema.items() if name not in _UNSUPPORTED}
    return [_bare(inner) for inner in schema] if isinstance(schema, list) else schema


def _decoded(type_: type[T], content: bytes) -> T | None:
    """Decode a response; None if it does not fit. A Markdown fence around it is removed."""
    text = content.strip()
    if text.startswith(b"```") and text.endswith(b"```"):
        text = text.removesuffix(b"```").partition(b"\n")[2]
    try:
        return Decoder(type_, strict=True).decode(text)
    except (DecodeError, ValidationError, UnicodeDecodeError, RecursionError):
        return None
