# SPDX-License-Identifier: GPL-2.0-only
"""Native code is cached per version of all sources of check/."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, cast

from pfncache.check.engine import bfs as engine
from pfncache.check.engine import numba_cache as native
from pfncache.check.liveness import graph

CHECK = Path(native.__file__).parent.parent


def test_the_digest_depends_on_every_source(tmp_path: Path) -> None:
    sources = tmp_path / "check"
    shutil.copytree(CHECK, sources, ignore=shutil.ignore_patterns("__pycache__"))
    before = native.digest(sources)
    assert before == native.digest(CHECK)
    (sources / "program" / "layout.py").write_text((sources / "program" / "layout.py").read_text() + "\n")
    assert native.digest(sources) != before


def test_native_code_is_in_the_directory_of_its_version() -> None:
    places = [cast(Any, function)._cache.cache_path for function in (engine.explore, graph._fill)]
    digest = native.digest(CHECK)
    assert all(f"/{digest}/" in place for place in places)


def test_the_newest_versions_are_kept(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"old{number}").mkdir()
        os.utime(tmp_path / f"old{number}", (number, number))
    path = native.place(tmp_path, CHECK)
    assert path is not None
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([path.name, "old3", "old4"])
