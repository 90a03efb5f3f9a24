# SPDX-License-Identifier: GPL-2.0-only
"""Layer for direct execution of KVM's Xen support: the bytes of the structures that are shared with the guest.

include/xen/interface/xen.h, vcpu.h; the layouts of 64-bit guests and of 32-bit ones.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass

from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.arch.x86.kvm.xen import Xen
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gpa
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi import (
    KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE,
    PVCLOCK_TSC_STABLE_BIT,
    XEN_COMPAT,
    XEN_LONG_MODE,
    XenLayout,
)
from pfncache.linux.include.uapi.linux.errno import EFAULT, EINVAL, ENOTCONN
from pfncache.linux.include.xen.interface.sched import PORT_SIZE, SchedPoll

MAX_POLLED_PORTS = 128
"""Linux: kvm_xen_schedop_poll()."""


@dataclass(frozen=True)
class _Bit:
    """A bit of a page."""

    data: memoryview
    number: int

    def test_and_set(self) -> bool:
        """test_and_set_bit()."""
        was = self.test()
        self.data[self.number // 8] |= 1 << self.number % 8
        return was

    def test(self) -> bool:
        """test_bit()."""
        return bool(self.data[self.number // 8] >> self.number % 8 & 1)


class XenLayer(X86, Xen):
    """Top layer for Xen, above every patch."""

    def _layout(self, kvm: Kvm | None) -> XenLayout:
        assert kvm is not None
        return XEN_LONG_MODE if kvm.xen.long_mode else XEN_COMPAT

    def write_shared_wall_clock(self, kvm: Kvm, gpc: GfnToPfnCache) -> None:
        """Write the wall-clock time at which the VM's clock was zero."""
        super().write_shared_wall_clock(kvm, gpc)
        data, layout = self.host_kernel_bytes(gpc.khva), self._layout(kvm)
        start = time.time_ns() - self.host_clock - kvm.host_kvmclock_offset
        seconds, nanoseconds = divmod(max(start, 0), 10**9)
        version = int.from_bytes(data[layout.wall_clock : layout.wall_clock + 4], "little")
        words = (((version + 1) | 1) + 1 & 0xFFFFFFFF, seconds & 0xFFFFFFFF, nanoseconds)
        data[layout.wall_clock : layout.wall_clock + 12] = b"".join(word.to_bytes(4, "little") for word in words)
        data[layout.seconds_high : layout.seconds_high + 4] = (seconds >> 32).to_bytes(4, "little")

    def set_evtchn_pending(self, gpc: GfnToPfnCache) -> Errno:
        """Set the event's pending bit. Returns 1 to deliver it, 0 if it was pending, -ENOTCONN if it is masked."""
        super().set_evtchn_pending(gpc)
        data, layout, port = self.host_kernel_bytes(gpc.khva), self._layout(gpc.kvm), current().host_evtchn_port
        if _Bit(data[layout.pending :], port).test_and_set():
            return 0
        return -ENOTCONN if _Bit(data[layout.mask :], port).test() else 1

    def set_evtchn_pending_sel(self, info: GfnToPfnCache) -> None:
        """Set evtchn_pending_sel, and evtchn_upcall_pending with it."""
        super().set_evtchn_pending_sel(info)
        data, layout = self.host_kernel_bytes(info.khva), self._layout(info.kvm)
        if not _Bit(data[layout.pending_sel :], current().host_evtchn_port // layout.word_bits).test_and_set():
            data[0] = 1

    def kvm_xen_set_evtchn_fast(self, kvm: Kvm, vcpu: KvmVcpu) -> Errno:
        """Keep the selector bit of an event that cannot be delivered yet."""
        noted = vcpu.xen.evtchn_pending_sel
        vcpu.xen.evtchn_pending_sel = False
        ret = super().kvm_xen_set_evtchn_fast(kvm, vcpu)
        if vcpu.xen.evtchn_pending_sel:
            vcpu.xen.host_pending_sel |= 1 << current().host_evtchn_port // self._layout(kvm).word_bits
        vcpu.xen.evtchn_pending_sel |= noted
        return ret

    def kvm_xen_check_poller(self, vcpu: KvmVcpu) -> None:
        """Wake the vCPU if it polls for the event that is sent, or for more than one."""
        ports = vcpu.xen.host_poll_ports
        if len(ports) != 1 or current().host_evtchn_port in ports:
            super().kvm_xen_check_poller(vcpu)

    def read_sched_poll(self, vcpu: KvmVcpu, param: Gpa) -> Errno:
        """Read the structure and the ports, and start poll_timer."""
        kvm = vcpu.kvm
        assert kvm is not None
        if self.kvm_read_guest_virt(vcpu, param, SchedPoll.SIZE) != 0:
            return -EFAULT
        poll = SchedPoll.parse(self.host_read_guest(kvm, param, SchedPoll.SIZE))
        if poll.nr_ports > MAX_POLLED_PORTS:
            return -EINVAL
        size = poll.nr_ports * PORT_SIZE
        if size != 0 and self.kvm_read_guest_virt(vcpu, poll.ports, size) != 0:
            return -EFAULT
        ports = struct.unpack(f"<{poll.nr_ports}I", self.host_read_guest(kvm, poll.ports, size))
        if any(port >= self.max_evtchn_port(kvm) for port in ports):
            return -EINVAL
        vcpu.xen.host_poll_ports = ports
        vcpu.xen.host_poll_timeout = poll.timeout
        return 0

    def polled_event_is_pending(self, vcpu: KvmVcpu, gpc: GfnToPfnCache) -> bool:
        """Look at the bits of the ports."""
        super().polled_event_is_pending(vcpu, gpc)
        data = self.host_kernel_bytes(gpc.khva)[self._layout(gpc.kvm).pending :]
        return any(_Bit(data, port).test() for port in vcpu.xen.host_poll_ports)

    def kvm_xen_schedop_poll(self, vcpu: KvmVcpu, param: Gpa) -> Errno:
        """Stop poll_timer."""
        ret = super().kvm_xen_schedop_poll(vcpu, param)
        vcpu.xen.host_poll_timeout = 0
        return ret

    def host_poll_timer(self, vcpu: KvmVcpu, nanoseconds: int) -> None:
        """Let poll_timer expire if so much time passes."""
        if 0 < vcpu.xen.host_poll_timeout <= nanoseconds:
            vcpu.xen.host_poll_timeout = 0
            self.cancel_evtchn_poll(vcpu)

    def inject_evtchn_pending_sel(self, vcpu: KvmVcpu, gpc: GfnToPfnCache) -> None:
        """Deliver the selector bits that were kept."""
        super().inject_evtchn_pending_sel(vcpu, gpc)
        data, layout = self.host_kernel_bytes(gpc.khva), self._layout(vcpu.kvm)
        at = slice(layout.pending_sel, layout.pending_sel + layout.word_bits // 8)
        data[at] = (int.from_bytes(data[at], "little") | vcpu.xen.host_pending_sel).to_bytes(
            layout.word_bits // 8, "little"
        )
        vcpu.xen.host_pending_sel = 0

    def inject_upcall_pending(self, gpc: GfnToPfnCache) -> None:
        """Set evtchn_upcall_pending."""
        super().inject_upcall_pending(gpc)
        self.host_kernel_bytes(gpc.khva)[0] = 1

    def write_runstate_area(self, vcpu: KvmVcpu, gpc: GfnToPfnCache, start: int, length: int) -> None:
        """Write the state and its entry time; the times spent in each state are zero."""
        super().write_runstate_area(vcpu, gpc, start, length)
        assert vcpu.kvm is not None
        area = bytearray(self.runstate_size(vcpu.kvm))
        entry = self._layout(vcpu.kvm).runstate_entry
        area[0:4] = vcpu.xen.host_runstate.to_bytes(4, "little")
        area[entry : entry + 8] = vcpu.xen.host_runstate_entry_time.to_bytes(8, "little")
        self.host_kernel_bytes(gpc.khva)[:length] = area[start : start + length]

    def host_pvclock_flags(self, vcpu: KvmVcpu, gpc: GfnToPfnCache, guest: int) -> int:
        """Clear PVCLOCK_TSC_STABLE_BIT in a Xen guest's clocks, but not in kvm-clock, if the VMM has asked for that."""
        kvm = vcpu.kvm
        assert kvm is not None
        flags = super().host_pvclock_flags(vcpu, gpc, guest)
        unstable = kvm.xen.host_flags & KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE
        return flags & ~PVCLOCK_TSC_STABLE_BIT if unstable and gpc is not vcpu.pv_time else flags
