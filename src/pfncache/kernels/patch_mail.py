# SPDX-License-Identifier: GPL-2.0-only
"""Parse a patch series: a folder of git format-patch, an mbox, or a single mail."""

from __future__ import annotations

import email
import email.policy
import mailbox
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from functools import cached_property
from pathlib import Path, PurePosixPath

_SUFFIXES = (".patch", ".eml", ".mbox")
_PREFIX = re.compile(r"^\s*((?:\[[^]]*\]\s*)*)(.*)$", re.DOTALL)
_NUMBER = re.compile(r"\b(\d+)/(\d+)\b")
_VERSION = re.compile(r"\bv(\d+)\b", re.IGNORECASE)
_DIFF = re.compile(rb"^(?:diff --git |--- )", re.MULTILINE)
_FILE = re.compile(r"^(?:(?:---|\+\+\+) [ab]/|rename (?:from|to) )(.+?)(?:\t.*)?$", re.MULTILINE)
_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)$")
_FUNCTION = re.compile(r"^[A-Za-z_][^;={}]*?\b(\w+)\(")


class SeriesError(Exception):
    """A series that cannot be read or does not apply; the message names the patch and the place."""


@dataclass(frozen=True)
class Hunk:
    """One hunk of a patch."""

    path: str
    line: int
    """First line, in the old file."""
    heading: str
    """Heading by diff, most often the function's first line."""
    body: tuple[str, ...]

    @property
    def functions(self) -> set[str]:
        """Functions that the hunk is in or defines, by diff's heading and by unindented lines."""
        lines = [self.heading, *(line[1:] for line in self.body)]
        return {match[1] for line in lines if (match := _FUNCTION.match(line)) is not None}


@dataclass(frozen=True)
class PatchMail:
    """One patch of a series."""

    number: int
    subject: str
    """Subject without the prefix in brackets."""
    version: int
    """Version from the prefix: 4 for [PATCH RFC v4 1/7]."""
    diff: bytes

    @cached_property
    def files(self) -> list[str]:
        """Files that it changes, creates or removes."""
        return list(dict.fromkeys(_FILE.findall(self.diff.decode(errors="replace"))))

    @cached_property
    def hunks(self) -> list[Hunk]:
        """Hunks in order."""
        return list(_hunks(self.diff.decode(errors="replace").splitlines()))

    @property
    def functions(self) -> set[str]:
        """Functions that it touches."""
        return {name for hunk in self.hunks for name in hunk.functions}


def read(path: Path) -> list[PatchMail]:
    """Return the patches at a path, in the order of their numbers. Raises SeriesError without any."""
    if not path.exists():
        raise SeriesError(f"no series {str(path)!r}: no such file or folder")
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix in _SUFFIXES)
    else:
        files = [path]
    found = [mail for file in files for mail in _mails(file)]
    if not found:
        raise SeriesError(f"no patch in {path}; give a folder of git format-patch, or an mbox")
    found.sort(key=lambda mail: mail.number)
    for mail in found:
        for name in mail.files:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise SeriesError(f"{mail.subject!r} changes {name!r}, which is not in the kernel's tree")
    return found


def _mails(path: Path) -> Iterator[PatchMail]:
    if path.read_bytes().startswith(b"From "):
        box = mailbox.mbox(path, create=False)
        try:
            messages = [_message(message.as_bytes()) for message in box]
        finally:
            box.close()
    else:
        messages = [_message(path.read_bytes())]
    for place, message in enumerate(messages, 1):
        prefix, subject = _PREFIX.match(str(message["Subject"] or path.stem)).groups()  # type: ignore[union-attr]
        diff = _body(message)
        if subject.lower().startswith("re:") or _DIFF.search(diff) is None:
            continue  # a cover letter, or a reply
        number, version = _NUMBER.search(prefix), _VERSION.search(prefix)
        yield PatchMail(
            int(number[1]) if number else place,
            " ".join(subject.split()),
            int(version[1]) if version else 1,
            diff,
        )


def _message(data: bytes) -> EmailMessage:
    return email.message_from_bytes(data, policy=email.policy.default)


def _body(message: EmailMessage) -> bytes:
    parts = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    text = b"\n".join(part for part in parts if isinstance(part, bytes))
    return text.replace(b"\r\n", b"\n")


def _hunks(lines: list[str]) -> Iterator[Hunk]:
    path, at = "", 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith(("--- a/", "+++ b/")):
            path = line[6:].split("\t")[0]
        head = _HUNK.match(line)
        if head is None:
            continue
        old, new = (int(head[group] or 1) if head[group] != "0" else 0 for group in (2, 4))
        body = []
        while (old > 0 or new > 0) and at < len(lines):
            text = lines[at]
            at += 1
            if not text.startswith("\\"):
                old -= not text.startswith("+")
                new -= not text.startswith("-")
            body.append(text)
        yield Hunk(path, int(head[1]), head[5], tuple(body))
