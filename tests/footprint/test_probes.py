# SPDX-License-Identifier: GPL-2.0-only
"""A trace of Linux 7.3, and its evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfncache.footprint import probes
from pfncache.footprint.footprint import Access
from pfncache.footprint.paths import WATCHED, path

SYMBOLS = """\
ffffffff81000000 T _text
ffffffffc0615000 t __kvm_gpc_refresh\t[kvm]
ffffffffc0615600 t __kvm_gpc_activate\t[kvm]
ffffffffc0626c00 t kvm_fetch_guest_virt\t[kvm]
ffffffffc0631000 t kvm_guest_time_update\t[kvm]
ffffffffc0637000 t kvm_arch_vcpu_ioctl_run\t[kvm]
ffffffffc0671800 t paging64_walk_addr_generic\t[kvm]
ffffffffc0680000 d kvm_something\t[kvm]
"""
HEAD = "# tracer: nop\n#\n# entries-in-buffer/entries-written: 7/7   #P:1\n"
WHO = "            init-91      [000] .....   "
MMIO = f"""{HEAD}
{WHO} 45.118754: x86_emulate_instruction: (x86_emulate_instruction+0x4/0x730 [kvm]) type=64
{WHO} 45.129326: gfn_to_hva_memslot_prot: (gfn_to_hva_memslot_prot+0x4/0x60 [kvm]) gfn=0x10 caller=0xffffffffc0671eb7
{WHO} 45.129823: gfn_to_hva_memslot_prot: (gfn_to_hva_memslot_prot+0x4/0x60 [kvm]) gfn=0x11 caller=0xffffffffc0671eb7
{WHO} 45.129900: gfn_to_hva_memslot_prot: (gfn_to_hva_memslot_prot+0x4/0x60 [kvm]) gfn=0x12 caller=0xffffffffc0637671
{WHO} 45.130000: kvm_mmu_set_accessed_bit: gpa 11008
{WHO} 45.130040: kvm_vcpu_read_guest_page: (kvm_vcpu_read_guest_page+0x4/0x40 [kvm]) gfn=0x1 caller=0xffffffffc0626c65
{WHO} 45.130100: kvm_vcpu_read_guest_page: (kvm_vcpu_read_guest_page+0x4/0x40 [kvm]) gfn=0x1 caller=0xffffffffc0626c65
{WHO} 45.130200: kvm_vcpu_read_guest_page: (kvm_vcpu_read_guest_page+0x4/0x40 [kvm]) gfn=0x99 caller=0xffffffffc0626c65
{WHO} 45.130439: kvm_emulate_insn: 0:101a:89 01 (prot64)
{WHO} 45.130500: kvm_mmio: mmio unsatisfied-read len 4 gpa 0xfee00030 val 0x0
{WHO} 45.130600: kvm_mmio: mmio read len 4 gpa 0xfee00030 val 0x50014
{WHO} 45.130700: kvm_mmio: mmio write len 4 gpa 0xfee000b0 val 0x0
"""
CLOCKS = f"""{HEAD}
{WHO} 54.553507: __kvm_gpc_refresh: (__kvm_gpc_refresh+0x0/0x6a0 [kvm]) gpa=0x5000 caller=0xffffffffc06156f4
{WHO} 54.553562: hva_to_pfn: (hva_to_pfn+0x4/0x450 [kvm]) gfn=0x5 caller=0xffffffffc0615113
{WHO} 54.581228: kvm_setup_guest_pvclock: (kvm_setup_guest_pvclock+0x0/0x180 [kvm]) gpa=0x5000 caller=0xffffffffc0631103
{WHO} 54.581527: record_steal_time: (record_steal_time+0x0/0x240 [kvm]) gpa=0x6001 caller=0xffffffffc0637671
{WHO} 54.587784: record_steal_time: (record_steal_time+0x0/0x240 [kvm]) gpa=0x6001 caller=0xffffffffc0637671
"""


def collect(trace: str, since: float) -> tuple[list[Access], dict[str, int]]:
    accesses, emulated = probes.collect(trace.splitlines(), probes.Symbols(SYMBOLS), 32, since)
    rounded = [Access(a.gfn, a.path, a.write, a.count, a.order, round(a.seconds, 6)) for a in accesses]
    return rounded, emulated


def test_emulated_mmio() -> None:
    accesses, emulated = collect(MMIO, 45.0)
    assert accesses == [
        Access(0x10, "MMIO: page walk", False, 1, 1, 0.129326),
        Access(0x11, "MMIO: page walk", False, 1, 2, 0.129823),
        Access(0x11, "MMIO: accessed/dirty bits", True, 1, 3, 0.13),
        Access(0x1, "MMIO: fetch", False, 2, 4, 0.13004),
    ]
    assert emulated == {"MMIO: mov": 1, "MMIO at 0xfee00000": 2}


def test_clocks() -> None:
    accesses, emulated = collect(CLOCKS, 54.5)
    assert [(a.gfn, a.path, a.write, a.count) for a in accesses] == [
        (5, "pfncache refresh", False, 1),
        (5, "pfncache lookup", False, 1),
        (5, "kvm-clock", True, 1),
        (6, "steal time", True, 2),
    ]
    assert emulated == {}


def test_an_unknown_caller_is_named() -> None:
    by_function = {watched.function: watched for watched in WATCHED}
    assert path(by_function["kvm_write_guest"], "brand_new.isra.0", "skip") == "kvm_write_guest from brand_new.isra.0"
    assert path(by_function["kvm_write_guest"], "kvm_write_wall_clock.constprop.0", "skip") == "wall clock"


def test_symbols_of_a_kernel_without_modules() -> None:
    symbols = probes.Symbols("ffffffff81000000 T _text\nffffffff81000100 T kvm_read_guest\n")
    assert symbols["0xffffffff81000104"] == "kvm_read_guest"
    assert symbols["0x10"] == "0x10"


def test_no_tracefs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(probes, "TRACEFS", tmp_path / "none")
    with pytest.raises(probes.NoProbes, match=r"tracefs is not accessible: .*No such file or directory"):
        probes.Probes()
