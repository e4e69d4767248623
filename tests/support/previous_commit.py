"""``make audit``: the previous commit's server works on the schema of this one, as in a rolling upgrade.

Checks out the commit before this one beside it, migrates a database with this commit's migrations, and lets the other
one book, pay and chat on it.
"""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.postgres import ROOT, TestPostgres

#: What the other commit must have: it is the baseline, or later.
NEEDED = ("storage/migrations/CHECKSUMS", "tests/support/smoke.py")
PREVIOUS = "HEAD~1"
SMOKE_MAX_S = 300


def git(*arguments: str) -> bool:
    """Run git in this repository; returns whether it succeeded."""
    done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, check=False)
    return done.returncode == 0


async def run(commit: str) -> int:
    """Let that commit's server work on a database of this one; returns the exit code."""
    postgres = TestPostgres()
    try:
        with tempfile.TemporaryDirectory() as directory:
            other = Path(directory) / "previous"
            if not git("worktree", "add", "--detach", str(other), commit):
                print(f"{commit} cannot be checked out", file=sys.stderr)
                return 1
            try:
                async with postgres.database(migrated=True) as dsn:
                    return await _smoke(other, dsn)
            finally:
                git("worktree", "remove", "--force", str(other))
    finally:
        await asyncio.to_thread(postgres.leave)


async def _smoke(other: Path, dsn: str) -> int:
    smoke = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.support.smoke", dsn, cwd=other)
    try:
        async with asyncio.timeout(SMOKE_MAX_S):
            return await smoke.wait()
    finally:
        if smoke.returncode is None:
            smoke.kill()


def main() -> int:
    """Run it, or say why not; returns the exit code."""
    missing = [path for path in NEEDED if not git("cat-file", "-e", f"{PREVIOUS}:{path}")]
    if missing:
        print(f"skipped: {PREVIOUS} has no {missing[0]}")
        return 0
    code = asyncio.run(run(PREVIOUS))
    print(
        "the previous commit works on this schema" if code == 0 else "the previous commit does not work on this schema"
    )
    return code


if __name__ == "__main__":
    sys.exit(main())
