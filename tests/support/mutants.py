"""Changes of the sources that a suite worth its name must notice, and how one is tried.

A mutant lives in a copy of the sources; nothing in the program knows of it. A change that fits nowhere, or in two
places, is an error: whoever rewrites such a line says here what would break it now.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
PARTS = ("actors", "protocol", "server", "storage", "tests")
#: One run of a few tests; what takes longer hangs.
RUN_TIMEOUT_S = 120
#: How long a broken copy is given to do what it never will.
PATIENCE_S = 10

COMMIT = "storage/migrations/0003_commit.sql"
TURNS = "actors/runtime/turns.py"
AGENDA = "actors/runtime/agenda.py"

Edit = tuple[str, str, str]


class DoesNotApply(Exception):
    """The line that a mutant changes is not there, or there twice."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One rule switched off, and the tests of which one at least must fail."""

    name: str
    #: (file, what stands there once, what stands there instead)
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run of tests said."""

    passed: int
    failed: int
    #: Tests that could not even begin: that proves nothing.
    errors: int
    said: str


def apply(mutant: Mutant, root: Path) -> None:
    """Change the copy. Raises: DoesNotApply."""
    for file, old, new in mutant.edits:
        path = root / file
        text = path.read_text()
        if text.count(old) != 1:
            raise DoesNotApply(f"{mutant.name}: {old!r} stands {text.count(old)} times in {file}")
        path.write_text(text.replace(old, new))


def copy_sources(to: Path) -> None:
    """Copy the program and its tests, with what Python has compiled of them."""
    for part in PARTS:
        shutil.copytree(ROOT / part, to / part)
    shutil.copy2(ROOT / "pyproject.toml", to)


def run_tests(root: Path, tests: Sequence[str]) -> Verdict:
    """Run tests of a copy in a process of their own, on the session's database server, up to the first failure."""
    report = root / "report.xml"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--junitxml={report}", *tests]
    done = subprocess.run(
        command,
        cwd=root,
        env={**environ, "PYTHONPATH": str(root), "GUILDWIRE_PATIENCE_S": str(PATIENCE_S)},
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )
    said = (done.stdout + done.stderr)[-4000:]
    if not report.exists():
        return Verdict(0, 0, 1, said)
    (suite,) = ElementTree.parse(report).getroot().iter("testsuite")
    ran, failed, errors, skipped = (int(suite.attrib[key]) for key in ("tests", "failures", "errors", "skipped"))
    return Verdict(ran - failed - errors - skipped, failed, errors, said)


_COMMITS = "tests/integration/commit/test_commit.py::"
_TURNS = "tests/integration/runtime/test_turns.py::"
_AGENDA = "tests/integration/runtime/test_agenda.py::"
_OUTAGES = "tests/integration/commit/test_outages.py::"
_STEPS = "tests/simulation/test_commit_steps.py::"

MUTANTS = (
    Mutant(
        "no_version_check",
        ((COMMIT, "WHERE x.version <> x.is_version OR x.stamp <> x.is_stamp", "WHERE false"),),
        (
            _COMMITS + "test_a_decision_on_an_old_version_is_stale",
            _TURNS + "test_a_command_is_decided_again_when_another_process_moved_the_actor",
        ),
    ),
    Mutant(
        "no_stamp_check",
        ((COMMIT, "x.version <> x.is_version OR x.stamp <> x.is_stamp", "x.version <> x.is_version"),),
        (_COMMITS + "test_the_same_version_of_another_activation_is_stale_by_its_stamp",),
    ),
    Mutant(
        "no_command_log_check",
        (
            (
                COMMIT,
                "JOIN command_log l ON l.principal = d.principal AND l.key = d.key;",
                "JOIN command_log l ON false;",
            ),
            (
                COMMIT,
                "WHERE d.key IS NOT NULL AND alive[d.idx] ORDER BY d.principal, d.key, d.idx;",
                "WHERE d.key IS NOT NULL AND alive[d.idx] ON CONFLICT DO NOTHING;",
            ),
        ),
        (
            _COMMITS + "test_an_answered_command_is_a_duplicate_and_changes_nothing",
            _TURNS + "test_a_retry_gets_the_first_answer",
        ),
    ),
    Mutant(
        "no_output_gate",
        (
            (
                TURNS,
                "        activation.pending.append(call)\n",
                "        activation.pending.append(call)\n"
                "        seqs = [1] * sum(len(emitted.audience) for emitted in decision.emitted)\n"
                "        self._release(call, decision, Committed(OK, seqs))\n",
            ),
        ),
        (
            _TURNS + "test_nothing_of_a_turn_is_heard_before_its_commit",
            _STEPS + "test_nothing_is_heard_of_a_booking_before_its_commit",
        ),
    ),
    Mutant(
        "no_sweeper",
        (
            (
                AGENDA,
                "        before = self._runtime.clock.now() - timedelta(seconds=grace_s)\n",
                "        return\n",
            ),
        ),
        (_AGENDA + "test_a_row_that_nobody_can_read_holds_up_nobody",),
    ),
    Mutant(
        "no_agenda_claim",
        ((COMMIT, "f.nth > 1 OR ids IS NULL OR f.id <> ALL (ids)", "false"),),
        (
            _COMMITS + "test_a_timer_that_two_decisions_consume_is_consumed_once",
            _AGENDA + "test_of_cancelling_and_firing_exactly_one_wins",
        ),
    ),
    Mutant(
        "facts_do_not_wait",
        ((TURNS, "                if not activation.pending:\n", "                if True:\n"),),
        (_TURNS + "test_facts_wait_until_the_actor_is_durable",),
    ),
    Mutant(
        "no_gap_rule",
        (
            (
                "server/live/session/stream.py",
                "if seq == self.seq + 1:\n            self._to_send",
                "if seq > self.seq:\n            self._to_send",
            ),
        ),
        ("tests/unit/live/test_stream.py",),
    ),
    Mutant(
        "no_balance_prefix_check",
        ((COMMIT, "PARTITION BY m.account ORDER BY t.ord, m.side", "PARTITION BY m.account"),),
        (_COMMITS + "test_a_wallet_is_never_overdrawn_on_the_way_even_if_the_batch_ends_well",),
    ),
    Mutant(
        "no_balance_check",
        ((COMMIT, "WHERE r.balance < 0 GROUP BY r.account", "WHERE false GROUP BY r.account"),),
        (_TURNS + "test_who_loses_a_claim_without_facts_is_refused_for_good",),
    ),
    Mutant(
        "no_epoch_check",
        (
            (
                "server/live/session/session.py",
                "since.epoch != head.epoch or since.seq > head.seq",
                "since.seq > head.seq",
            ),
        ),
        ("tests/integration/live/test_resume.py::test_an_unknown_since_is_a_reset",),
    ),
    Mutant(
        "an_unknown_outcome_is_not_looked_up",
        (("storage/commit.py", "                if unknown:\n", "                if False:\n"),),
        (_OUTAGES + "test_a_cut_call_has_its_effect_once",),
    ),
    Mutant(
        "a_lost_deadlock_is_not_tried_again",
        (("storage/commit.py", '_RETRYABLE = ("40P01", ', "_RETRYABLE = ("),),
        (_OUTAGES + "test_a_batch_refused_for_the_moment_is_called_again",),
    ),
    Mutant(
        "a_read_only_database_is_no_outage",
        (("storage/commit.py", ", asyncpg.ReadOnlySQLTransactionError)", ")"),),
        ("tests/simulation/test_database_faults.py::test_a_database_that_only_reads_is_unavailable_until_it_writes",),
    ),
    Mutant(
        "the_agenda_looks_around_by_the_wall_clock",
        (
            (
                AGENDA,
                '        watch = Supervised(f"agenda {name}", lambda: self._repeat(name, seconds, action))\n'
                "        self.watches.append(watch)\n        watch.start()\n",
                '        self._scheduler.add_job(action, "interval", seconds=seconds, id=name, max_instances=1)\n',
            ),
        ),
        (
            "tests/simulation/test_clock_jumps.py"
            "::test_after_a_jump_back_what_falls_due_is_not_left_until_the_clock_has_caught_up",
        ),
    ),
    Mutant(
        "revocations_are_forgotten_by_the_wall_clock",
        (("server/accounts/revocations.py", " and moment[1] <= self._uptime()", ""),),
        ("tests/simulation/test_clock_jumps.py::test_a_revoked_token_stays_revoked_however_the_clock_jumps",),
    ),
)
