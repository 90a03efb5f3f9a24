# SPDX-License-Identifier: GPL-2.0-only
"""Advice on a series, with mails that consist of subjects and names of functions."""

from __future__ import annotations

import pytest

from pfncache.designs.advice import advise, base_of, recognise
from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.requirement import MMU_SEQUENCE, NO_DIRECT_MAP
from pfncache.kernels.patch_mail import PatchMail

INVALIDATE = "KVM: pfncache: Invalidate on gmem invalidation and memattr updates"


def touching(number: int, subject: str, function: str = "", version: int = 4) -> PatchMail:
    """A patch that adds a line to a function."""
    head = f"--- a/virt/kvm/x.c\n+++ b/virt/kvm/x.c\n@@ -1,2 +1,3 @@ {function}\n"
    return PatchMail(number, subject, version, f"{head} a\n+b\n c\n".encode())


@pytest.mark.parametrize(
    ("release", "design"),
    [
        ("7.3.4+deb13-amd64", "mainline-7.3"),
        ("7.4.1", "mainline-7.3"),
        ("7.2.13+deb14-amd64", "mainline-7.2"),
        ("7.1.3", "mainline-6.18"),
        ("6.1.0-50-amd64", "mainline-6.12"),
    ],
)
def test_base(release: str, design: str) -> None:
    assert base_of(release).name == design


def test_versions_of_a_patch_are_distinguished() -> None:
    found = [recognise(touching(5, INVALIDATE, version=version)) for version in (4, 2)]
    assert [patch and patch.__name__ for patch in found] == ["InvalidateOnGmemEvents", "InvalidateUpToSlotEnd"]
    assert recognise(touching(1, "KVM: something else")) is None


def test_a_series_on_another_base() -> None:
    series = [
        touching(5, INVALIDATE, "static void __kvm_gmem_invalidate_start(struct gmem_file *f)"),
        touching(6, "KVM: mine", "static void kvm_gpc_activate(struct kvm *kvm)"),
        touching(7, "KVM: selftests: mine", "int main(void)"),
    ]
    assert list(advise(series, "7.3.4+deb13-amd64")) == [
        "3 patches on Linux 7.3.4+deb13-amd64, modelled by mainline-7.3:",
        f"  5 {INVALIDATE}: the model's InvalidateOnGmemEvents, both in __kvm_gmem_invalidate_start()",
        f"    requires {MMU_SEQUENCE.what}; mainline-7.3 does not provide this; see `pfncache verify rfc-v4-on-7.3`",
        "  6 KVM: mine: changes kvm_gpc_activate(); no patch of the model has this subject",
        "  7 KVM: selftests: mine: changes no function that is in the model",
    ]
    assert not any("requires" in line for line in advise(series, "7.2.13+deb14-amd64"))


def test_series_that_provides_what_it_requires() -> None:
    fix = touching(8, "KVM: guest_memfd: increment gpc_invalidate_seq at the end of an invalidation")
    assert not any("requires" in line for line in advise([touching(5, INVALIDATE), fix], "7.3.4"))


@pytest.mark.parametrize("name", ["rfc-v2", "rfc-v3", "rfc-v4", "rfc-v4-on-7.3", "rfc-v4-fixed"])
def test_designs_provide_what_their_patches_require(name: str) -> None:
    design = DESIGNS[name]
    required = {requirement for patch in design.patches for requirement in patch.requires}
    assert required == {MMU_SEQUENCE, NO_DIRECT_MAP}
    assert required - design.provides == ({MMU_SEQUENCE} if name == "rfc-v4-on-7.3" else set())
