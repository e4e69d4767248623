"""The mutation gate: with a rule switched off, the tests that are meant to hold it fail; as it is, they pass.

What is switched off, and which tests must notice, is in ``tests/support/mutants.py``.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.mutants import MUTANTS, DoesNotApply, Mutant, apply, copy_sources, run_tests
from tests.support.postgres import TestPostgres
from tests.support.sizes import few_or_many, some

#: One for each guarantee of the commit is tried in every run, all of them in an audit.
KEPT = [mutant for mutant in MUTANTS if mutant.name in ("no_command_log_check", "no_output_gate", "no_version_check")]


@pytest.mark.parametrize("mutant", some(MUTANTS, *KEPT), ids=lambda mutant: mutant.name)
def test_a_rule_that_is_switched_off_is_noticed(mutant: Mutant, postgres_server: TestPostgres, tmp_path: Path) -> None:
    copy_sources(tmp_path)
    apply(mutant, tmp_path)

    verdict = run_tests(tmp_path, mutant.tests)

    assert verdict.errors == 0, f"the tests could not run: {verdict.said}"
    assert verdict.failed, f"{mutant.name} survived {verdict.passed} tests: {verdict.said}"


@few_or_many("mutants", KEPT, list(MUTANTS))
def test_the_same_tests_pass_on_the_sources_as_they_are(
    mutants: Sequence[Mutant], postgres_server: TestPostgres, tmp_path: Path
) -> None:
    copy_sources(tmp_path)
    tests = sorted({test for mutant in mutants for test in mutant.tests})

    verdict = run_tests(tmp_path, tests)

    assert (verdict.failed, verdict.errors) == (0, 0), verdict.said
    assert verdict.passed >= len(tests)


@pytest.mark.parametrize("there", ["nothing of it", "x.old = 1 -- x.old = 1"])
def test_a_change_that_fits_nowhere_or_twice_is_an_error(tmp_path: Path, there: str) -> None:
    (tmp_path / "file.sql").write_text(there)

    with pytest.raises(DoesNotApply):
        apply(Mutant("any", (("file.sql", "x.old = 1", "true"),), ()), tmp_path)
