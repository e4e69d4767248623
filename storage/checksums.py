"""``python -m storage.checksums``: checks that released migrations do not change.

``storage/migrations/CHECKSUMS`` has one line for each migration, as ``sha256sum`` writes them. ``make check`` fails if
a listed file has changed or is missing, or if a file is not listed; ``--add`` lists new files, and changes no line.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from storage.migrate import MIGRATIONS_DIR, Migration, read_migrations

FILE_NAME = "CHECKSUMS"


def read_checksums(directory: Path = MIGRATIONS_DIR) -> dict[str, str]:
    """The listed checksums by file name."""
    path = directory / FILE_NAME
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {name: checksum for checksum, name in (line.split("  ", 1) for line in lines)}


def problems(listed: Mapping[str, str], migrations: Sequence[Migration]) -> list[str]:
    """Return the problems, one sentence each."""
    found = {migration.name: migration.checksum for migration in migrations}
    return [
        *[f"{name} is listed and missing" for name in listed if name not in found],
        *[
            f"{name} has landed and may not change; write a new migration"
            for name, checksum in found.items()
            if name in listed and listed[name] != checksum
        ],
        *[f"{name} is not listed; run: python -m storage.checksums --add" for name in found if name not in listed],
    ]


def add(directory: Path = MIGRATIONS_DIR) -> None:
    """List the files that are not listed yet."""
    listed = read_checksums(directory)
    for migration in read_migrations(directory):
        listed.setdefault(migration.name, migration.checksum)
    lines = [f"{checksum}  {name}\n" for name, checksum in listed.items()]
    (directory / FILE_NAME).write_text("".join(lines), encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Check, or add; returns the exit code."""
    if arguments == ["--add"]:
        add()
    found = problems(read_checksums(), read_migrations())
    for problem in found:
        print(f"{MIGRATIONS_DIR.name}: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
