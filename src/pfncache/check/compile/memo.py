# SPDX-License-Identifier: GPL-2.0-only
"""Reuse of step code: a function is compiled once for what matters to it, and inlined wherever it is called so."""

from __future__ import annotations

from collections.abc import Hashable

from pfncache.check.code import Code
from pfncache.check.compile.facts import Fact, SystemFacts
from pfncache.check.compile.function_code import Body, FunctionCode
from pfncache.check.compile.numbering import Numbering
from pfncache.check.compile.relocate import Relocator
from pfncache.check.compile.writes import Assumed
from pfncache.check.ir import Column, Variable

MAX_FUNCTIONS = 60_000
"""Compiled calls that are kept, of some 4 kB each; when there are more, all are dropped."""
MAX_CODE_ROWS = 400_000
"""Instructions of actors whose step code is kept, of some 2 kB each with what the layout has found out about them; the
code that was used least recently goes first."""


class Memo:
    """Compiled calls, by what their compilation began with.

    The compiler is a function of that and of the answers to its queries, which it makes one after the other. Where the
    start and all answers are the same, so are the queries, and the code.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drop everything."""
        self.facts: Numbering[Fact] = Numbering()
        self.places: Numbering[Variable | Column] = Numbering()
        self.names: Numbering[str] = Numbering()
        self.keys: Numbering[Hashable] = Numbering()
        self._functions: dict[object, list[FunctionCode]] = {}
        self._count = 0
        self._bodies: dict[object, Body] = {}
        self._relocator = Relocator()
        self._codes: dict[Body, Code] = {}
        self._code_rows = 0

    def limit(self) -> None:
        """Drop everything if it is too much. No system may be under way, as its masks are those of the memo."""
        if self._count > MAX_FUNCTIONS:
            self.forget()

    def find(self, key: object, facts: SystemFacts, assumed: Assumed) -> FunctionCode | None:
        """Return code that is valid in a system, beside actors that write what is assumed; None if there is none."""
        for code in reversed(self._functions.get(key, [])):  # systems that are alike follow each other
            if assumed.varying & code.asked == code.varying and facts.hold(code.facts):
                return code
        return None

    def keep(self, key: object, code: FunctionCode) -> None:
        """Store the code of a call."""
        if code.is_reusable:
            self._functions.setdefault(key, []).append(code)
            self._count += 1

    def shared(self, body: Body) -> Body:
        """Return the one body with the content of `body`."""
        return self._bodies.setdefault(body.content, body)

    def code(self, body: Body) -> Code:
        """Return the step code of an actor with this body; it is laid out once."""
        code = self._codes.pop(body, None)
        if code is None:
            code = self._relocator.code(body)
            self._code_rows += len(code.rows)
        self._codes[body] = code
        while self._code_rows > MAX_CODE_ROWS and len(self._codes) > 1:
            self._code_rows -= len(self._codes.pop(next(iter(self._codes))).rows)
        return code
