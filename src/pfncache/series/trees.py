# SPDX-License-Identifier: GPL-2.0-only
"""Kernel trees before and after a series: the files that are translated, and those that the series touches."""

from __future__ import annotations

import hashlib
import inspect
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pfncache import user_cache
from pfncache.csource.kvm.joined import tables
from pfncache.csource.kvm.translation import FILES
from pfncache.kernels import apply as applying
from pfncache.kernels.image import Changes
from pfncache.kernels.patch_mail import PatchMail, SeriesError
from pfncache.linux.vmlinux import Vmlinux

GIT_SECONDS = 60.0
MAX_LINES = 5000
"""Lines of C that a series may change in KVM's files: the translation of more takes longer than its review."""
VERSION = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL)\s*=\s*(\d+)\s*$", re.MULTILINE)
MODEL = Path(inspect.getfile(Vmlinux)).parent
"""The model, which mirrors the kernel tree."""
FOLDERS = ("virt/kvm/", "arch/x86/kvm/", "include/linux/kvm")
"""Where new files of a series are translated, too."""


@dataclass(frozen=True)
class KernelTree:
    """The files of a kernel that are read for a translation."""

    path: Path
    version: str
    """The kernel's, as 7.3.4."""
    texts: Mapping[str, bytes]
    """By path in the tree; a file that the tree does not have is missing."""

    @property
    def sources(self) -> list[str]:
        """The C files to translate: those of every kernel, and new ones of the series."""
        new = (
            n for n in self.texts if n.startswith(FOLDERS) and n.endswith(".c") and n not in FILES and not is_by_hand(n)
        )
        return [*(name for name in FILES if name in self.texts), *sorted(new)]


def is_by_hand(name: str) -> bool:
    """Return whether the model mirrors a file of the kernel tree, in which case only FILES are read as C."""
    path = MODEL / name
    return path.with_suffix("").is_dir() or path.with_suffix(".py").is_file()


def require_small(series: Sequence[PatchMail]) -> None:
    """Require that a series is small enough to be translated. Raises SeriesError for the patch that is not."""
    for mail in series:
        lines = sum(
            line.startswith(("+", "-")) for hunk in mail.hunks if hunk.path.startswith(FOLDERS) for line in hunk.body
        )
        if lines > MAX_LINES:
            raise SeriesError(
                f"patch {mail.number} ({mail.subject}) changes {lines:,} lines of KVM's files, more than {MAX_LINES:,};"
                " split it"
            )


def read_names() -> list[str]:
    """Return the files of a kernel that a translation reads."""
    return list(dict.fromkeys((*FILES, *tables().headers)))


def version_of(tree: Path) -> str:
    """Return the version of a kernel tree, from its Makefile. Raises SeriesError if it is none."""
    try:
        text = (tree / "Makefile").read_text(errors="replace")
    except OSError:
        raise SeriesError(f"{tree} is no kernel tree: it has no Makefile") from None
    numbers = dict(VERSION.findall(text))
    if "VERSION" not in numbers or "PATCHLEVEL" not in numbers:
        raise SeriesError(f"{tree} is no kernel tree: its Makefile has no VERSION and PATCHLEVEL")
    return ".".join(numbers[name] for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL") if name in numbers)


def tree_at(path: Path, version: str, touched: Iterable[str] = ()) -> KernelTree:
    """Return a kernel tree as it is on disk, with the files that are read and `touched` ones."""
    names = dict.fromkeys((*read_names(), *touched))
    found = {name: (path / name).read_bytes() for name in names if (path / name).is_file()}
    if not any(name in found for name in FILES):
        raise SeriesError(f"{path} is no kernel tree: it has no {FILES[0]}")
    return KernelTree(path, version, found)


def with_changes(base: KernelTree, changes: Changes) -> KernelTree:
    """Return the tree with the files that a series has changed already."""
    return _replaced(base, changes.folder, changes.names)


def with_series(base: KernelTree, series: Sequence[PatchMail]) -> KernelTree:
    """Return the tree with a series applied. Raises SeriesError for the first patch that does not apply."""
    with user_cache.scratch() as scratch:
        touched = applying.apply(series, base.path, scratch)
        return _replaced(base, scratch, touched)


def _replaced(base: KernelTree, folder: Path, names: Iterable[str]) -> KernelTree:
    """Return the tree with files of a folder in the place of its own; one that is not there was removed."""
    changed = {name: (folder / name).read_bytes() if (folder / name).is_file() else None for name in names}
    texts = {**base.texts, **changed}
    return _kept(base, {name: text for name, text in texts.items() if text is not None})


def at_commit(repository: Path, commit: str, names: Iterable[str]) -> KernelTree:
    """Return the tree of a commit in a git repository. Raises SeriesError for what is no commit there."""
    texts: dict[str, bytes] = {}
    for name in names:
        done = _git(repository, "cat-file", "blob", f"{commit}:{name}")
        if done.returncode == 0:
            texts[name] = done.stdout
    if not any(name in texts for name in FILES):
        raise SeriesError(f"{commit} in {repository} is no kernel: it has no {FILES[0]}")
    makefile = _git(repository, "cat-file", "blob", f"{commit}:Makefile").stdout.decode(errors="replace")
    numbers = dict(VERSION.findall(makefile))
    version = ".".join(numbers[n] for n in ("VERSION", "PATCHLEVEL", "SUBLEVEL") if n in numbers)
    return _kept(KernelTree(repository, version, {}), texts)


def commits_of(repository: Path, span: str) -> tuple[str, str, list[str]]:
    """Return the ends of a range A..B in a repository, and the files that differ. Raises SeriesError."""
    first, dots, last = span.partition("..")
    if not first or not dots or not last or last.startswith("."):
        raise SeriesError(f"--range {span}: a range is two commits, A..B")
    ends = []
    for commit in (first, last):
        done = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}")
        if done.returncode != 0:
            raise SeriesError(f"--range {span}: {repository} has no commit {commit!r}")
        ends.append(done.stdout.decode().strip())
    names = _git(repository, "diff", "--name-only", "--no-renames", "-z", *ends).stdout.decode(errors="replace")
    return ends[0], ends[1], [name for name in names.split("\0") if name]


def commits_between(repository: Path, first: str, last: str) -> list[tuple[str, str]]:
    """Return the commits after `first` up to `last`, oldest first, with their subjects."""
    done = _git(repository, "log", "--reverse", "--first-parent", "--format=%H %s", f"{first}..{last}")
    lines = done.stdout.decode(errors="replace").splitlines()
    return [(commit, subject) for commit, _, subject in (line.partition(" ") for line in lines)]


def _git(repository: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    command = ["git", "-C", str(repository), *words]
    return subprocess.run(command, capture_output=True, timeout=GIT_SECONDS, check=False)


def _kept(base: KernelTree, texts: Mapping[str, bytes]) -> KernelTree:
    """Write files into the cache, in a folder named by their content: traces show their lines."""
    whole = hashlib.sha256()
    for name, text in sorted(texts.items()):
        whole.update(f"{name} {len(text)}\n".encode() + text)
    path = user_cache.folder("trees") / whole.hexdigest()[:24]
    if not path.is_dir():
        with user_cache.complete(path) as part:
            for name, text in texts.items():
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                (part / name).write_bytes(text)
    return KernelTree(path, base.version, dict(texts))
