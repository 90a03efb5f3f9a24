# SPDX-License-Identifier: GPL-2.0-only
"""Functions of the model have Linux's names, and what they cite is in Linux."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pfncache.linux
from pfncache import user_cache
from pfncache.lang.part_of import CALLER
from tools.fidelity import Entry, entries

RELEASE = "7.3.4"
WHERE = re.compile(r"^(nothing; |[a-z0-9_]+(/[\w.-]+)*/[\w.-]+\.[chS]\b)")
FILE = re.compile(r"\b[a-z0-9_]+(?:/[\w.-]+)*/[\w.-]+\.[chS]\b")
CITED = re.compile(r"\b(\w+)\(\)")
KERNEL_PREFIXES = (
    "kvm_", "_kvm_", "gfn_to_", "hva_to_", "gpc_", "mmu_", "xen_", "filemap_", "folio_", "shmem_", "vma_", "srcu_",
    "pvclock_", "host_map_", "handle_mm_", "mmap_",
)  # fmt: skip
"""Prefixes of names that a kernel developer greps for in the kernel."""
MIRRORED = ("arch/", "fs/", "kernel/", "mm/")
"""Folders in which a file is a C file of Linux, or a piece of one in a folder of that name."""


def label(entry: Entry) -> str:
    return f"{entry.file}:{entry.line} {entry.name}()"


def cites(entry: Entry) -> bool:
    """Whether the citation has the function's very name; that of a record's method may have the record's before it."""
    before = r"\w*" if "." in entry.name else r"(?<!\w)"
    return re.search(rf"{before}{entry.linux_function}\(\)", entry.linux) is not None


def test_every_function_says_where_it_is_in_linux() -> None:
    assert [f"{label(e)}: {e.linux}" for e in entries() if not WHERE.match(e.linux)] == []


def test_every_function_has_the_name_that_it_cites_or_is_a_part() -> None:
    wrong = [e for e in entries() if e.linux_function != CALLER and not cites(e)]
    assert [f"{label(e)}, {e.linux_function}(): {e.linux}" for e in wrong] == []


def test_no_part_has_a_name_that_looks_like_one_of_the_kernel() -> None:
    parts = [e for e in entries() if e.is_part and "." not in e.name]
    assert [label(e) for e in parts if e.name.startswith(KERNEL_PREFIXES)] == []


def test_functions_stand_in_the_file_that_linux_has_them_in() -> None:
    """A part of its callers, or the bytes of direct execution (host_), may stand beside the code that uses it."""
    elsewhere = []
    for entry in entries():
        homes = [re.sub(r"-", "_", name.rsplit(".", 1)[0]) for name in FILE.findall(entry.linux)]
        headers_only = all(name.endswith(".h") for name in FILE.findall(entry.linux))
        here = entry.file.removesuffix(".py")
        exempt = entry.linux_function == CALLER or entry.name.startswith("host_") or headers_only
        if entry.file.startswith(MIRRORED) and not exempt:
            if not any(here == home or here.startswith(f"{home}/") for home in homes):
                elsewhere.append(f"{label(entry)}: {entry.linux}")
    assert elsewhere == []


def source() -> Path:
    """The tree of Debian's source, where it was fetched."""
    found = sorted((user_cache.root() / "sources").glob(f"{RELEASE}+*/source"))
    if not found:
        pytest.skip(f"the source of Linux {RELEASE} is not here: pfncache kernel build fetches it")
    return found[-1]


@pytest.mark.slow
def test_what_is_cited_is_in_linux() -> None:
    tree = source()
    texts: dict[str, str] = {}
    wrong = []
    for entry in entries():
        files = FILE.findall(entry.linux)
        for name in files:
            if name not in texts:
                path = tree / name
                texts[name] = path.read_text(errors="replace") if path.is_file() else ""
                if not path.is_file():
                    wrong.append(f"{label(entry)}: {name} is not in Linux {RELEASE}")
        for function in CITED.findall(entry.linux):
            # A line that defines or declares it is not indented, and no statement; a comment is not enough.
            defined = re.compile(rf"^(?:[A-Za-z_#][^\n;]*?[\s*(])?{function}\b", re.MULTILINE)
            if files and not any(defined.search(texts[name]) for name in files):
                wrong.append(f"{label(entry)}: {function}() is not in {', '.join(files)}")
    assert not wrong, "\n".join(wrong)


def places(path: Path) -> Iterator[str]:
    """Yield where the namesake of a file may be in the kernel tree: the file, or the C file that it is a piece of."""
    for name in (path.with_suffix(""), path.parent):
        for leaf in (name.name, name.name.replace("_", "-")):
            yield from ((name.parent / f"{leaf}.{kind}").as_posix() for kind in "chS")


@pytest.mark.slow
def test_files_mirror_the_tree() -> None:
    tree = source()
    package = Path(pfncache.linux.__file__).parent
    strange = []
    for file in sorted(package.rglob("*.py")):
        path = file.relative_to(package)
        if path.name not in ("__init__.py", "vmlinux.py") and not any(
            (tree / place).is_file() for place in places(path)
        ):
            strange.append(str(path))
    assert strange == []
