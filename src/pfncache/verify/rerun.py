# SPDX-License-Identifier: GPL-2.0-only
"""What differs between two runs of the same designs: violations that are new, unchanged or cured, and verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

from pfncache.verify.comparison import Comparison
from pfncache.verify.design_outcome import DesignOutcome
from pfncache.verify.outcome import Outcome
from pfncache.verify.trace import render


@dataclass(frozen=True, kw_only=True)
class Rerun:
    """The outcomes of a design, beside those of the run before."""

    design: DesignOutcome
    before: DesignOutcome | None
    """None if that run did not have the design."""

    @property
    def comparisons(self) -> list[Comparison]:
        """Each scenario's outcome, compared with the one before."""
        known = self._known
        return [Comparison.of(outcome, known.get(outcome.scenario)) for outcome in self.design.outcomes]

    @property
    def other_verdicts(self) -> Iterator[tuple[Outcome, Outcome | None]]:
        """Yield the outcomes with another verdict or limit than before that no violation explains, and those before."""
        known = self._known
        for comparison in self.comparisons:
            then, now = known.get(comparison.outcome.scenario), comparison.outcome
            same = then is not None and (then.verdict, then.limit) == (now.verdict, now.limit)
            if not same and not comparison.new and not comparison.cured:
                yield now, then

    @property
    def _known(self) -> dict[str, Outcome]:
        return {o.scenario: o for o in self.before.outcomes} if self.before is not None else {}

    def lines(self) -> list[str]:
        """Return the difference in words: counts, and then what is new and what is cured."""
        comparisons = self.comparisons
        new = Counter(f"{v.property} in {c.outcome.scenario}" for c in comparisons for v in c.new)
        cured = Counter(f"{v.property} in {c.outcome.scenario}" for c in comparisons for v in c.cured)
        unchanged = sum(len(c.unchanged) for c in comparisons)
        name = self.design.design
        if self.before is None:
            return [f"{name} is new: {new.total()} violations in {len(comparisons)} scenarios"]
        found = [f"{name} against the last run: {new.total()} new, {unchanged} unchanged, {cured.total()} cured"]
        for what, counts in (("new", new), ("cured", cured)):
            found += [f"  {what}: {text}{f' ({n} places)' * (n > 1)}" for text, n in counts.items()]
        for now, then in self.other_verdicts:
            was = then.verdict if then is not None else "not searched"
            found.append(f"  {now.scenario}: {was} before, now {now.verdict}{f' ({now.limit})' if now.limit else ''}")
        return found


def compared_runs(designs: Sequence[DesignOutcome], before: Sequence[DesignOutcome]) -> list[Rerun]:
    """Return each design with its outcomes in the run before."""
    known = {design.design: design for design in before}
    return [Rerun(design=design, before=known.get(design.design)) for design in designs]


def show_rerun(designs: Sequence[DesignOutcome], before: Sequence[DesignOutcome], width: int | None) -> None:
    """Print the difference to the run before, and the shortest interleaving of each property that is newly violated."""
    for rerun in compared_runs(designs, before):
        for line in rerun.lines():
            click.echo(line)
        shown: set[str] = set()
        for comparison in rerun.comparisons:
            for violation in comparison.new:
                if violation.property in shown:
                    continue
                shown.add(violation.property)
                click.echo(f"\n{violation.property} in {comparison.outcome.scenario}, the shortest interleaving:\n")
                text = render(violation.trace, width) if violation.trace is not None else f"=> {violation.reason}"
                click.echo(text)
