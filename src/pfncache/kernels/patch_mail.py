# SPDX-License-Identifier: GPL-2.0-only
"""Parse a patch series: a folder of git format-patch, an mbox, or a single mail."""

from __future__ import annotations

import email
import email.policy
import mailbox
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from email.header import Header
from email.message import EmailMessage
from functools import cached_property
from pathlib import Path, PurePosixPath

_SUFFIXES = (".patch", ".eml", ".mbox")
_PREFIX = re.compile(r"^\s*((?:\[[^]]*\]\s*)*)(.*)$", re.DOTALL)
_NUMBER = re.compile(r"\b(\d+)/(\d+)\b")
_VERSION = re.compile(r"\bv(\d+)\b", re.IGNORECASE)
_ANSWER = re.compile(r"\s*(?:re:|\w{2,3}:\s*\[)", re.IGNORECASE)
_BASE = re.compile(rb"^base-commit: ([0-9a-f]{7,64})\s*$", re.MULTILINE)
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
    new_line: int = 0
    """First line, in the new file."""

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
    total: int = 0
    """Number of patches of its series: 7 for [PATCH RFC v4 1/7]; 0 if the prefix has none."""

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


def _silent(text: str) -> None:
    """Report nothing."""


def read(path: Path, report: Callable[[str], object] = _silent) -> list[PatchMail]:
    """Return the patches at a path, in the order of their numbers. Raises SeriesError without any.

    Of several versions, the newest is taken, as b4 does; `report` gets a line on what was left out or is missing.
    """
    found = [mail for file in files_at(path) for mail in _mails(file)]
    if not found:
        raise SeriesError(f"no patch in {path}; give a folder of git format-patch, or an mbox")
    found = newest(found, report)
    for mail in found:
        for name in mail.files:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise SeriesError(f"{mail.subject!r} changes {name!r}, which is not in the kernel's tree")
    return found


def write_series(folder: Path, mails: Sequence[PatchMail]) -> None:
    """Write patches as a folder of git format-patch."""
    for number, mail in enumerate(mails, 1):
        subject = Header(f"[PATCH {number}/{len(mails)}] {mail.subject}").encode()
        (folder / f"{number:04}.patch").write_bytes(f"Subject: {subject}\n\n".encode() + mail.diff)


def newest(mails: Sequence[PatchMail], report: Callable[[str], object] = _silent) -> list[PatchMail]:
    """Return the newest version of a series, in the order of its numbers.

    A patch that the newest version does not have is taken from the one before, if that has as many patches: it was sent
    again alone. The same mail twice counts once.
    """
    found = list({(mail.version, mail.number, mail.subject, mail.diff.strip()): mail for mail in mails}.values())
    series = [mail for mail in found if mail.total]
    kept, last = [mail for mail in found if not mail.total], 0
    if series:
        last = max(mail.version for mail in series)
        total = max(mail.total for mail in series if mail.version == last)
        for version in sorted({mail.version for mail in series}, reverse=True):
            have = {mail.number for mail in kept if mail.total}
            kept += [
                mail for mail in series
                if mail.version == version and (version == last or (mail.total == total and mail.number not in have))
            ]  # fmt: skip
        if missing := sorted(set(range(1, total + 1)) - {mail.number for mail in kept if mail.total}):
            report(f"patch {', '.join(map(str, missing))} of {total} is missing")
    kept = [mail for mail in kept if not any(_replaces(other, mail) for other in kept)]
    if left := sorted({mail.version for mail in found if mail not in kept}):
        top = max(mail.version for mail in kept)
        older = ", ".join(f"{mail.number} (v{mail.version})" for mail in kept if mail.total and mail.version < last)
        rest = f", with patch {older}" if older else ""
        report(f"{', '.join(f'v{version}' for version in left)} and v{top} are there: v{top} is taken{rest}")
    return sorted(kept, key=lambda mail: mail.number)


def _replaces(other: PatchMail, mail: PatchMail) -> bool:
    """Whether a single patch is a later version of another."""
    return not other.total and not mail.total and other.version > mail.version and other.subject == mail.subject


@dataclass(frozen=True, kw_only=True)
class Cover:
    """What the mails say of the newest version of a series as a whole."""

    subject: str = ""
    """That of the cover letter; empty without one."""
    version: int = 1
    base_commit: str = ""
    """What `git format-patch --base` names; empty without it."""


def cover(path: Path) -> Cover:
    """Return what the mails at a path say of their newest version: its subject, and the commit that it is based on."""
    found = Cover()
    for message in (message for file in files_at(path) for message in _messages(file)):
        prefix, subject = _split(message, path)
        number, version = _NUMBER.search(prefix), _VERSION.search(prefix)
        v = int(version[1]) if version else 1
        if _is_answer(subject) or (number is None and _DIFF.search(_body(message)) is None) or v < found.version:
            continue
        if v > found.version:
            found = Cover(version=v)
        base = _BASE.search(_body(message))
        if base is not None:
            found = replace(found, base_commit=base[1].decode())
        if number is not None and int(number[1]) == 0:
            found = replace(found, subject=" ".join(subject.split()))
    return found


def files_at(path: Path) -> list[Path]:
    """Return the files with mails at a path. Raises SeriesError if there is nothing."""
    if not path.exists():
        raise SeriesError(f"no series {str(path)!r}: no such file or folder")
    return sorted(p for p in path.iterdir() if p.suffix in _SUFFIXES) if path.is_dir() else [path]


def _messages(path: Path) -> list[EmailMessage]:
    if not path.read_bytes().startswith(b"From "):
        return [_message(path.read_bytes())]
    box = mailbox.mbox(path, create=False)
    try:
        return [_message(message.as_bytes()) for message in box]
    finally:
        box.close()


def _split(message: EmailMessage, path: Path) -> tuple[str, str]:
    """Return the prefix of a subject, as [PATCH v2 1/3], and the rest."""
    prefix, subject = _PREFIX.match(str(message["Subject"] or path.stem)).groups()  # type: ignore[union-attr]
    return prefix, subject


def _is_answer(subject: str) -> bool:
    """Whether a subject is that of an answer, in any language: "Re:", "AW:" and others stand before the brackets."""
    return _ANSWER.match(subject) is not None


def _mails(path: Path) -> Iterator[PatchMail]:
    for place, message in enumerate(_messages(path), 1):
        prefix, subject = _split(message, path)
        diff = _body(message)
        number, version = _NUMBER.search(prefix), _VERSION.search(prefix)
        is_cover = number is not None and int(number[1]) == 0
        if is_cover or _is_answer(subject) or _DIFF.search(diff) is None:
            continue
        yield PatchMail(
            int(number[1]) if number else place,
            " ".join(subject.split()),
            int(version[1]) if version else 1,
            diff,
            int(number[2]) if number else 0,
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
        yield Hunk(path, int(head[1]), head[5], tuple(body), int(head[3]))
