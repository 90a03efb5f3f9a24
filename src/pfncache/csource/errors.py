# SPDX-License-Identifier: GPL-2.0-only
"""Errors of the translation, each with a place in the C."""

from __future__ import annotations


class SourceError(Exception):
    """A file that cannot be read as C at all. One line: file:line, what, and what to do."""

    def __init__(self, file: str, line: int, what: str) -> None:
        super().__init__(file, line, what)
        self.file = file
        self.line = line
        self.what = what

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


class RefusedError(Exception):
    """A construct of one function that is not translated."""

    def __init__(self, line: int, what: str, hint: str) -> None:
        super().__init__(line, what, hint)
        self.line = line
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.line}: {self.what}; {self.hint}"
