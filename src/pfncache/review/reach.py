# SPDX-License-Identifier: GPL-2.0-only
"""Which lines that a series changes no scenario has reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from difflib import SequenceMatcher

from pfncache.review.patches import PatchStep
from pfncache.review.quote import quoted_at
from pfncache.review.report import FindingKind, ReviewFinding
from pfncache.review.submission import Submission
from pfncache.review.verdicts import FEW_JOBS, Plan
from pfncache.series.trees import KernelTree
from pfncache.verify.coverage import MissedLine, coverage_of
from pfncache.verify.outcome import Outcome
from pfncache.verify.session import Session


def changed_lines(old: KernelTree, new: KernelTree) -> dict[str, frozenset[int]]:
    """Return the lines that a tree has and another one has not, by file: their numbers in the new one."""
    found = {}
    for name, text in new.texts.items():
        before, after = old.texts.get(name, b""), text
        if before == after:
            continue
        first_lines, then = (part.decode(errors="replace").splitlines() for part in (before, after))
        codes = SequenceMatcher(None, first_lines, then, autojunk=False).get_opcodes()
        found[name] = frozenset(n + 1 for tag, _, _, first, last in codes if tag != "equal" for n in range(first, last))
    return found


def missed_lines(
    step: PatchStep, plan: Plan, run: Callable[[Session], None], changed: Mapping[str, frozenset[int]] | None
) -> list[MissedLine]:
    """Search a series once more, with its coverage, and return the changed lines that are not reached.

    The first scenarios of the plan come first: if they reach all, the others are not searched. Of a design in Python,
    for which `changed` is None, the lines are all of its patches. Raises what interrupts it.
    """
    assert step.design is not None
    options = replace(plan.search, coverage=True, kept=False, absolute=True)
    outcomes: list[Outcome] = []
    missed: list[MissedLine] = []
    for some in (plan.scenarios[:FEW_JOBS], plan.scenarios[FEW_JOBS:]):
        if not some:
            break
        session = Session.plan([step.design], some, wanted=plan.wanted, options=options)
        if len(some) <= FEW_JOBS:
            session.options = replace(options, processes=1)
        run(session)
        if session.interrupted is not None:
            raise session.interrupted
        outcomes += session.outcomes[0].outcomes
        found = coverage_of(session.designs[0], outcomes).missed
        missed = [line for line in found if changed is None or _number(line) in changed.get(_file(line), ())]
        if not missed:
            break
    return missed


def findings_of(missed: list[MissedLine], submission: Submission) -> Iterator[ReviewFinding]:
    """Yield a finding for each function with changed lines that are not reached."""
    groups: dict[tuple[str, str], list[MissedLine]] = {}
    for line in missed:
        groups.setdefault((_file(line), line.place.function), []).append(line)
    for (file, function), lines in groups.items():
        numbers = list(dict.fromkeys(_number(line) for line in lines if not line.around))
        never = list(dict.fromkeys(_number(line) for line in lines if line.around))
        parts = [f"{_lines(numbers)} of {file} reached by no scenario"] if numbers else []
        parts += [f"the condition in {_lines(never)} of {file} never false"] if never else []
        first = min(_number(line) for line in lines)
        patch, quoted = _patch_of(file, {_number(line) for line in lines}, submission)
        yield ReviewFinding(
            kind=FindingKind.UNREACHED, subject=f"{function}()", patch=patch, place=f"{file}:{first}",
            text=f"{function}(): {', '.join(parts)}", quoted=quoted,
        )  # fmt: skip


def _patch_of(file: str, numbers: set[int], submission: Submission) -> tuple[int | None, tuple[str, ...]]:
    """Return the last patch that adds one of these lines, and what it changes there."""
    for number in range(len(submission.mails), 0, -1):
        mail = submission.mail(number)
        quoted = quoted_at(file, numbers, mail) if mail is not None else ()
        if quoted:
            return number, quoted
    return None, ()


def _lines(numbers: list[int]) -> str:
    """Return numbers of lines in words: lines 7, 9-12."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][-1] + 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    text = ", ".join(f"{span[0]}-{span[-1]}" if len(span) > 1 else str(span[0]) for span in spans)
    return f"line{'s' * (len(numbers) > 1)} {text}"


def _file(line: MissedLine) -> str:
    return line.source.rpartition(":")[0]


def _number(line: MissedLine) -> int:
    return line.place.line
