# SPDX-License-Identifier: GPL-2.0-only
"""The machines that the machines' own tests have."""

from tests.machines.conftest import kvm, machine, model

__all__ = ["kvm", "machine", "model"]
