"""Keys of a running server are rotated and retired by commands, without a restart."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jwt
import pytest

from server.accounts.keys import SETTLE_S, add_key, list_keys, load_keys, retire_key
from server.edge.secret_file import UnusableKey
from tests.support.live_server import connect_client
from tests.support.server import Site

#: A running server looks every 2 s.
WITHIN_S = 5
VALID_S = 600.0


def grow_older(path: Path, by_s: float) -> None:
    """Make a key file older."""
    made_at = path.stat().st_mtime - by_s
    os.utime(path, (made_at, made_at))


async def signed_with(site: Site, key_id: str) -> str:
    """A new token, once the server signs with this key."""
    person = await site.person()
    async with asyncio.timeout(WITHIN_S):
        while True:
            again = await site.sign_in(person.me.email)
            token = await again.rest.token()
            if jwt.get_unverified_header(token)["kid"] == key_id:
                return token
            await asyncio.sleep(0.1)


async def test_a_running_server_signs_with_a_settled_key_and_accepts_the_previous_one(
    server: Site, tmp_path: Path
) -> None:
    ada = await server.person("Ada")
    old = await ada.rest.token()

    added = add_key(tmp_path / "keys")
    grow_older(added, SETTLE_S)
    new = await signed_with(server, list_keys(tmp_path / "keys")[-1].key_id)

    for token in (old, new):
        answer = await server.request("GET", "/auth/current-user/", Authorization=f"Bearer {token}")
        assert answer.status == 200


async def test_a_retired_key_invalidates_its_tokens_and_closes_their_sockets(server: Site, tmp_path: Path) -> None:
    ada = await server.person("Ada")
    old = await ada.rest.token()
    async with connect_client(server.url, old) as line:
        grow_older(add_key(tmp_path / "keys"), SETTLE_S)
        first = list_keys(tmp_path / "keys")[0]
        retire_key(tmp_path / "keys", first.path.name, valid_s=VALID_S, force=True)
        async with asyncio.timeout(WITHIN_S):
            assert await line.end() == (4003, "token_expired")

    refused = await server.request("GET", "/auth/current-user/", Authorization=f"Bearer {old}")
    assert (refused.status, refused.json["fields"]["reason"]) == (401, "invalid")


def test_a_new_key_verifies_at_once_and_signs_when_it_has_settled(tmp_path: Path) -> None:
    first = load_keys(tmp_path)
    added = add_key(tmp_path)

    fresh = load_keys(tmp_path, settle_s=SETTLE_S)
    grow_older(added, SETTLE_S)
    settled = load_keys(tmp_path, settle_s=SETTLE_S)

    assert fresh.key_id == first.key_id
    assert set(fresh.public) == set(settled.public) == {first.key_id, settled.key_id}
    assert settled.key_id != first.key_id


def test_a_key_is_not_retired_while_it_signs_or_its_tokens_are_valid(tmp_path: Path) -> None:
    load_keys(tmp_path)
    with pytest.raises(UnusableKey, match="it signs"):
        retire_key(tmp_path, "token-0001", valid_s=VALID_S, force=True)
    with pytest.raises(UnusableKey, match="there is no"):
        retire_key(tmp_path, "token-0099", valid_s=VALID_S)
    second = add_key(tmp_path)
    grow_older(second, SETTLE_S)
    with pytest.raises(UnusableKey, match="valid for up to"):
        retire_key(tmp_path, "token-0001", valid_s=VALID_S)

    grow_older(second, VALID_S)
    retire_key(tmp_path, "token-0001.pem", valid_s=VALID_S)

    assert [key.path.stem for key in list_keys(tmp_path)] == ["token-0002"]


def test_the_operators_commands(tmp_path: Path) -> None:
    load_keys(tmp_path / "keys")

    rotated = keys(tmp_path, "rotate")
    listed = keys(tmp_path, "list")
    refused = keys(tmp_path, "retire", "token-0001")

    assert (rotated.returncode, listed.returncode, refused.returncode) == (0, 0, 2)
    assert "token-0002" in rotated.stdout
    assert [line.split()[-1] for line in listed.stdout.splitlines()[1:]] == ["signs", "verifies"]
    assert "it signs" in refused.stdout
    assert (tmp_path / "keys" / "token-0002.pem").stat().st_mode & 0o777 == 0o600


def keys(data_dir: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environ: dict[str, Any] = {**os.environ, "GUILDWIRE_SERVER__DATA_DIR": str(data_dir), "COLUMNS": "200"}
    command = (sys.executable, "-m", "server", "keys", *words)
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
