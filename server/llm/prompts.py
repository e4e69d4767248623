"""Prompts: files with their version in the name, so that the prompt of a past request can be looked up."""

import re
from dataclasses import dataclass
from pathlib import Path
from string import Template

PROMPTS_DIR = Path(__file__).parents[1] / "prompts"
_NAME = re.compile(r"[a-z][a-z_]*\.v[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of one prompt. A change of the text makes a new version."""

    #: ``smart_replies.v1``
    name: str
    template: Template

    def text(self, **words: str) -> str:
        """The prompt with its fixed parameters; none comes from a user."""
        return self.template.substitute(words)


def load_prompt(name: str) -> Prompt:
    """Read a prompt."""
    assert _NAME.fullmatch(name), name
    return Prompt(name, Template((PROMPTS_DIR / f"{name}.txt").read_text(encoding="utf-8").strip()))
