# SPDX-License-Identifier: GPL-2.0-only
"""The dimension of the context: in which task, or interrupt, the user runs."""

from __future__ import annotations

from pfncache.scenarios.space.dimension import Dimension, values_of

CONTEXT = Dimension(
    "context",
    "where the user runs",
    values_of(
        (
            ("task", "one thread of the VM's process"),
            ("two-tasks", "two threads of it, at the same time"),
            ("kthread", "a kernel thread, which borrows the address space"),
            ("irq", "a thread, beside a hard interrupt on another CPU"),
            ("irq-here", "a thread, beside a hard interrupt on the CPU of the operation"),
        )
    ),
)
UPDATES = Dimension(
    "updates",
    "how often each user accesses the structure",
    values_of((("1", "once"), ("2", "twice"))),
)
ROUNDS = Dimension(
    "rounds",
    "how often the operation runs",
    values_of((("1", "once"), ("2", "twice"))),
)
