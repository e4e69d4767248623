"""The configuration: defaults, then the file, then the environment; every error names its key."""

import re
from pathlib import Path

import msgspec
import pytest

from server.app.config import Config, load_config
from server.edge.config import ConfigError

CONFIG_TOML = Path(__file__).parents[3] / "config.toml"


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def test_without_a_file_the_defaults_hold() -> None:
    config = load_config(None, {})

    assert (config.server.host, config.server.port, config.server.data_dir) == ("127.0.0.1", 8080, "var")
    assert not config.dev.enabled


def test_the_file_overrides_the_defaults(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "[server]\nport = 9000"), {})

    assert config.server.port == 9000
    assert config.server.host == "127.0.0.1"


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "[server]\nport = 9000"), {"GUILDWIRE_SERVER__PORT": "9001"})

    assert config.server.port == 9001


@pytest.mark.parametrize(
    ("variable", "value", "key", "expected"),
    [
        ("GUILDWIRE_SERVER__HOST", "::1", "server.host", "::1"),
        ("GUILDWIRE_SERVER__DATA_DIR", "/srv/guildwire", "server.data_dir", "/srv/guildwire"),
        ("GUILDWIRE_DATABASE__URL", "postgresql://db/guildwire", "database.url", "postgresql://db/guildwire"),
        ("GUILDWIRE_REDIS__URL", "redis://bus", "redis.url", "redis://bus"),
        ("GUILDWIRE_DEV__ENABLED", "true", "dev.enabled", True),
        ("GUILDWIRE_EMAIL__CA_PATH", "/etc/ca.pem", "email.ca_path", "/etc/ca.pem"),
        ("GUILDWIRE_LIMITS__COMMANDS_PER_S", "2.5", "limits.commands_per_s", 2.5),
        (
            "GUILDWIRE_SERVER__ALLOWED_ORIGINS",
            "https://a.example, *",
            "server.allowed_origins",
            ("https://a.example", "*"),
        ),
    ],
)
def test_each_kind_of_value_comes_from_the_environment(variable: str, value: str, key: str, expected: object) -> None:
    config = load_config(None, {variable: value})

    section, _, name = key.partition(".")
    assert getattr(getattr(config, section), name) == expected


def test_a_secret_is_read_from_the_file_that_its_variable_names(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("postgresql://me:secret@db/guildwire\n")

    config = load_config(None, {"GUILDWIRE_DATABASE__URL_FILE": str(tmp_path / "secret")})

    assert config.database.url == "postgresql://me:secret@db/guildwire"


def test_no_key_ends_as_variables_do_that_name_a_file() -> None:
    for section in msgspec.structs.fields(Config):
        for key in msgspec.structs.fields(section.type):
            assert not key.name.endswith("_file"), f"{section.name}.{key.name} cannot be set by the environment"


def test_other_variables_are_ignored() -> None:
    assert load_config(None, {"GUILDWIRE_TOKEN": "x", "HOME__X": "y"}) == load_config(None, {})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[server]\nprot = 1", "server.prot: there is no such key"),
        ("[sever]\nport = 1", "sever: there is no such section"),
        ("[server]\nport = 70000", "server.port: Expected `int` <= 65535"),
        ("[server]\nport = 'many'", "server.port: Expected `int`, got `str`"),
        ("[server]\nallowed_origins = [1]", "server.allowed_origins: Expected `str`, got `int`"),
        ("[server]\ntrusted_proxies = ['10.0.0.1/8']", "server.trusted_proxies: 10.0.0.1/8 has host bits set"),
        ("[server]\npublic_url = 'guild.example'", "server.public_url: Expected `str` matching"),
        ("[database]\nurl = 'mysql://db'", "database.url: Expected `str` matching"),
        ("[log]\nlevel = 'loud'", "log.level: Invalid enum value 'loud'"),
        ("[auth]\naccess_token_s = 9\nrefresh_token_s = 9", "auth.refresh_token_s: must be longer"),
        ("[retention]\ninbox_days = 9\njournal_days = 9", "retention.journal_days: must be longer"),
        ("[retention]\nnotifications_unread_days = 9", "retention.notifications_unread_days: must not be shorter"),
        ("[jobs]\nnightly_at = '24:00'", "jobs.nightly_at: Expected `str` matching regex"),
        ('[jobs]\nnightly_at = "08:00\\n"', "jobs.nightly_at: Expected `str` matching regex"),
        ("[email]\nhost = 'mail.example'", "email.from_address: not an address"),
        ("[email]\nsecurity = 'ssl'", "email.security: Invalid enum value 'ssl'"),
        (
            "[email]\nhost='mail.example'\nfrom_address='a@b.test'\nusername='me'\nsecurity='none'",
            "email.security: the password would go to mail.example as clear text",
        ),
        ("server = 1", "server: Expected `object`, got `int`"),
        ("server = [", "config.toml: "),
    ],
)
def test_an_error_in_the_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        load_config(write(tmp_path, text), {})


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"GUILDWIRE_SERVER__PORT": "many"}, "server.port (GUILDWIRE_SERVER__PORT): Expected `int`, got `str`"),
        ({"GUILDWIRE_SERVER__PROT": "1"}, "server.prot (GUILDWIRE_SERVER__PROT): there is no such key"),
        ({"GUILDWIRE_SEVER__PORT": "1"}, "sever: there is no such section"),
        ({"GUILDWIRE_DATABASE__URL_FILE": "/no/such"}, "GUILDWIRE_DATABASE__URL_FILE: /no/such: No such file"),
        (
            {"GUILDWIRE_LOG__LEVEL": "info", "GUILDWIRE_LOG__LEVEL_FILE": "/dev/null"},
            "log.level: both GUILDWIRE_LOG__LEVEL and GUILDWIRE_LOG__LEVEL_FILE are set",
        ),
    ],
)
def test_an_error_in_the_environment_is_named(environ: dict[str, str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        load_config(None, environ)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path}/config.toml: No such file")):
        load_config(tmp_path / "config.toml", {})


def test_a_section_written_as_a_value_cannot_be_overridden(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="server: is a section"):
        load_config(write(tmp_path, "server = 1"), {"GUILDWIRE_SERVER__PORT": "1"})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "guild.example", ""])
def test_development_is_refused_where_others_can_reach_it(host: str) -> None:
    with pytest.raises(ConfigError, match=r"dev\.enabled"):
        load_config(None, {"GUILDWIRE_DEV__ENABLED": "true", "GUILDWIRE_SERVER__HOST": host})


def test_development_is_refused_behind_a_proxy_that_others_can_reach() -> None:
    environ = {"GUILDWIRE_DEV__ENABLED": "true", "GUILDWIRE_SERVER__PUBLIC_URL": "https://shop.example"}

    with pytest.raises(ConfigError, match=r"dev\.enabled: not on https://shop\.example"):
        load_config(None, environ)
    assert load_config(None, {**environ, "GUILDWIRE_DEV__ALLOW_NON_LOOPBACK": "true"}).dev.enabled


def test_development_is_allowed_behind_a_proxy_on_this_machine() -> None:
    environ = {"GUILDWIRE_DEV__ENABLED": "true", "GUILDWIRE_SERVER__PUBLIC_URL": "https://localhost:19443"}

    assert load_config(None, environ).dev.enabled


def test_an_allowed_host_has_no_port() -> None:
    with pytest.raises(ConfigError, match=r"server\.allowed_hosts: shop\.example:443 is not a host name"):
        load_config(None, {"GUILDWIRE_SERVER__ALLOWED_HOSTS": "shop.example:443"})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "::1", "localhost"])
def test_development_is_allowed_on_this_machine(host: str) -> None:
    assert load_config(None, {"GUILDWIRE_DEV__ENABLED": "true", "GUILDWIRE_SERVER__HOST": host}).dev.enabled


def test_development_elsewhere_needs_a_second_setting() -> None:
    environ = {"GUILDWIRE_DEV__ENABLED": "true", "GUILDWIRE_DEV__ALLOW_NON_LOOPBACK": "true"}

    assert load_config(None, {**environ, "GUILDWIRE_SERVER__HOST": "0.0.0.0"}).dev.enabled


def test_the_shipped_file_names_every_key_at_its_default_but_for_development() -> None:
    shipped = load_config(CONFIG_TOML, {})

    assert shipped.dev.enabled
    assert msgspec.structs.replace(shipped, dev=Config().dev) == Config()
    for section in msgspec.structs.fields(Config):
        for key in msgspec.structs.fields(section.type):
            assert re.search(rf"^\[{section.name}\]\n(?:[^\[].*\n|\n)*?{key.name} = ", CONFIG_TOML.read_text(), re.M), (
                key
            )


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"GUILDWIRE_SERVER__HOST": "::1"}, "http://[::1]:8080"),
        ({"GUILDWIRE_SERVER__PUBLIC_URL": "https://guild.example/"}, "https://guild.example"),
    ],
)
def test_the_public_address_is_the_configured_one_or_our_own(environ: dict[str, str], url: str) -> None:
    assert load_config(None, environ).public_url == url
