# SPDX-License-Identifier: GPL-2.0-only
"""Functions of the model have Linux's names, and what they cite is in Linux."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
"""Of names that a kernel developer will look for in the kernel."""


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
            if files and not any(re.search(rf"\b{function}\b", texts[name]) for name in files):
                wrong.append(f"{label(entry)}: {function}() is not in {', '.join(files)}")
    assert wrong == []
