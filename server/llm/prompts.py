"""Prompts: files with a version in their name, so that the prompt of an answer can be looked up later."""

import re
from dataclasses import dataclass
from pathlib import Path
from string import Template

PROMPTS_DIR = Path(__file__).parents[1] / "prompts"
_NAME = re.compile(r"[a-z][a-z_]*\.v[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of one prompt. A changed text needs a new version."""

    #: ``smart_replies.v1``
    name: str
    template: Template

    def text(self, **words: str) -> str:
        """Fill in the template's variables, which must not contain users' texts."""
        return self.template.substitute(words)


def load_prompt(name: str) -> Prompt:
    """Read a prompt file."""
    assert _NAME.fullmatch(name), name
    return Prompt(name, Template((PROMPTS_DIR / f"{name}.txt").read_text(encoding="utf-8").strip()))
