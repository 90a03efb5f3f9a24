# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.kernel.rcu.tree import RcuState, rcu_read_lock


def test_callbacks_wait_for_readers() -> None:
    rcu = RcuState("rcu")
    with rcu_read_lock(rcu), rcu_read_lock(rcu), pytest.raises(WouldBlock):
        rcu.wait_for_readers()
    rcu.wait_for_readers()
