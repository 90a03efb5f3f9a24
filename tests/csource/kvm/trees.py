# SPDX-License-Identifier: GPL-2.0-only
"""Kernel trees for the tests: the sources where they were fetched, and copies with a change of ours."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from pfncache import user_cache
from pfncache.csource.kvm.joined import tables
from pfncache.csource.kvm.translation import FILES


def source(release: str) -> Path:
    """Return the tree of Debian's source of a release; skip the test where it was not fetched."""
    found = sorted((user_cache.root() / "sources").glob(f"{release}+*/source"))
    if not found:
        pytest.skip(f"the source of Linux {release} is not here: pfncache kernel build fetches it")
    return found[-1]


def copied(release: str, target: Path) -> Path:
    """Copy the files that are translated into a tree of their own."""
    tree = source(release)
    for name in (*FILES, *tables().headers):
        if (tree / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tree / name, target / name)
    return target


def body_of(text: str, function: str) -> tuple[int, int]:
    """Return where the body of a function begins and ends in the text of a C file."""
    found = re.search(rf"^[\w \t*]*\b{function}\([^;{{]*\)\n\{{", text, re.M)
    assert found is not None, f"there is no function {function}()"
    return found.end(), text.index("\n}\n", found.end())


def with_body(tree: Path, file: str, function: str, body: str) -> None:
    """Replace the body of a function by one of ours."""
    text = (tree / file).read_text()
    start, end = body_of(text, function)
    (tree / file).write_text(f"{text[:start]}\n{body}{text[end:]}")
