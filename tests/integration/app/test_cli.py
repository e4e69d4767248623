"""The command line reports errors in one line, and by its exit code."""

import subprocess
import sys
from pathlib import Path


def server(*arguments: str) -> tuple[int, str]:
    """Run ``server`` with these arguments; returns its exit code and output."""
    done = subprocess.run([sys.executable, "-m", "server", *arguments], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


def configured(folder: Path, settings: str) -> str:
    """A configuration file."""
    path = folder / "config.toml"
    path.write_text(settings, encoding="utf-8")
    return str(path)


def test_a_demo_without_a_server_is_an_error() -> None:
    code, said = server("demo", "--url", "http://127.0.0.1:1/")

    assert code == 1
    assert said.startswith("unavailable: http://127.0.0.1:1/")


def test_a_wrong_setting_with_brackets_is_named(tmp_path: Path) -> None:
    code, said = server("doctor", "-c", configured(tmp_path, '[server]\ntrusted_proxies = ["[/x]"]\n'))

    assert code == 2
    assert said.startswith("configuration: server.trusted_proxies: '[/x]'")


def test_the_doctor_names_folders_with_brackets(tmp_path: Path) -> None:
    _, said = server("doctor", "-c", configured(tmp_path, f'[server]\nport = 0\ndata_dir = "{tmp_path}/[bold]"\n'))

    assert f"data folder: {tmp_path}/[bold], " in said
