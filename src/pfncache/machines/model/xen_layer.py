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
from pfncache.linux.arch.x86.kvm.xen.poll import ANY_PORT
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmVcpu, KvmVcpuXen
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
from pfncache.linux.include.uapi.linux.errno import EFAULT, EINVAL
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

    def host_wall_clock(self, kvm: Kvm, gpc: GfnToPfnCache) -> None:
        """Write the wall-clock time at which the VM's clock was zero."""
        data, layout = self.host_kernel_bytes(gpc.khva), self._layout(kvm)
        start = time.time_ns() - self.host_clock - kvm.host_kvmclock_offset
        seconds, nanoseconds = divmod(max(start, 0), 10**9)
        version = int.from_bytes(data[layout.wall_clock : layout.wall_clock + 4], "little")
        words = (((version + 1) | 1) + 1 & 0xFFFFFFFF, seconds & 0xFFFFFFFF, nanoseconds)
        data[layout.wall_clock : layout.wall_clock + 12] = b"".join(word.to_bytes(4, "little") for word in words)
        data[layout.seconds_high : layout.seconds_high + 4] = (seconds >> 32).to_bytes(4, "little")

    def evtchn_port(self) -> int:
        """Return the port that the sender has given."""
        return current().host_evtchn_port

    def kvmclock_now(self, kvm: Kvm) -> int:
        """Return the VM's time, without advancing the clock."""
        return self.host_clock + kvm.host_kvmclock_offset

    def kvmclock_advanced(self, kvm: Kvm) -> int:
        """Advance the clock and return the VM's time."""
        return self.get_kvmclock_ns(kvm)

    def timer_port(self, xen: KvmVcpuXen) -> int:
        """Return the port of a timer's event."""
        return xen.host_timer_virq

    def runstate_of(self, xen: KvmVcpuXen) -> int:
        """Return current_runstate."""
        return xen.host_runstate

    def runstate_entry_time_of(self, xen: KvmVcpuXen) -> int:
        """Return runstate_entry_time."""
        return xen.host_runstate_entry_time

    def test_and_set_port(self, gpc: GfnToPfnCache, port: int) -> bool:
        """Set the event's bit in evtchn_pending."""
        return _Bit(self.host_kernel_bytes(gpc.khva)[self._layout(gpc.kvm).pending :], port).test_and_set()

    def port_is_masked(self, gpc: GfnToPfnCache, port: int) -> bool:
        """Look at the event's bit in evtchn_mask."""
        return _Bit(self.host_kernel_bytes(gpc.khva)[self._layout(gpc.kvm).mask :], port).test()

    def test_and_set_word(self, info: GfnToPfnCache, word: int) -> bool:
        """Set a bit of evtchn_pending_sel."""
        return _Bit(self.host_kernel_bytes(info.khva)[self._layout(info.kvm).pending_sel :], word).test_and_set()

    def note_pending_sel(self, vcpu: KvmVcpu, word: int) -> bool:
        """Keep the selector bit of an event that cannot be delivered yet."""
        was_set = bool(vcpu.xen.host_pending_sel >> word & 1)
        vcpu.xen.host_pending_sel |= 1 << word
        super().note_pending_sel(vcpu, word)
        return was_set

    def poll_evtchn_of(self, xen: KvmVcpuXen) -> int:
        """Return poll_evtchn."""
        return xen.host_poll_ports[0] if len(xen.host_poll_ports) == 1 else ANY_PORT

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

    def host_write_runstate(self, vcpu: KvmVcpu, gpc: GfnToPfnCache, start: int, length: int) -> None:
        """Write the state and its entry time; the times spent in each state are zero."""
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
