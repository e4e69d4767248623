"""Secret files are made once, and a file that is no secret is refused by name."""

import stat
from pathlib import Path

import pytest

from server.edge.secret_file import SECRET_BYTES, UnusableKey, load_secret


def test_a_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "codes.secret"

    made = load_secret(path, "whsec_")

    assert made.startswith("whsec_")
    assert load_secret(path, "whsec_") == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["codes.secret"]


@pytest.mark.parametrize("kept", ["", "whsec_", "whsec_" + "x" * (SECRET_BYTES - 1)])
def test_a_secret_that_was_cut_is_refused_by_name(tmp_path: Path, kept: str) -> None:
    path = tmp_path / "codes.secret"
    path.write_text(kept)

    with pytest.raises(UnusableKey, match=r"codes\.secret"):
        load_secret(path, "whsec_")
