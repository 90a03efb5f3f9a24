# SPDX-License-Identifier: GPL-2.0-only
"""What is known to differ between a mainline design and its kernel's C, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping

DIFFERENCES: Mapping[str, Mapping[str, str]] = {}
"""By design and scenario: why the C differs from the model by hand. There is none."""
REFUSALS: Mapping[str, Mapping[str, str]] = {}
"""By design and function: why the C is not translated, and what the model's function does the same."""
