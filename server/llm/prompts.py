"""Prompts: files with their version in the name, so that what a model was told can be looked up later."""

import re
from dataclasses import dataclass
from pathlib import Path
from string import Template

PROMPTS_DIR = Path(__file__).parents[1] / "prompts"
_NAME = re.compile(r"[a-z][a-z_]*\.v[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of one prompt. Whoever changes the text makes a new version."""

    #: ``smart_replies.v1``
    name: str
    template: Template

    def text(self, **words: str) -> str:
        """The prompt with its few fixed words, none of which a customer wrote."""
        return self.template.substitute(words)


def load_prompt(name: str) -> Prompt:
    """Read a prompt of ours."""
    assert _NAME.fullmatch(name), name
    return Prompt(name, Template((PROMPTS_DIR / f"{name}.txt").read_text(encoding="utf-8").strip()))
