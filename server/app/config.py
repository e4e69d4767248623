"""Configuration: ``config.toml``, each key overridden by ``GUILDWIRE_<SECTION>__<KEY>``; secrets also by ``…_FILE``.

Validated at start: an unknown key or a value that does not fit is refused with its name.
"""

import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

import msgspec
from email_validator import EmailNotValidError, validate_email
from msgspec import Meta, Struct

from protocol.delivery.terms import ATTEMPTS_MAX

PREFIX = "GUILDWIRE_"
#: At the end of a variable: the value is in the file that it names.
FILE_SUFFIX = "_file"

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[int, Meta(ge=1)]
#: 0 for no bound.
PerSecond = Annotated[float, Meta(ge=0)]
Days = Annotated[int, Meta(ge=1, le=36_500)]
TimeOfDay = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
HttpUrl = Annotated[str, Meta(pattern=r"^(https?://[^/\s]+.*)?$")]
PostgresUrl = Annotated[str, Meta(pattern=r"^(postgres(ql)?://.*)?$")]

_UNKNOWN_FIELD = re.compile("Object contains unknown field `(.*)`")


class ConfigError(Exception):
    """The configuration does not fit; the message names the key."""


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of config.toml."""


class ServerConfig(Section, frozen=True, kw_only=True):
    """[server]: where it listens and keeps its files."""

    host: str = "127.0.0.1"
    #: 0 takes a free one, which is printed and written to ``<data_dir>/running.json``.
    port: Port = 8080
    data_dir: str = "var"
    #: How the outside reaches the server; empty: http://host:port.
    public_url: HttpUrl = ""
    #: Origins whose scripts may call and connect; ``*`` for all. The server's own address always may.
    allowed_origins: tuple[str, ...] = ()
    #: Networks whose X-Forwarded-For is believed.
    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    #: How long open requests and sockets may take to finish when the server stops.
    drain_s: Seconds = 10


class DatabaseConfig(Section, frozen=True, kw_only=True):
    """[database]: which Postgres; the embedded one if no URL is given."""

    url: PostgresUrl = ""
    pool_max: Annotated[int, Meta(ge=2, le=100)] = 10
    #: Connections that commit; 1 serves most, chat gains from 2.
    committers: Annotated[int, Meta(ge=1, le=8)] = 1


class RedisConfig(Section, frozen=True, kw_only=True):
    """[redis]: the bus between several nodes. One process serves alone and needs none."""

    url: str = ""


class AuthConfig(Section, frozen=True, kw_only=True):
    """[auth]: lifetimes of tokens."""

    access_token_s: Seconds = 600
    refresh_token_s: Seconds = 30 * 24 * 3600


class PaymentsConfig(Section, frozen=True, kw_only=True):
    """[payments]: the gateway's shared secrets, newest first; made at first start for the sandbox if there are none."""

    webhook_secrets: tuple[str, ...] = ()


class EmailConfig(Section, frozen=True, kw_only=True):
    """[email]: the mail server that takes our letters."""

    #: Empty: there is none. In development letters are kept then, otherwise there are none.
    host: str = ""
    port: Annotated[int, Meta(ge=1, le=65535)] = 587
    #: How the connection is encrypted: ``starttls`` (usually port 587), ``tls`` from the start (465), or not at all.
    security: Literal["starttls", "tls", "none"] = "starttls"
    #: File with certificates that the server's own is held against; empty: those that the system trusts.
    ca_path: str = ""
    #: Empty: without signing in.
    username: str = ""
    password: str = ""
    #: Whom letters come from.
    from_address: str = ""
    from_name: str = "Guildwire"


class PushConfig(Section, frozen=True, kw_only=True):
    """[push]: messages to telephones and browsers."""

    #: The file with a service account of Firebase, as its console gives it. Empty: telephones get nothing; in
    #: development what they would get is kept.
    fcm_credentials: str = ""
    #: How push services of browsers reach the operator: mailto: or https:; empty: the public URL, if it is https.
    vapid_subject: Annotated[str, Meta(pattern=r"^((mailto:|https://).+)?$")] = ""
    #: Browsers may name push services at private addresses, and without TLS.
    private_endpoints: bool = False


class LlmConfig(Section, frozen=True, kw_only=True):
    """[llm]: a language model behind an API of OpenAI's form. Without one, local rules answer."""

    #: Like ``https://api.openai.com/v1``. Empty: nothing is ever sent to a model.
    base_url: HttpUrl = ""
    model: str = ""
    #: Empty: the server wants none.
    api_key: str = ""
    #: The longest that anything may wait for an answer; smart replies wait 1.8 s at most.
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 10.0
    #: Questions of this node under way at once.
    at_once: Annotated[int, Meta(ge=1, le=256)] = 8
    #: An answer is given again for so long.
    cache_s: Annotated[int, Meta(ge=1, le=86_400)] = 3600
    #: What a user may cost on a day (UTC), in millionths of a dollar.
    user_day_microdollars: Annotated[int, Meta(ge=0)] = 20_000
    #: Prices, in millionths of a dollar for a token: the same figure as dollars for a million tokens.
    input_token_microdollars: Annotated[float, Meta(ge=0)] = 0.15
    output_token_microdollars: Annotated[float, Meta(ge=0)] = 0.6


class SmsConfig(Section, frozen=True, kw_only=True):
    """[sms]: short messages by Twilio."""

    #: Empty: there is none. In development messages are kept then, otherwise there are none.
    account_sid: Annotated[str, Meta(pattern=r"^(AC[0-9a-f]{32})?$")] = ""
    auth_token: str = ""
    #: Whom messages come from: a number in E.164, or a Messaging Service, which wins.
    from_number: Annotated[str, Meta(pattern=r"^(\+[0-9]{5,15}|[A-Za-z0-9 ]{1,11})?$")] = ""
    messaging_service_sid: Annotated[str, Meta(pattern=r"^(MG[0-9a-f]{32})?$")] = ""
    #: Another region, such as https://api.dublin.ie1.twilio.com; empty: https://api.twilio.com.
    base_url: HttpUrl = ""
    #: Countries whose numbers get codes, like DE; empty: all. Each SMS costs, and some numbers earn on it.
    countries: tuple[Annotated[str, Meta(pattern="^[A-Z]{2}$")], ...] = ()
    #: A number that WhatsApp knows; empty: nothing goes over WhatsApp.
    whatsapp_from: Annotated[str, Meta(pattern=r"^(\+[0-9]{5,15})?$")] = ""
    #: The approved template whose one variable is the text. Empty: free text, for who wrote within a day only.
    whatsapp_content_sid: Annotated[str, Meta(pattern=r"^(HX[0-9a-f]{32})?$")] = ""


class JobsConfig(Section, frozen=True, kw_only=True):
    """[jobs]: work in the background."""

    #: When nightly work begins: a time of day in UTC, ``HH:MM``.
    nightly_at: TimeOfDay = "03:17"


class RetentionConfig(Section, frozen=True, kw_only=True):
    """[retention]: how long what is not for good is kept, in days."""

    #: A client that was away for longer starts afresh.
    inbox_days: Days = 30
    #: A command that is retried later is decided anew.
    command_log_days: Days = 7
    #: Webhooks of payment gateways that changed nothing.
    unmatched_webhooks_days: Days = 90
    #: What was sent, skipped or is dead, and the mailbox of development.
    deliveries_days: Days = 30
    #: Notifications that were read, and those that never were, with what admins wrote.
    notifications_read_days: Days = 90
    notifications_unread_days: Days = 365
    #: Journals of actors at rest for longer move to the archive; 0 for never.
    journal_days: Annotated[int, Meta(ge=0, le=36_500)] = 400


class LimitsConfig(Section, frozen=True, kw_only=True):
    """[limits]: sustained rates, of which four seconds' worth may come at once, and numbers of connections."""

    commands_per_s: Annotated[float, Meta(gt=0)] = 50.0
    #: Whether commands that declare a rate of their own, as bookings and messages do, are held to it.
    command_rates: bool = True
    queries_per_s: Annotated[float, Meta(gt=0)] = 100.0
    requests_per_address_per_s: Annotated[float, Meta(gt=0)] = 200.0
    connections_per_user: Annotated[int, Meta(ge=1, le=1000)] = 10
    #: Sockets, event streams and polls of one address (of an IPv6 network of 64 bits), and of this node.
    connections_per_address: Annotated[int, Meta(ge=1)] = 500
    connections: Annotated[int, Meta(ge=1)] = 50_000


class DeliveriesConfig(Section, frozen=True, kw_only=True):
    """[deliveries]: e-mail, push and SMS on their way out."""

    #: Calls to one provider under way at once; one more is kept for what is critical.
    at_once: Annotated[int, Meta(ge=1, le=64)] = 4
    #: Messages a second of this node, as the provider's contract allows; 0 for as many as there are.
    email_per_s: PerSecond = 20.0
    push_per_s: PerSecond = 500.0
    web_push_per_s: PerSecond = 200.0
    sms_per_s: PerSecond = 10.0
    whatsapp_per_s: PerSecond = 10.0
    #: What failed so often is dead: an admin sees it, and may have it sent again.
    attempts_max: Annotated[int, Meta(ge=1, le=1000)] = ATTEMPTS_MAX
    #: What a server that died had in its hands is tried again after this; half of it is a provider's time to answer.
    lease_s: Annotated[int, Meta(ge=4, le=3600)] = 120


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
        """How the outside reaches the server, without a slash at the end."""
        if self.server.public_url:
            return self.server.public_url.rstrip("/")
        host = f"[{self.server.host}]" if ":" in self.server.host else self.server.host
        return f"http://{host}:{self.server.port}"


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read and check the configuration: defaults, then the file, then the environment. Raises: ConfigError."""
    tables = _read(path)
    variables = _override(tables, environ)
    try:
        config = msgspec.convert(tables, Config, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error), variables)) from error
    _check(config)
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
    """Put the environment's values into the tables; return which variable set which key."""
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
    """Whether the key holds a list, which the environment writes with commas."""
    sections = {field.name: field.type for field in msgspec.structs.fields(Config)}
    fields = msgspec.structs.fields(sections[section]) if section in sections else ()
    return any(field.name == key and get_origin(field.type) is tuple for field in fields)


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _explain(message: str, variables: Mapping[str, str]) -> str:
    """Turn msgspec's ``… - at `$.server.port` `` into ``server.port: …``, with the variable that set it, if one did."""
    text, _, at = message.partition(" - at `$.")
    key = at.rstrip("`").partition("[")[0]
    if unknown := _UNKNOWN_FIELD.fullmatch(text):
        key, text = f"{key}.{unknown[1]}".lstrip("."), "there is no such key" if key else "there is no such section"
    variable = f" ({variables[key]})" if key in variables else ""
    return f"{key}{variable}: {text}"


def _check(config: Config) -> None:
    """Check what a single key's type cannot say."""
    for proxy in config.server.trusted_proxies:
        try:
            ip_network(proxy)
        except ValueError as error:
            raise ConfigError(f"server.trusted_proxies: {error}") from error
    keep = config.retention
    if 0 < keep.journal_days <= keep.inbox_days:
        raise ConfigError("retention.journal_days: must be longer than retention.inbox_days, or 0")
    if keep.notifications_unread_days < keep.notifications_read_days:
        raise ConfigError("retention.notifications_unread_days: must not be shorter than notifications_read_days")
    if config.auth.refresh_token_s <= config.auth.access_token_s:
        raise ConfigError("auth.refresh_token_s: must be longer than auth.access_token_s")
    _check_email(config.email)
    if config.llm.base_url and not config.llm.model:
        raise ConfigError("llm.model: missing, with llm.base_url set")
    if config.llm.api_key and not config.llm.base_url:
        raise ConfigError("llm.base_url: missing, with llm.api_key set")
    _check_sms(config.sms)
    if config.dev.enabled and not _is_loopback(config.server.host) and not config.dev.allow_non_loopback:
        raise ConfigError(
            f"dev.enabled: not on {config.server.host or 'all addresses'}, which others can reach;"
            " set dev.enabled = false, or dev.allow_non_loopback = true if that is meant"
        )


def _check_email(email: EmailConfig) -> None:
    if not email.host:
        return
    try:
        validate_email(
            email.from_address, check_deliverability=False, globally_deliverable=False, test_environment=True
        )
    except EmailNotValidError as error:
        raise ConfigError("email.from_address: not an address; letters need a sender") from error
    if email.username and email.security == "none" and not _is_loopback(email.host):
        raise ConfigError(
            f"email.security: the password would go to {email.host} as clear text; use starttls or tls, or no username"
        )


def _check_sms(sms: SmsConfig) -> None:
    if not sms.account_sid:
        return
    if not sms.auth_token:
        raise ConfigError("sms.auth_token: is missing; Twilio asks for it, and signs with it")
    if not (sms.from_number or sms.messaging_service_sid):
        raise ConfigError("sms.from_number: messages need a sender; set it, or sms.messaging_service_sid")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
