# SPDX-License-Identifier: GPL-2.0-only
"""What is known to differ between a mainline design and its kernel's C, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping

NO_DIRECT_MAP = (
    "the model's guest_memfd has NO_DIRECT_MAP v12, which no mainline has: by hand the page leaves the direct map"
    " when it is allocated, from C it stays"
)
ALLOCATING = ("touch", "guest-access", "steal-time", "walk", "emulate")
"""Operations that allocate the guest's page."""
_OF_NO_DIRECT_MAP = {f"clock/gmem-ndm/{name}": NO_DIRECT_MAP for name in ALLOCATING}
DIFFERENCES: Mapping[str, Mapping[str, str]] = {
    "mainline-7.3": _OF_NO_DIRECT_MAP,
    "mainline-7.2": _OF_NO_DIRECT_MAP,
    "mainline-6.18": _OF_NO_DIRECT_MAP,
}
"""By design and scenario: why the C differs from the model by hand."""
REFUSALS: Mapping[str, Mapping[str, str]] = {}
"""By design and function: why the C is not translated, and what the model's function does the same."""
