# SPDX-License-Identifier: GPL-2.0-only
"""The architecture picture is that of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.architecture import direct, draw, floors, imports


def test_rooms() -> None:
    graph = imports()
    assert {"lang", "linux", "check", "designs", "scenarios", "properties", "verify", "commands"} <= set(graph)
    assert graph["linux"] == {"lang"}
    assert graph["lang"] == set()
    assert not any("commands" in others for others in graph.values())


def test_floors() -> None:
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set(), "d": set()}
    assert floors(graph) == [["c", "d"], ["b"], ["a"]]
    assert direct(graph) == {"a": {"b"}, "b": {"c"}, "c": set(), "d": set()}


def test_a_circle_is_named() -> None:
    with pytest.raises(ValueError, match="a -> b -> a"):
        floors({"a": {"b"}, "b": {"a"}})


def test_picture(tmp_path: Path) -> None:
    draw({"a": {"b"}, "b": set()}, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    assert "<svg" in text
    assert "a/" in text
