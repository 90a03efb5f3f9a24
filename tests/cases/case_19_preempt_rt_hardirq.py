# SPDX-License-Identifier: GPL-2.0-only
"""Case 19: the Xen timer's hard interrupt takes gpc->lock, an rwlock, which sleeps on PREEMPT_RT.

Known from: syzbot's "WARNING: locking bug in kvm_xen_set_evtchn_fast" (2024-11, 672 crashes, open in 2026): lockdep
reports it on every kernel by RAW_LOCK_NESTING. A proposal of 2024-02-27, a trylock in hard-irq context, was not
applied.
Right verdict: violated, sleeping-in-atomic, where a timer interrupts; as mainline elsewhere.
"""

from __future__ import annotations

from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.configurations import PreemptRt

rt = (mainline_7_3 + [PreemptRt]).broken_by("xen/irq-user")
