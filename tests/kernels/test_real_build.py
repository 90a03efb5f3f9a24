# SPDX-License-Identifier: GPL-2.0-only
"""A patch in a real kernel: the model predicts which tests it changes, and how.

Needs what `pfncache kernel build --base 7.3` has fetched and built before: a first build takes minutes.
"""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Iterator

import pytest

from pfncache import user_cache as cache
from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Patch
from pfncache.kernels import debian, make, variant
from pfncache.kernels.build import build
from pfncache.kernels.flavour import STOCK
from pfncache.kernels.image import Image
from pfncache.kernels.patch_mail import PatchMail
from pfncache.kernels.source import Source
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.types import Hva
from pfncache.linux.virt.kvm.pfncache import Pfncache
from pfncache.machines.vm import qemu
from pfncache.machines.vm.guest import Guest
from pfncache.selftests import SELFTESTS
from pfncache.selftests.runner import SelftestResult, SelftestVerdict, run
from pfncache.selftests.targets import GuestKernel

OK, XFAIL, FAILED = SelftestVerdict.OK, SelftestVerdict.XFAIL, SelftestVerdict.FAILED
BASE = "7.3"
FILE = "virt/kvm/pfncache.c"
FUNCTION = "gfn_to_pfn_cache_invalidate_start"
NAME = "pfncache-test-no-invalidation"
TESTS = (
    "invalidation/dontneed-anon",
    "invalidation/mprotect-read-anon",
    "invalidation/slot-delete-anon",
    "clock/first-run",
)

pytestmark = pytest.mark.slow


class NoInvalidation(Patch, Pfncache):
    """MMU notifiers leave caches as they are."""

    def gfn_to_pfn_cache_invalidate_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Return at once."""


PREDICTED = (mainline_7_3 + [NoInvalidation]).named("no-invalidation", "caches are never invalidated")


def three_lines(source: Source) -> PatchMail:
    """The same in C: a return at the function's beginning."""
    before = (source.tree / FILE).read_text()
    start = before.index(f"void {FUNCTION}(")
    brace = before.index("\n{\n", start) + len("\n{\n")
    after = f"{before[:brace]}\t/* Leave the caches as they are. */\n\tif (kvm)\n\t\treturn;\n\n{before[brace:]}"
    names = (f"a/{FILE}", f"b/{FILE}")
    text = "".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), *names))
    return PatchMail(1, "KVM: pfncache: leave caches as they are", 1, text.encode())


@pytest.fixture(scope="module")
def stock() -> Image:
    """The kernel that is built anew."""
    if shutil.which(qemu.PROGRAM) is None:
        pytest.skip(f"no {qemu.PROGRAM}: install qemu-system-x86")
    if packages := make.missing():
        pytest.skip(f"to build kernels: apt-get install {' '.join(packages)}")
    for image in debian.fetched():
        if debian.matches(image.release, BASE) and (cache.folder("sources") / image.release / "kvm.log").exists():
            return image
    pytest.skip(f"nothing built yet: pfncache kernel build --base {BASE}")


@pytest.fixture(scope="module")
def patched(stock: Image) -> Iterator[Image]:
    """With our patch."""
    source = Source(stock.release, cache.folder("sources") / stock.release)
    yield build(NAME, source, stock, [three_lines(source)], STOCK, print)
    shutil.rmtree(variant.folder() / NAME)


def results(image: Image) -> dict[str, SelftestResult]:
    """What the tests come to on a kernel, each compared with the model of our patch."""
    tests = [SELFTESTS[name] for name in TESTS]
    with Guest(image) as guest:
        kernel = GuestKernel(guest)
        host = kernel.probe()
        assert host.design.name == "mainline-7.3", host.reason  # our patch does not show in what is asked
        assert host.capabilities is not None
        return {r.test.name: r for r in run(tests, kernel, PREDICTED, host.capabilities.processor)}


def test_three_lines_do_what_the_model_predicts(patched: Image) -> None:
    found = results(patched)
    assert [found[name].verdict for name in TESTS] == [XFAIL, XFAIL, OK, OK], [r.line for r in found.values()]


def test_without_them_the_prediction_is_wrong(stock: Image) -> None:
    found = results(stock)
    assert [found[name].verdict for name in TESTS] == [FAILED, FAILED, OK, OK], [r.line for r in found.values()]
