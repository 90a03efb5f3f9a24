# SPDX-License-Identifier: GPL-2.0-only
"""docs/reference/json.md names every member of the document of verify."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.conftest import Run
from tools.console import ROOT

PAGE = ROOT / "docs" / "reference" / "json.md"


def members(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from members(member)
    elif isinstance(value, list):
        for member in value:
            yield from members(member)


def test_members_of_verify(pfncache: Callable[..., Run]) -> None:
    scenarios = ("-s", "gpc/activate-twice", "-s", "space/anon/cache+touch/start=never-used,context=two-tasks")
    document = pfncache(
        "verify", "list-outside-refresh-lock", *scenarios, "--coverage", "--minimise", "--json"
    ).document
    text = PAGE.read_text()
    section = text[text.index("## verify") : text.index("## The other verbs")]
    rows = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    named = {name.split(".")[-1] for row in rows for name in re.findall(r"`([\w.\[\]]+)`", row)}
    assert named == set(members(document))
    assert f"schema {document['schema']}:" in section
