"""Configuration: ``config.toml``, each key overridden by ``GUILDWIRE_<SECTION>__<KEY>``; secrets also by ``…_FILE``.

Validated at start: an unknown key or a value that does not fit is refused with its name.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

PREFIX = "GUILDWIRE_"
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[int, Meta(ge=1)]


class ConfigError(Exception):
    """The configuration does not fit; the message names the key."""


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of config.toml."""


class ServerConfig(Section, frozen=True, kw_only=True):
    """[server]: where it listens and keeps its files."""

    host: str = "127.0.0.1"
    #: 0 takes a free one, which is printed and written to ``<data_dir>/address``.
    port: Port = 8080
    data_dir: str = "var"
    #: How the outside reaches the server; empty: http://host:port.
    public_url: str = ""
    #: Origins whose scripts may call and connect; ``*`` for all. The server's own address always may.
    allowed_origins: tuple[str, ...] = ()
    #: Networks whose X-Forwarded-For is believed.
    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    #: How long open requests and sockets may take to finish when the server stops.
    drain_s: Seconds = 10


class DatabaseConfig(Section, frozen=True, kw_only=True):
    """[database]: which Postgres; the embedded one if no URL is given."""

    url: str = ""
    pool_max: Annotated[int, Meta(ge=2, le=100)] = 10
    #: Connections that commit; 1 serves most, chat gains from 2.
    committers: Annotated[int, Meta(ge=1, le=8)] = 1


class AuthConfig(Section, frozen=True, kw_only=True):
    """[auth]: lifetimes of tokens."""

    access_token_s: Seconds = 600
    refresh_token_s: Seconds = 30 * 24 * 3600


class PaymentsConfig(Section, frozen=True, kw_only=True):
    """[payments]: the gateway's shared secrets, newest first; made at first start for the sandbox if there are none."""

    webhook_secrets: tuple[str, ...] = ()


class LimitsConfig(Section, frozen=True, kw_only=True):
    """[limits]: sustained rates; short bursts may go to twice that."""

    commands_per_s: Annotated[float, Meta(gt=0)] = 50.0
    queries_per_s: Annotated[float, Meta(gt=0)] = 100.0
    requests_per_address_per_s: Annotated[float, Meta(gt=0)] = 200.0
    connections_per_user: Annotated[int, Meta(ge=1, le=1000)] = 10


class DevConfig(Section, frozen=True, kw_only=True):
    """[dev]: demo data, sandbox gateway, the movable clock. Never on a public address."""

    enabled: bool = False
    demo_data: bool = True
    #: Says that you know what you do when the host is not loopback.
    allow_non_loopback: bool = False


class LogConfig(Section, frozen=True, kw_only=True):
    """[log]"""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class Config(Section, frozen=True, kw_only=True):
    """All of it."""

    server: ServerConfig = ServerConfig()
    database: DatabaseConfig = DatabaseConfig()
    auth: AuthConfig = AuthConfig()
    payments: PaymentsConfig = PaymentsConfig()
    limits: LimitsConfig = LimitsConfig()
    dev: DevConfig = DevConfig()
    log: LogConfig = LogConfig()

    @property
    def public_url(self) -> str:
        """How the outside reaches the server, without a slash at the end."""
        if self.server.public_url:
            return self.server.public_url.rstrip("/")
        host = f"[{self.server.host}]" if ":" in self.server.host else self.server.host
        return f"http://{host}:{self.server.port}"


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read and check the configuration. Raises: ConfigError."""
    tables = _read(path)
    for name, value in environ.items():
        if name.startswith(PREFIX) and "__" in name:
            _override(tables, name, value)
    try:
        config = msgspec.convert(tables, Config, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(_named(str(error))) from error
    if config.dev.enabled and config.server.host not in LOOPBACK_HOSTS and not config.dev.allow_non_loopback:
        raise ConfigError(
            f"dev.enabled: not on {config.server.host}, which others can reach; see dev.allow_non_loopback"
        )
    return config


def _read(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from error


def _override(tables: dict[str, Any], name: str, value: str) -> None:
    """Put one environment variable in its place."""
    section, key = name.removeprefix(PREFIX).lower().split("__", 1)
    if key.endswith("_file"):
        key = key.removesuffix("_file")
        try:
            value = Path(value).read_text().strip()
        except OSError as error:
            raise ConfigError(f"{name}: {value}: {error.strerror}") from error
    field = _field_type(section, key)
    parsed: Any = [part.strip() for part in value.split(",") if part.strip()] if field == "list" else value
    tables.setdefault(section, {})[key] = parsed


def _field_type(section: str, key: str) -> str:
    """Whether the key holds a list (comma-separated in the environment)."""
    sections = {field.name: field.type for field in msgspec.structs.fields(Config)}
    fields = (
        {field.name: field.type for field in msgspec.structs.fields(sections[section])} if section in sections else {}
    )
    return "list" if "tuple" in str(fields.get(key, "")) else "value"


def _named(message: str) -> str:
    """msgspec says ``… - at `$.server.port` ``; operators want ``server.port: …``."""
    text, _, at = message.partition(" - at `$.")
    return f"{at.rstrip('`')}: {text}" if at else text
