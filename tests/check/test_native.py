# SPDX-License-Identifier: GPL-2.0-only
"""Native code belongs to one version of all the sources that it was made from."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, cast

from pfncache.check import engine, graph, native


def test_any_source_counts(tmp_path: Path) -> None:
    sources = tmp_path / "check"
    shutil.copytree(Path(native.__file__).parent, sources, ignore=shutil.ignore_patterns("__pycache__"))
    before = native.digest(sources)
    assert before == native.digest(Path(native.__file__).parent)
    (sources / "link.py").write_text((sources / "link.py").read_text() + "\n")
    assert native.digest(sources) != before


def test_what_is_compiled_of_one_version_is_together() -> None:
    places = [cast(Any, function)._cache.cache_path for function in (engine.explore, graph._fill)]
    digest = native.digest(Path(native.__file__).parent)
    assert all(f"/{digest}/" in place for place in places)


def test_a_few_versions_are_kept(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"old{number}").mkdir()
        os.utime(tmp_path / f"old{number}", (number, number))
    path = native.place(tmp_path, Path(native.__file__).parent)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([path.name, "old3", "old4"])
