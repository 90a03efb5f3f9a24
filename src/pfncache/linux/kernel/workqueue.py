# SPDX-License-Identifier: GPL-2.0-only
"""kernel/workqueue.c: deferred work."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.mm import Mm


class Workqueue(Mm):
    """The functions of kernel/workqueue.c."""

    def flush_delayed_work(self, kvm: Kvm) -> None:
        """Run the deferred work of a VM; the model has none.

        Linux: kernel/workqueue.c flush_delayed_work(), v7.3.4.
        """
