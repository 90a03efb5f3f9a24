# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from pfncache.kernels.make import BuildError
from pfncache.kernels.tree import Tree
from tests.kernels import sources
from tests.kernels.posted import BEFORE, SOURCE


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tree = Tree(sources.source(), "kvm")
    with tree.locked():
        pass
    return tree


def put(tree: Tree, folder: Path, **texts: str | None) -> None:
    """Put files, of which None is one that was removed."""
    names = {"cache": SOURCE, "new": "virt/kvm/new.c", "kconfig": "virt/kvm/Kconfig"}
    for key, text in texts.items():
        if text is not None:
            (folder / names[key]).parent.mkdir(parents=True, exist_ok=True)
            (folder / names[key]).write_text(text)
    tree.put([names[key] for key in texts], folder)


def test_the_source_stays_and_comes_back(tree: Tree, tmp_path: Path) -> None:
    assert (tree.path / SOURCE).samefile(tree.source.tree / SOURCE)
    put(tree, tmp_path / "one", cache="changed\n", new="new\n")
    assert (tree.path / SOURCE).read_text() == "changed\n"
    assert (tree.path / "virt/kvm/new.c").read_text() == "new\n"
    assert (tree.source.tree / SOURCE).read_text() == BEFORE
    put(tree, tmp_path / "two", cache=None)
    assert not (tree.path / SOURCE).exists() and not (tree.path / "virt/kvm/new.c").exists()
    put(tree, tmp_path / "three")
    assert (tree.path / SOURCE).read_text() == BEFORE


def test_what_is_the_same_is_not_written(tree: Tree, tmp_path: Path) -> None:
    put(tree, tmp_path / "one", cache="changed\n")
    before = (tree.path / SOURCE).stat()
    put(tree, tmp_path / "two", cache="changed\n", new="new\n")
    assert (tree.path / SOURCE).stat() == before


def test_an_interrupted_change_is_known(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Path, target: Path) -> Path:
        if target.name == "new.c":
            raise KeyboardInterrupt
        return rename(self, target)

    rename = Path.replace
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", interrupt)
        put(tree, tmp_path / "one", cache="changed\n", new="new\n")
    assert (tree.path / SOURCE).read_text() == "changed\n"
    put(tree, tmp_path / "two")
    assert (tree.path / SOURCE).read_text() == BEFORE
    assert sorted(path.name for path in (tree.path / "virt/kvm").iterdir()) == ["Kconfig", "cache.c"]


def test_other_options_are_configured_anew(tree: Tree, tmp_path: Path) -> None:
    tree.set_ready("CONFIG_KVM=m")
    put(tree, tmp_path / "one", cache="changed\n")
    assert tree.ready("CONFIG_KVM=m") and not tree.ready("CONFIG_KVM=y")
    put(tree, tmp_path / "two", kconfig="config OTHER\n")
    assert not tree.ready("CONFIG_KVM=m")


def test_one_at_a_time(tree: Tree) -> None:
    other = Tree(tree.source, "kvm")
    with tree.locked(), pytest.raises(BuildError) as error, other.locked():
        pass
    assert str(error.value) == f"another process is building in {tree.path}: try again later"
