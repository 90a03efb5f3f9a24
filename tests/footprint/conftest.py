# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of machines, shared with tests/machines."""

from tests.machines.conftest import kvm, machine, model

__all__ = ["kvm", "machine", "model"]
