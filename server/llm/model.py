"""Calls a language model by OpenAI's library. It takes most of a second to load, so import this only if needed."""

import logging
from typing import Any

import openai
import structlog
from msgspec import DecodeError, Raw, Struct, ValidationError
from msgspec.json import Decoder
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from server.edge.adapter_error import AdapterError
from server.llm.asking import Answered, ModelFailed, Question
from server.llm.config import LlmConfig

log = structlog.get_logger(__name__)

#: The longest response, with everything around the text.
ANSWER_BYTES_MAX = 256 * 1024
#: The library's own time limit; those of the uses are shorter.
REQUEST_TIMEOUT_S = 60.0
#: Token counts of a server are cut to this.
TOKENS_MAX = 1_000_000
#: The longest pause that a server can ask for.
RETRY_AFTER_MAX_S = 3600.0
#: For a server that needs no key: the library would take one from the environment.
_NO_KEY = "none"
#: The environment could make the library log requests.
for _name in ("openai", "httpx2"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class _Message(Struct):
    content: str | None = None


class _Choice(Struct):
    message: _Message


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(Struct):
    choices: list[_Choice]
    #: Decoded separately: an invalid count does not make the response invalid.
    usage: Raw = Raw(b"{}")


_completion = Decoder(_Completion)
_usage = Decoder(_Usage)


class OpenAiModel:
    """One model of one server: one request, one response, and an error for each kind of failure.

    Raises: AdapterError, if the server's address or the key is of no use.
    """

    def __init__(self, config: LlmConfig) -> None:
        self.name = config.model
        self._address = config.base_url
        #: Until the server refuses schemas.
        self._by_schema = True
        self._client = AsyncOpenAI(
            base_url=config.base_url,
            api_key=config.api_key or _NO_KEY,
            max_retries=0,
            timeout=REQUEST_TIMEOUT_S,
            http_client=DefaultAsyncHttpxClient(follow_redirects=False, timeout=REQUEST_TIMEOUT_S),
        )
        #: Loaded now: the library loads it at first use, which would block the event loop.
        self._completions = self._client.chat.completions.with_streaming_response

    async def ask(self, question: Question) -> Answered:
        """Ask once. Raises: ModelFailed."""
        by_schema = self._by_schema
        try:
            body = await self._body(question, _with_schema(question) if by_schema else _without(question))
        except openai.APIStatusError as error:
            raise self._refused(error, by_schema=by_schema) from error
        except openai.APITimeoutError as error:
            raise ModelFailed("timeout", charged=True) from error
        except openai.APIConnectionError as error:
            raise ModelFailed("connection", again=True, charged=not _never_left(error)) from error
        except openai.OpenAIError as error:
            raise ModelFailed("malformed", again=True, charged=True) from error
        except ModelFailed:
            raise
        except Exception as error:  # the transport may raise anything while the response is read
            log.warning("llm.cut", action="again", error=type(error).__name__)
            raise ModelFailed("cut", again=True, charged=True) from error
        return _answered(body)

    async def _body(self, question: Question, form: dict[str, Any]) -> bytes:
        """Raises: OpenAIError, ModelFailed, errors of the transport."""
        async with self._completions.create(
            model=question.model,
            messages=[{"role": "system", "content": question.system}, {"role": "user", "content": question.data}],
            **form,
        ) as response:
            body = bytearray()
            async for chunk in response.iter_bytes():
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise ModelFailed("too_long", charged=True)
            return bytes(body)

    def _refused(self, error: openai.APIStatusError, *, by_schema: bool) -> ModelFailed:
        """Map a status to an error; after a refusal that the schema may have caused, the next request has none."""
        status = error.status_code
        formed = status in (400, 422)
        if formed:
            self._by_schema = not by_schema
        again = (formed and by_schema) or status >= 500 or status == 429
        return ModelFailed(f"http_{status}", again=again, after_s=_after_s(error.response.headers))

    async def check(self) -> str:
        """Check that the server lists the model; returns its name and address. Raises: AdapterError."""
        try:
            page = await self._client.models.list()
            names = [model.id for model in page.data]
        except openai.APIStatusError as error:
            raise AdapterError(f"{self._address}: http_{error.status_code}") from error
        except openai.APIConnectionError as error:
            raise AdapterError(f"{self._address}: {_cause(error)}") from error
        except (openai.OpenAIError, AttributeError, TypeError, ValueError) as error:
            raise AdapterError(f"{self._address}: this is no API of OpenAI's form") from error
        if self.name not in names:
            raise AdapterError(f"{self._address}: there is no model {self.name}")
        return f"{self.name} at {self._address}"

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _with_schema(question: Question) -> dict[str, Any]:
    schema = {"name": question.schema_name, "schema": question.schema, "strict": True}
    return {
        "response_format": {"type": "json_schema", "json_schema": schema},
        "max_completion_tokens": question.output_tokens_max,
    }


def _without(question: Question) -> dict[str, Any]:
    """For servers without schemas; the response is decoded and checked in any case."""
    return {"max_tokens": question.output_tokens_max}


def _answered(body: bytes) -> Answered:
    """Raises: ModelFailed."""
    try:
        completion = _completion.decode(body)
    except (DecodeError, ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise ModelFailed("malformed", again=True, charged=True) from error
    content = completion.choices[0].message.content if completion.choices else None
    if not content:
        raise ModelFailed("empty", again=True, charged=True)
    try:
        usage = _usage.decode(completion.usage)
    except (DecodeError, ValidationError, RecursionError):
        usage = _Usage()
    return Answered(
        content=content, tokens_in=_counted(usage.prompt_tokens), tokens_out=_counted(usage.completion_tokens)
    )


def _counted(tokens: int | None) -> int | None:
    return None if tokens is None else min(max(tokens, 0), TOKENS_MAX)


def _never_left(error: openai.APIConnectionError) -> bool:
    """Whether the connection failed before anything was sent."""
    return type(error.__cause__).__name__ in ("ConnectError", "ConnectTimeout")


def _cause(error: openai.APIConnectionError) -> str:
    return "timeout" if isinstance(error, openai.APITimeoutError) else type(error.__cause__ or error).__name__


def _after_s(headers: Any) -> float | None:
    """``Retry-After`` in seconds; a date is ignored."""
    try:
        after_s = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return min(after_s, RETRY_AFTER_MAX_S) if after_s > 0 else None
