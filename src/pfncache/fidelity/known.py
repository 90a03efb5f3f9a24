# SPDX-License-Identifier: GPL-2.0-only
"""What is known to differ between a mainline design and its kernel's C, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping

DIFFERENCES: Mapping[str, Mapping[str, str]] = {}
"""By design and scenario: why the C differs from the model by hand. There is none."""
REFUSALS: Mapping[str, Mapping[str, str]] = {
    "mainline-6.12": {
        "kvm_setup_guest_pvclock": "6.12 keeps the clock's contents in vcpu->hv_clock, and the model has none;"
        " the model's has the same locks, the same loop of check and refresh, and the same writes of the guest's page",
    }
}
"""By design and function: why the C is not translated, and what the model's function does the same."""
