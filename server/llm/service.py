"""Asks a language model for a use, within time, budget and turns; whoever asks can do without an answer."""

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

#: A question is put so often at most, all within its time.
TRIES_MAX = 2
#: The wait before it is put again.
AGAIN_AFTER_S = 0.05
#: How long an answer that is there may wait for being kept.
KEEP_TIMEOUT_S = 0.1
#: The clock of timers may be off by so much.
TIMER_MARGIN_S = 0.01
#: For each turn so many may wait.
WAITING_PER_TURN_MAX = 4
#: Tokens that a server may add to what was written: roles, and marks around messages.
OVERHEAD_TOKENS_MAX = 64

#: Words of JSON Schema that not every server takes.
_UNTOLD = frozenset({"title", "description", "minLength", "maxLength", "minItems", "maxItems"})

T = TypeVar("T", bound=Struct)


@dataclass(frozen=True, slots=True)
class Use(Generic[T]):
    """One thing that the model is asked for."""

    name: str
    prompt: Prompt
    answer: type[T]
    #: How long all of it may take, in seconds.
    timeout_s: float
    output_tokens_max: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked, for whom."""

    user_id: UserId
    #: The prompt's fixed words.
    words: dict[str, str]
    #: What the answer follows from, such as the last message's id: with another one, the answer is another.
    about: str
    #: What people wrote, and only as much as the use needs. All text in it is redacted before it leaves.
    data: Struct


class NoAnswer(Exception):
    """Local rules answer; ``reason`` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LanguageModel:
    """The model, as whoever uses it sees it: an answer, or none.

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

    async def ask(self, use: Use[T], wish: Wish) -> T | None:
        """The model's answer, decoded and of the use's type; None: there is none, and local rules must do."""
        answer: T | None = None
        try:
            async with asyncio.timeout(min(use.timeout_s, self._config.timeout_s)) as bound:
                question = self._question(use, wish)
                key = _key(use, wish, question)
                answer, by = await self._cached(use, key), "cache"
                if answer is None:
                    answer, by = await self._in_turn(use, wish, question, bound.when() or 0.0), "model"
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

    def _question(self, use: Use[Any], wish: Wish) -> Question:
        """What goes out; nothing that people wrote leaves without being redacted here. Raises: NoAnswer."""
        if self._model is None:
            raise NoAnswer("off")
        return Question(
            model=self._model.name,
            system=use.prompt.text(**wish.words),
            data=msgspec.json.encode(_redacted(msgspec.to_builtins(wish.data))).decode(),
            schema=_schema(use.answer),
            schema_name=use.name,
            output_tokens_max=use.output_tokens_max,
        )

    # Answers that were given before

    async def _cached(self, use: Use[T], key: bytes) -> T | None:
        """Raises: whatever the database raises."""
        kept = await cached_answer(self._pool, key, self._now())
        return None if kept is None else _decoded(use.answer, kept)

    async def _keep(self, key: bytes, answer: Struct) -> None:
        """Keep it for the next time, if the database is quick about it: the answer is there already."""
        expires_at = self._now() + timedelta(seconds=self._config.cache_s)
        with suppress(*UNWRITABLE):
            async with asyncio.timeout(KEEP_TIMEOUT_S):
                await keep_answer(self._pool, key, msgspec.json.encode(answer), expires_at)

    # Asking

    async def _in_turn(self, use: Use[T], wish: Wish, question: Question, until: float) -> T:
        """Raises: NoAnswer."""
        if self._waiting >= self._config.at_once * WAITING_PER_TURN_MAX:
            raise NoAnswer("busy")
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._tries(use, wish, question, until)
        finally:
            self._turns.release()

    async def _tries(self, use: Use[T], wish: Wish, question: Question, until: float) -> T:
        """Raises: NoAnswer."""
        for left in range(TRIES_MAX - 1, -1, -1):
            try:
                answered = await self._paid(use, wish.user_id, question, until)
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
        """Ask once, within the user's budget: what it may cost is taken before, and corrected by what it did cost.

        Whatever cannot be known, because the answer was cut off or the time was up, counts as spent.
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
        era, began_s, outcome = self.breaker.begin(), monotonic(), "abandoned"
        try:
            answered = await self._model.ask(question)
            outcome = "ok"
            self.breaker.succeeded()
            return answered
        except ModelFailed as failed:
            outcome = failed.reason
            self.breaker.failed(era)
            if failed.after_s is not None:
                self.breaker.pause(failed.after_s)
            raise
        except asyncio.CancelledError:
            if asyncio.get_running_loop().time() >= until - TIMER_MARGIN_S:
                outcome = "timeout"
                self.breaker.failed(era)
            raise
        finally:
            self.breaker.dropped(era)
            self.figures.called(use.name, outcome, monotonic() - began_s)

    def _cost(self, tokens_in: int, tokens_out: int) -> int:
        """In millionths of a dollar, rounded up."""
        config = self._config
        return ceil(tokens_in * config.input_token_microdollars + tokens_out * config.output_token_microdollars)


def model_of(config: LlmConfig) -> Model | None:
    """The configured model; None: none is."""
    if not config.base_url:
        return None
    from server.llm.model import OpenAiModel  # noqa: PLC0415  # most of a second, for those who have one

    return OpenAiModel(config)


def _redacted(value: Any) -> Any:
    """The same with contacts replaced in every text."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {name: _redacted(inner) for name, inner in value.items()}
    return [_redacted(inner) for inner in value] if isinstance(value, list) else value


def _key(use: Use[Any], wish: Wish, question: Question) -> bytes:
    """What an answer depends on. The reader is no part of it but by what is asked, which says what they are."""
    parts = [use.name, use.prompt.name, question.model, wish.about, question.system, question.data]
    return sha256(msgspec.json.encode(parts)).digest()


def _tokens_max(question: Question) -> int:
    """No tokenizer that works on bytes makes more tokens than there are bytes."""
    texts = (question.system, question.data, msgspec.json.encode(question.schema).decode())
    return sum(len(text.encode()) for text in texts) + OVERHEAD_TOKENS_MAX


def _schema(type_: type[Struct]) -> dict[str, Any]:
    """The form of an answer as the API wants it: the object itself at the top."""
    _, components = schema_components([type_], ref_template="#/$defs/{name}")
    top = components.pop(type_.__name__)
    bare: dict[str, Any] = _bare({**top, "$defs": components} if components else top)
    return bare


def _bare(schema: Any) -> Any:
    """The same without what the API does not know; what it leaves out, decoding still checks."""
    if isinstance(schema, dict):
        return {name: _bare(inner) for name, inner in schema.items() if name not in _UNTOLD}
    return [_bare(inner) for inner in schema] if isinstance(schema, list) else schema


def _decoded(type_: type[T], content: bytes) -> T | None:
    """An answer of that very type, or none; a fence around it, as models like to put, is taken off."""
    text = content.strip()
    if text.startswith(b"```") and text.endswith(b"```"):
        text = text.removesuffix(b"```").partition(b"\n")[2]
    try:
        return Decoder(type_, strict=True).decode(text)
    except (DecodeError, ValidationError, UnicodeDecodeError, RecursionError):
        return None
