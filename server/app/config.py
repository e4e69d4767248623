"""Configuration: ``config.toml``, each key overridden by ``GUILDWIRE_<SECTION>__<KEY>``; secrets also by ``…_FILE``.

Composed of the sections that each part declares. Validated at start: an unknown key or an invalid value is refused
with its name.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_origin

import msgspec

from server.accounts.config import AuthConfig
from server.delivery.config import DeliveriesConfig, EmailConfig, PushConfig, SmsConfig
from server.edge.config import ConfigError, DevConfig, LimitsConfig, Section, ServerConfig
from server.llm.config import LlmConfig
from server.ops.config import DatabaseConfig, JobsConfig, LogConfig, RetentionConfig
from server.payments.config import PaymentsConfig

PREFIX = "GUILDWIRE_"
#: Suffix of a variable that names a file with the value.
FILE_SUFFIX = "_file"

_UNKNOWN_FIELD = re.compile("Object contains unknown field `(.*)`")


class RedisConfig(Section, frozen=True, kw_only=True):
    """[redis]: the bus between several nodes. A single process needs none."""

    url: str = ""


class Config(Section, frozen=True, kw_only=True):
    """The whole configuration."""

    server: ServerConfig = ServerConfig()
    database: DatabaseConfig = DatabaseConfig()
    redis: RedisConfig = RedisConfig()
    auth: AuthConfig = AuthConfig()
    payments: PaymentsConfig = PaymentsConfig()
    email: EmailConfig = EmailConfig()
    push: PushConfig = PushConfig()
    sms: SmsConfig = SmsConfig()

    llm: LlmConfig = LlmConfig()
    jobs: JobsConfig = JobsConfig()
    retention: RetentionConfig = RetentionConfig()
    limits: LimitsConfig = LimitsConfig()
    deliveries: DeliveriesConfig = DeliveriesConfig()
    dev: DevConfig = DevConfig()
    log: LogConfig = LogConfig()

    @property
    def public_url(self) -> str:
        """The address under which clients reach the server, without a slash at the end."""
        return self.server.url

    def check(self) -> None:
        """Check each section, and the sections against each other. Raises: ConfigError."""
        for name in self.__struct_fields__:
            section: Section = getattr(self, name)
            section.check()
        if self.dev.enabled and not self.server.is_local and not self.dev.allow_non_loopback:
            raise ConfigError(
                f"dev.enabled: not on {self.server.public_url or self.server.host or 'all addresses'}, which others can"
                " reach;"
                " set dev.enabled = false, or dev.allow_non_loopback = true if that is intended"
            )


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read and check the configuration: defaults, then the file, then the environment. Raises: ConfigError."""
    tables = _read(path)
    variables = _override(tables, environ)
    try:
        config = msgspec.convert(tables, Config, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error), variables)) from error
    config.check()
    return config


def _read(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def _override(tables: dict[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Put the environment's values into the tables; returns key → variable."""
    variables: dict[str, str] = {}
    for name, text in environ.items():
        if not (name.startswith(PREFIX) and "__" in name):
            continue
        section, key = name.removeprefix(PREFIX).lower().split("__", 1)
        value = _read_secret(name, text) if key.endswith(FILE_SUFFIX) else text
        key = key.removesuffix(FILE_SUFFIX)
        if f"{section}.{key}" in variables:
            raise ConfigError(f"{section}.{key}: both {variables[f'{section}.{key}']} and {name} are set")
        variables[f"{section}.{key}"] = name
        table = tables.setdefault(section, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{section}: is a section, not a value")
        table[key] = _split(value) if _is_list(section, key) else value
    return variables


def _read_secret(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{name}: {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{name}: {path} is not UTF-8 text") from error


def _is_list(section: str, key: str) -> bool:
    """Whether the key holds a list; in the environment, commas separate its items."""
    sections = {field.name: field.type for field in msgspec.structs.fields(Config)}
    fields = msgspec.structs.fields(sections[section]) if section in sections else ()
    return any(field.name == key and get_origin(field.type) is tuple for field in fields)


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _explain(message: str, variables: Mapping[str, str]) -> str:
    """Turn msgspec's ``… - at `$.server.port` `` into ``server.port: …``, with the variable that set it, if any."""
    text, _, at = message.partition(" - at `$.")
    key = at.rstrip("`").partition("[")[0]
    if unknown := _UNKNOWN_FIELD.fullmatch(text):
        key, text = f"{key}.{unknown[1]}".lstrip("."), "there is no such key" if key else "there is no such section"
    variable = f" ({variables[key]})" if key in variables else ""
    return f"{key}{variable}: {text}"
