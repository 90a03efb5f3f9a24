# SPDX-License-Identifier: GPL-2.0-only
"""What is expected of a kernel: by a named design, by the C that it was built of, or by its probes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfncache import user_cache
from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.from_c import translation_of
from pfncache.kernels.apply import apply
from pfncache.kernels.image import Changes, Image
from pfncache.kernels.patch_mail import read
from pfncache.selftests.expected import expected_of
from pfncache.selftests.identify import Host
from tests.conftest import Call
from tests.csource.edits import Change, Edit, mail, substitute
from tests.csource.kvm.trees import source
from tests.selftests.ktap import parse

PFNCACHE = "virt/kvm/pfncache.c"
HOST = Host(None, DESIGNS["mainline-7.3"], "probed")
REFUSES = substitute(r"if \(!gpc->active\)", "if (true)")
"""kvm_gpc_check() of a cache that no lookup may use."""


@pytest.fixture
def tree() -> Path:
    """The source of 7.3.4, which is in the cache."""
    return source("7.3.4")


def built(tree: Path, folder: Path, edit: Edit, function: str) -> Image:
    """A kernel as `kernel build --series` keeps it, without what boots."""
    into = folder / "changed"
    into.mkdir()
    names = apply(read(mail(tree, folder, [Change(PFNCACHE, function, edit)])), tree, into)
    return Image("mine", tree.parent.name, Path("none"), None, changes=Changes(tree.parent.name, into, tuple(names)))


def test_a_named_design_comes_first(tree: Path, tmp_path: Path) -> None:
    image = built(tree, tmp_path, REFUSES, "kvm_gpc_check")
    found = expected_of(HOST, image, DESIGNS["rfc-v4"])
    assert (found.design.name, found.reason) == ("rfc-v4", "by --design")


def test_a_stock_kernel_is_as_probed() -> None:
    found = expected_of(HOST, Image("7.3.4", "7.3.4", Path("none"), None))
    assert (found.design.name, found.reason) == ("mainline-7.3", "probed")


def test_a_kernel_of_a_series_is_as_its_c(tree: Path, tmp_path: Path) -> None:
    found = expected_of(HOST, built(tree, tmp_path, REFUSES, "kvm_gpc_check"))
    assert (found.design.name, found.reason) == ("mine", "from the C that it was built of")
    translation = translation_of(found.design.patches[-1])
    assert translation is not None
    assert "kvm_gpc_check" in translation.translated


def test_c_that_is_refused_is_not_expected(tree: Path, tmp_path: Path) -> None:
    edit = substitute(r"lockdep_assert_held", "a_function_of_nowhere(gpc); lockdep_assert_held")
    found = expected_of(HOST, built(tree, tmp_path, edit, "hva_to_pfn_retry"))
    assert found.design is HOST.design
    assert found.reason.startswith(f"probed; not by its C: not translated: {PFNCACHE}:")
    assert "a_function_of_nowhere" in found.reason


def test_a_source_that_is_gone(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = built(tree, tmp_path, REFUSES, "kvm_gpc_check")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert user_cache.root() == tmp_path / "cache/pfncache"
    found = expected_of(HOST, image)
    assert found.reason == f"probed; not by its C: the source of Linux {image.release} is not in the cache any more"


def test_selftests_on_the_model_of_a_series(pfncache: Call, tree: Path, tmp_path: Path) -> None:
    """A clock that no check lets through is never written, which the test finds."""
    series = mail(tree, tmp_path, [Change(PFNCACHE, "kvm_gpc_check", REFUSES)])
    done = pfncache("selftest", "--machine", "model", "--design", str(series), "clock/in-anon")
    assert done.code == 1, done.err
    (group,) = parse(done.out)
    assert [(test.name, test.ok) for test in group.subtests] == [("in-anon", False)]
