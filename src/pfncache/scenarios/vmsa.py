# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of the VMSA of an SNP guest's vCPU: mainline's own cache of the pfn of a guest_memfd page."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_types import INVALID_GPA
from pfncache.scenarios.region import Region, SlotLayout
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World


def _running(w: World, times: int = 1) -> World:
    """Give the vCPU a VMSA, run its guest once, and add an actor that runs it further."""
    run = w.call("run_snp_guest", w.vcpu)
    w.do(w.call("run_ap_creation", w.vcpu, w.gpa), run)
    return w.actor("vcpu", *[run] * times)


def _punch(w: World) -> World:
    """Add a task that punches the page of the VMSA."""
    return w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))


def _kick(w: World) -> World:
    """Add another task's kick of the vCPU, such as an interrupt's."""
    return w.actor("kick", w.call("kvm_vcpu_kick", w.vcpu), process=False)


@scenario(memory=MemoryKind.GMEM_COCO)
def punch(w: World) -> None:
    """The VMSA is punched while the guest runs."""
    _punch(_running(w, times=2))


@scenario(memory=MemoryKind.GMEM_COCO)
def reload_and_punch(w: World) -> None:
    """A vCPU looks its VMSA up again while it is punched once more."""
    w.do(w.call("run_ap_creation", w.vcpu, w.gpa), w.call("run_snp_guest", w.vcpu))
    w.do(w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))
    run = w.call("run_snp_guest", w.vcpu)
    _punch(w.actor("vcpu", run, run))


@scenario(memory=MemoryKind.GMEM_COCO)
def two_punches(w: World) -> None:
    """The VMSA is punched twice at a time while the guest runs."""
    _punch(_running(w)).actor("punch'", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))


@scenario(memory=MemoryKind.GMEM_COCO)
def punch_beside_kick(w: World) -> None:
    """The VMSA is punched while the guest runs, and the vCPU is kicked for another reason."""
    _punch(_kick(_running(w)))


@scenario(memory=MemoryKind.GMEM_COCO)
def mapped_punch_beside_kick(w: World) -> None:
    """The same with the VMSA mapped for the guest, so that the punch flushes TLBs."""
    w.do(w.call("run_guest_access", w.vcpu, w.gpa, True))
    _punch(_kick(_running(w)))


@scenario(memory=MemoryKind.GMEM_COCO)
def convert(w: World) -> None:
    """The page of the VMSA is made shared, then punched, while the guest runs."""
    _running(w, times=2)
    w.actor(
        "vmm",
        w.call("set_memory_attributes", w.kvm, 0, 1, False),
        w.call("kvm_gmem_punch_hole", w.gmem, 0, 1),
    )


def _deleted(w: World) -> None:
    """Delete the slot of a running vCPU's VMSA, and punch the page."""
    _running(w)
    w.actor(
        "vmm",
        w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva),
        w.call("kvm_gmem_punch_hole", w.gmem, 0, 1),
    )


@scenario(memory=MemoryKind.GMEM_COCO, slots=2)
def slot_delete(w: World) -> None:
    """The slot of the VMSA is deleted, and its page punched, while the guest runs."""
    _deleted(w)


@scenario(memory=MemoryKind.GMEM_COCO, slots=2)
def mapped_slot_delete(w: World) -> None:
    """The same with the VMSA mapped for the guest, so that the deletion flushes TLBs."""
    w.do(w.call("run_guest_access", w.vcpu, w.gpa, True))
    _deleted(w)


@scenario(memory=MemoryKind.GMEM_COCO, slots=3, files=2, pages=4)
def slot_replace(w: World) -> None:
    """A vCPU looks its VMSA up again while its slot is deleted and made again with another file."""
    w.do(w.call("run_ap_creation", w.vcpu, w.gpa), w.call("run_snp_guest", w.vcpu))
    w.do(w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))
    run = w.call("run_snp_guest", w.vcpu)
    w.actor("vcpu", run, run)
    w.actor(
        "vmm",
        w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva),
        w.call("set_memory_region", w.kvm, 0, 0, 1, w.hva, False, False, w.files[1], 0),
    )


@scenario(memory=MemoryKind.GMEM_COCO)
def close(w: World) -> None:
    """The guest_memfd of the VMSA is closed while the guest runs."""
    _running(w).actor("close", w.call("filp_close", w.gmem))


@scenario(memory=MemoryKind.GMEM_COCO, gfns=2, file_pages=2, pages=4)
def ap_creation(w: World) -> None:
    """The guest moves the VMSA of a running vCPU to another page, and the VMM punches the old one."""
    _running(w, times=2)
    w.actor("guest", w.call("run_ap_creation", w.vcpu, w.gpa + w.kernel.PAGE_SIZE))
    _punch(w)


@scenario(memory=MemoryKind.GMEM_COCO)
def ap_destruction(w: World) -> None:
    """The guest takes the VMSA of a running vCPU away, then its page is punched."""
    _running(w)
    w.actor(
        "guest",
        w.call("run_ap_creation", w.vcpu, INVALID_GPA),
        w.call("kvm_gmem_punch_hole", w.gmem, 0, 1),
    )


@scenario(memory=MemoryKind.GMEM_COCO, gfns=2, file_pages=2, pages=4)
def ap_creation_kick(w: World) -> None:
    """The guest moves the VMSA of a running vCPU, whose guest does not leave by itself, to another page.

    sev_snp_ap_creation() kicks the vCPU, and waits: the guest must not go on with the state of before.
    """
    w.vcpu.spinning_vmsa = w.gpa
    w.do(w.call("run_ap_creation", w.vcpu, w.gpa))
    w.actor("vcpu", w.call("run_snp_guest", w.vcpu))
    w.actor("guest", w.call("run_ap_creation", w.vcpu, w.gpa + w.kernel.PAGE_SIZE))


@scenario(memory=MemoryKind.GMEM_COCO, gfns=2, slots=2, layout=SlotLayout(regions=(Region(base_gfn=1),)))
def second_slot_delete(w: World) -> None:
    """A slot of a VMSA that begins behind gfn 0 is deleted, and its page punched, while the guest runs."""
    _deleted(w)
