"""How large a test is: small in ``make test``, larger in ``make audit``."""

import os
from collections.abc import Sequence
from typing import Any

import pytest

#: How many times as many examples as usual; then they are other ones each time.
TIMES = int(os.environ.get("GUILDWIRE_TEST_TIMES", "1"))


def few_or_many(names: str, few: Any, many: Any) -> pytest.MarkDecorator:
    """Run a test in two sizes, of which the larger one is an audit."""
    return pytest.mark.parametrize(
        names, [pytest.param(*_values(few), id="few"), pytest.param(*_values(many), id="many", marks=pytest.mark.audit)]
    )


def some(values: Sequence[Any], *kept: Any) -> list[Any]:
    """Values for ``parametrize``: those kept are tested, the others are an audit. Each one kept must be there."""
    assert set(kept) <= set(values)
    return [value if value in kept else pytest.param(*_values(value), marks=pytest.mark.audit) for value in values]


def _values(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
