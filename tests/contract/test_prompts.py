"""A prompt that was ever used stays as it was: whoever changes one makes a new version of it."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server.llm.prompts import PROMPTS_DIR, load_prompt
from server.llm.service import Use
from server.llm.smart_replies import SMART_REPLIES, SmartReplies

GOLDEN = Path(__file__).parent / "golden/prompts.json"
USES: list[Use[Any]] = [SMART_REPLIES]


def versions() -> dict[str, list[int]]:
    """Each prompt's versions, in order."""
    found: dict[str, list[int]] = {}
    for path in PROMPTS_DIR.iterdir():
        name, _, version = path.stem.partition(".v")
        found.setdefault(name, []).append(int(version))
    return {name: sorted(numbers) for name, numbers in found.items()}


def test_every_version_is_what_it_was_and_a_changed_prompt_is_a_new_one() -> None:
    now = {path.name: sha256(path.read_bytes()).hexdigest() for path in PROMPTS_DIR.iterdir()}

    assert now == json.loads(GOLDEN.read_text()), "a changed prompt needs a new file; a new file, its hash here"


def test_versions_are_numbered_without_a_gap() -> None:
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in versions().values())


@pytest.mark.parametrize("use", USES, ids=lambda use: use.name)
def test_each_use_has_the_newest_version_of_its_prompt(use: Use[Any]) -> None:
    assert use.prompt.name == f"{use.name}.v{versions()[use.name][-1]}"


def test_every_prompt_has_a_use() -> None:
    assert versions().keys() == {use.name for use in USES}


def test_the_example_in_a_prompt_is_an_answer_of_its_type() -> None:
    *_, line = SMART_REPLIES.prompt.text(language="Italian").splitlines()

    answer = msgspec.json.decode(line[line.index("{") :], type=SmartReplies)

    assert len(answer.replies) == 5


def test_a_prompt_needs_all_of_its_words() -> None:
    with pytest.raises(KeyError):
        load_prompt("smart_replies.v1").text()
