# SPDX-License-Identifier: GPL-2.0-only
"""An outcome that is kept, and the file of those of a scenario: a line each, read when it is first asked for.

Most runs need the line of one design of some fifty, and traces are long.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pfncache import user_cache
from pfncache.check.verdict import Verdict
from pfncache.designs.design import Design
from pfncache.verify.outcome import Outcome
from pfncache.verify.outcome_format import outcome_as_json, outcome_of

FORMAT = "pfncache outcomes 5"


@dataclass(frozen=True, kw_only=True)
class KeptOutcome:
    """The outcome of a search, and what determined it."""

    design: str
    """The name of the design that was searched."""
    outcome: Outcome
    called: frozenset[str]
    """Names of the functions that the actors may call, others among them; ``outcome.used`` has those of the set-up."""
    functions: str
    """Digest of the bounds, and of what the functions of ``outcome.used`` are."""
    system: str
    """Digest of the bounds, of the closed system, and of what the functions of `called` are."""
    unreachable: Mapping[str, str]
    """``System.unreachable``."""
    is_unreduced: bool
    """Whether what is not reached was searched for without reductions, too."""

    def under(self, design: Design, before: frozenset[str]) -> Outcome | None:
        """Return the outcome as that of a design; None if a target of `before` is to be searched for again."""
        found = self.outcome.excused({**self.unreachable, **design.unreachable})
        if found.judged(before).verdict == Verdict.VACUOUS and not self.is_unreduced:
            return None
        return found

    def as_json(self) -> str:
        """Return the outcome as JSON, in one line."""
        return json.dumps({
            "design": self.design,
            "outcome": outcome_as_json(self.outcome),
            "called": sorted(self.called),
            "functions": self.functions,
            "system": self.system,
            "unreachable": self.unreachable,
            "is_unreduced": self.is_unreduced,
        })  # fmt: skip

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the outcome that was written as JSON."""
        known: dict[str, Any] = json.loads(text)
        texts = {name: known[name] for name in ("design", "functions", "system", "unreachable", "is_unreduced")}
        return cls(outcome=outcome_of(known["outcome"]), called=frozenset(known["called"]), **texts)


class KeptLine:
    """A kept outcome in a file, and its text there: each is made of the other when it is first asked for."""

    def __init__(self, design: str, functions: str) -> None:
        self.design = design
        """The design of the outcome."""
        self.functions = functions
        """The digest of its functions."""

    @classmethod
    def of(cls, entry: KeptOutcome) -> Self:
        """Return the line of an outcome."""
        line = cls(entry.design, entry.functions)
        line.entry = entry
        return line

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the line that was written as text."""
        head, _, rest = text.partition("\t")  # in JSON, one that is a part of a text is escaped
        line = cls(*json.loads(head))
        line.rest = rest
        return line

    @cached_property
    def entry(self) -> KeptOutcome:
        """The outcome."""
        return KeptOutcome.of(self.rest)

    @cached_property
    def rest(self) -> str:
        """The outcome as JSON, which may be long."""
        return self.entry.as_json()

    @property
    def text(self) -> str:
        """What is written: first what most lines are passed over by."""
        return f"{json.dumps([self.design, self.functions])}\t{self.rest}\n"


def read(path: Path) -> list[KeptLine]:
    """Return the lines of a file; none if it is not there, or not whole."""
    content = user_cache.read(path)
    if content is None:
        return []
    text = content.partition(b"\n")[2].decode(errors="replace")
    if _with_digest(text) != content:
        user_cache.notify(user_cache.Notice.PROGRAM, f"{path} is not used: its content is not whole")
        return []
    return [KeptLine.read(line) for line in text.splitlines()]


def content_of(lines: Iterable[KeptLine]) -> bytes:
    """Return the content of the file with these lines."""
    return _with_digest("".join(line.text for line in lines))


def _with_digest(text: str) -> bytes:
    return f"{FORMAT} {hashlib.sha256(text.encode()).hexdigest()}\n{text}".encode()
