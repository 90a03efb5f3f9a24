# SPDX-License-Identifier: GPL-2.0-only
"""The VMSA of an SNP guest's vCPU: lookup, invalidation, creation by the guest."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.arch.x86.include.uapi.asm.kvm import KVM_X86_SNP_VM
from pfncache.linux.include.linux.kvm_host import EXITING_GUEST_MODE, IN_GUEST_MODE, OUTSIDE_GUEST_MODE, File, Kvm
from pfncache.linux.include.linux.kvm_types import INVALID_GPA, Gfn
from pfncache.linux.include.linux.types import Sequence
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EINVAL
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.locking.spinlock import write_lock
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost, reported

GPA = 0x1000


@pytest.fixture
def snp(make_host: MakeHost) -> Host:
    """An SNP VM with two pages of private memory, whose vCPU has no VMSA of the guest's."""
    return with_memory(make_host(vm_type=KVM_X86_SNP_VM))


def with_memory(host: Host) -> Host:
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 2, 0)
    assert host.kernel.set_memory_region(host.kvm, 0, 0, 2, HVA, gmem=file) == 0
    return host


def gmem(host: Host) -> File:
    return host.kernel.gmem_files[0]


def create(host: Host, gpa: int = GPA) -> int:
    """The guest chooses the VMSA of its vCPU, which runs."""
    assert host.kernel.run_ap_creation(host.vcpu, gpa) == 0
    return host.kernel.run_snp_guest(host.vcpu)


def page_of(host: Host, index: int) -> int:
    page = gmem(host).f_mapping.i_pages[index].page
    assert page is not None
    return page.pfn


def test_no_vmsa_no_entry(snp: Host) -> None:
    assert snp.kernel.run_snp_guest(snp.vcpu) == -EINVAL
    assert (snp.vcpu.mode, snp.vcpu.sev_es.vmsa_pa) == (OUTSIDE_GUEST_MODE, -1)


def test_vmsa_is_a_private_page_without_a_reference(snp: Host) -> None:
    assert create(snp) == 0
    sev_es = snp.vcpu.sev_es
    page = snp.kernel.mem_map[page_of(snp, 1)]
    assert (sev_es.vmsa_pa, sev_es.snp_guest_vmsa_gpa) == (page.pfn, GPA)
    assert (page.refcount, page.rmp_private) == (1, True)
    assert (sev_es.snp_pending_vmsa_gpa, sev_es.snp_ap_waiting_for_reset) == (INVALID_GPA, False)


def test_request_without_a_choice_changes_nothing(snp: Host) -> None:
    create(snp)
    snp.vcpu.update_protected_guest_state = True
    assert snp.kernel.run_snp_guest(snp.vcpu) == 0
    assert snp.vcpu.sev_es.snp_guest_vmsa_gpa == GPA


def test_destruction_halts_the_vcpu(snp: Host) -> None:
    create(snp)
    assert create(snp, INVALID_GPA) == -EAGAIN
    assert (snp.vcpu.halted, snp.vcpu.sev_es.vmsa_pa, snp.vcpu.sev_es.snp_guest_vmsa_gpa) == (True, -1, INVALID_GPA)
    assert create(snp, 0) == 0
    assert (snp.vcpu.halted, snp.vcpu.sev_es.vmsa_pa) == (False, page_of(snp, 0))


def test_vmsa_outside_of_memory_fails_the_run(snp: Host) -> None:
    assert create(snp, 0x6000) == -EINVAL
    assert (snp.vcpu.halted, snp.vcpu.sev_es.snp_guest_vmsa_gpa) == (False, INVALID_GPA)


@pytest.mark.parametrize(("index", "requested"), [(0, False), (1, True)])
def test_punch_requests_a_reload_of_its_own_pages(snp: Host, index: int, requested: bool) -> None:
    create(snp)
    assert snp.kernel.kvm_gmem_punch_hole(gmem(snp), index, index + 1) == 0
    assert snp.vcpu.vmsa_page_reload == requested
    assert snp.kernel.run_snp_guest(snp.vcpu) == 0
    assert (snp.vcpu.vmsa_page_reload, snp.vcpu.sev_es.vmsa_pa) == (False, page_of(snp, 1))


def test_closed_file_takes_the_vmsa_away(snp: Host) -> None:
    create(snp)
    snp.kernel.filp_close(gmem(snp))
    snp.kernel.task_work_run(gmem(snp))
    assert snp.kernel.run_snp_guest(snp.vcpu) == -EINVAL


def test_deleted_slot_takes_the_vmsa_away(snp: Host) -> None:
    create(snp)
    assert snp.delete_slot() == 0
    assert snp.vcpu.vmsa_page_reload
    assert snp.kernel.run_snp_guest(snp.vcpu) == -EINVAL
    assert snp.vcpu.sev_es.snp_guest_vmsa_gpa == INVALID_GPA


def test_conversion_leaves_the_vmsa(snp: Host) -> None:
    """The page is private in guest_memfd, whatever the attributes are."""
    create(snp)
    pfn = snp.vcpu.sev_es.vmsa_pa
    for private in (True, False):
        assert snp.kernel.set_memory_attributes(snp.kvm, 1, 2, private) == 0
    assert (snp.kernel.run_snp_guest(snp.vcpu), snp.vcpu.sev_es.vmsa_pa) == (0, pfn)


def test_invalidation_during_the_lookup_requests_another(make_host: MakeHost) -> None:
    class Punched(Vmlinux):
        times = 2

        def mmu_invalidate_retry_gfn(self, kvm: Kvm, sequence: Sequence, gfn: Gfn) -> bool:
            self.times -= 1
            return self.times >= 0 or super().mmu_invalidate_retry_gfn(kvm, sequence, gfn)

    host = with_memory(make_host(Punched, vm_type=KVM_X86_SNP_VM))
    # the reset finds the first one, the reload that it requests the second: the entry is cancelled
    assert create(host) == -EAGAIN
    assert (host.vcpu.sev_es.snp_guest_vmsa_gpa, host.vcpu.sev_es.vmsa_pa) == (GPA, -1)
    assert host.kernel.run_snp_guest(host.vcpu) == 0


@pytest.mark.parametrize("free", [False, True])
def test_freed_vmsa_is_reported(snp: Host, free: bool) -> None:
    create(snp)
    page = snp.kernel.mem_map[snp.vcpu.sev_es.vmsa_pa]
    page.free = free
    page.incarnation += 1
    with reported("use-after-free"):
        snp.kernel.run_snp_guest(snp.vcpu)


def test_locks_are_asserted(snp: Host) -> None:
    with reported("lock-assertion"):
        snp.kernel._sev_snp_reload_vmsa(snp.vcpu, GPA)
    with reported("lock-assertion"):
        snp.kernel.sev_gmem_invalidate_range(snp.kvm, 0, 1)
    with reported("srcu-unprotected"), mutex(snp.vcpu.sev_es.snp_vmsa_mutex):
        snp.kernel._sev_snp_reload_vmsa(snp.vcpu, GPA)


# Kicks


@pytest.mark.parametrize(
    ("mode", "wait", "after", "blocks"),
    [
        (OUTSIDE_GUEST_MODE, True, OUTSIDE_GUEST_MODE, False),
        (IN_GUEST_MODE, False, EXITING_GUEST_MODE, False),
        (IN_GUEST_MODE, True, EXITING_GUEST_MODE, True),
        (EXITING_GUEST_MODE, False, EXITING_GUEST_MODE, False),
        # the kick that sends no IPI does not wait either
        (EXITING_GUEST_MODE, True, EXITING_GUEST_MODE, False),
    ],
)
def test_kick(snp: Host, mode: int, wait: bool, after: int, blocks: bool) -> None:
    snp.vcpu.mode = mode
    if blocks:
        with pytest.raises(WouldBlock):
            snp.kernel._kvm_vcpu_kick(snp.vcpu, wait)
    else:
        snp.kernel._kvm_vcpu_kick(snp.vcpu, wait)
    assert snp.vcpu.mode == after


@pytest.mark.parametrize("mode", [IN_GUEST_MODE, EXITING_GUEST_MODE])
def test_flush_waits_for_every_vcpu_that_is_not_outside(snp: Host, mode: int) -> None:
    snp.kernel.kvm_flush_remote_tlbs(snp.kvm)
    snp.vcpu.mode = mode
    with write_lock(snp.kvm.mmu_lock), pytest.raises(WouldBlock):
        snp.kernel.kvm_flush_remote_tlbs(snp.kvm)


def test_entry_is_cancelled_by_a_kick_or_a_request(snp: Host) -> None:
    create(snp)
    vcpu = snp.vcpu
    assert not snp.kernel.kvm_vcpu_exit_request(vcpu)
    vcpu.mode = EXITING_GUEST_MODE
    assert snp.kernel.kvm_vcpu_exit_request(vcpu)
    vcpu.mode, vcpu.vmsa_page_reload = IN_GUEST_MODE, True
    assert snp.kernel.kvm_vcpu_exit_request(vcpu)


def test_other_vms_have_no_modes(host: Host) -> None:
    host.vcpu.mode = IN_GUEST_MODE
    host.kernel.flush_if(host.kvm, True)
    host.kernel._kvm_vcpu_kick(host.vcpu, True)
    assert host.vcpu.mode == IN_GUEST_MODE


def test_the_guest_runs_outside_of_srcu(make_host: MakeHost) -> None:
    depths: list[int] = []

    class Watching(Vmlinux):
        def vmrun(self, vcpu: object) -> None:
            depths.append(host.kvm.srcu.readers0 + host.kvm.srcu.readers1)

    host = with_memory(make_host(Watching, vm_type=KVM_X86_SNP_VM))
    create(host)
    assert depths == [0]


@pytest.mark.parametrize(("spinning", "mode"), [(GPA, IN_GUEST_MODE), (GPA + 0x1000, OUTSIDE_GUEST_MODE)])
def test_guest_that_does_not_leave_by_itself(snp: Host, spinning: int, mode: int) -> None:
    snp.vcpu.spinning_vmsa = spinning
    assert snp.kernel.run_ap_creation(snp.vcpu, GPA) == 0
    with pytest.raises(WouldBlock) if mode == IN_GUEST_MODE else nullcontext():
        assert snp.kernel.run_snp_guest(snp.vcpu) == 0
    assert snp.vcpu.mode == mode
