"""``tools/install.py`` installs a lock file and nothing that its hashes do not name."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: A hang, not a slow machine: making an environment takes some 3 s.
HANGS_AFTER_S = 300


def test_it_installs_what_the_lock_file_names(tmp_path: Path) -> None:
    digest = _wheel(tmp_path / "index", "greeting", "1.0")

    installed = _install(tmp_path, f"greeting==1.0 \\\n    --hash=sha256:{digest}\n    # via a comment\n")

    assert installed.returncode == 0, installed.stderr
    assert not list((tmp_path / "environment").rglob("greeting*.pyc"))
    python = tmp_path / "environment" / "bin" / "python"
    ran = subprocess.run([python, "-c", "import greeting; print(greeting.VERSION)"], check=True, capture_output=True)
    assert ran.stdout == b"1.0\n"


def test_a_wheel_that_the_hashes_do_not_name_is_refused(tmp_path: Path) -> None:
    _wheel(tmp_path / "index", "greeting", "1.0")

    installed = _install(tmp_path, f"greeting==1.0 \\\n    --hash=sha256:{'0' * 64}\n")

    assert installed.returncode != 0
    assert "DO NOT MATCH THE HASHES" in installed.stderr


def test_running_needs_a_part_of_what_developing_needs() -> None:
    developing = _pins(ROOT / "requirements-dev.lock")

    assert _pins(ROOT / "requirements.lock") < developing


@pytest.fixture(autouse=True)
def posix() -> None:
    if os.name == "nt":
        pytest.skip("the environment's layout is another one")


def _wheel(folder: Path, name: str, version: str) -> str:
    """Write a wheel of one module and return its SHA-256."""
    folder.mkdir()
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", f'VERSION = "{version}"\n')
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _install(folder: Path, lock: str) -> subprocess.CompletedProcess[str]:
    """Install a lock file from the folder's own index."""
    (folder / "lock").write_text(lock)
    environ = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder / "index"), "PIP_NO_CACHE_DIR": "1"}
    return subprocess.run(
        [sys.executable, ROOT / "tools" / "install.py", folder / "environment", folder / "lock"],
        check=False,
        env=environ,
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_S,
    )


def _pins(lock: Path) -> set[str]:
    return {line.split(" ")[0] for line in lock.read_text().splitlines() if "==" in line and not line.startswith(" ")}
