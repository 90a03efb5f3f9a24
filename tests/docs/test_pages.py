# SPDX-License-Identifier: GPL-2.0-only
"""Names and pictures in the documentation are those that exist."""

from __future__ import annotations

import re

from pfncache.matrix.paths import PATHS
from pfncache.properties import PROPERTIES
from pfncache.selftests import SELFTESTS
from tools.console import ROOT, pages

DOCS = ROOT / "docs"
BESIDES = {"uapi", "footprint", "livelock", "deadlock", "splats"}
"""What a selftest can watch without a property of the checker."""


def test_every_path_of_the_matrix_is_explained() -> None:
    text = (DOCS / "results" / "matrix.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \|$", text, re.MULTILINE)
    named = {name for row in rows for name in row.replace("read, write", "read, emulator write").split(", ")}
    assert set(PATHS) <= named


def test_groups_of_selftests_exist() -> None:
    groups = {test.group for test in SELFTESTS.values()}
    assert {"recreate", "dirty-log", "series", "paused-lookup", "long-window", "gmem", "attributes"} <= groups


def test_properties_that_selftests_watch_exist() -> None:
    assert {test.watches for test in SELFTESTS.values()} - set(PROPERTIES) <= BESIDES


def test_pictures_are_there_and_small() -> None:
    for page in pages():
        for name in re.findall(r"!\[[^\]]*\]\(([^)]+\.svg)\)", page.read_text()):
            if "generated/" not in name:
                assert 1000 < (page.parent / name).stat().st_size < 300_000, name


def test_files_of_the_project_that_pages_name_exist() -> None:
    """Paths in backquotes, from the root, from the package, or from the kernel tree."""
    missing = set()
    bases = (ROOT, ROOT / "src" / "pfncache", ROOT / "src" / "pfncache" / "linux")
    for page in pages():
        for name in re.findall(r"`([a-z][\w/.-]*/[\w.-]+\.(?:py|md|config))`", page.read_text()):
            if not any((base / name).exists() for base in bases):
                missing.add(f"{page.relative_to(ROOT)}: {name}")
    assert not missing


def test_links_of_files_outside_the_site_exist() -> None:
    """Sphinx checks the links between pages of the site."""
    for name in ("README.md", "CONTRIBUTING.md", "STYLE.md", "SECURITY.md", "CHANGELOG.md"):
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / name).read_text()):
            assert link.startswith("https://") or (ROOT / link).exists(), f"{name}: {link}"


def test_every_text_file_has_its_licence_line() -> None:
    for page in [*pages(), *(ROOT / name for name in ("STYLE.md", "SECURITY.md", "CHANGELOG.md"))]:
        assert page.read_text().startswith("<!-- SPDX-License-Identifier: GPL-2.0-only -->\n"), page
