# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that no scenario notices, each with the reason."""

from __future__ import annotations

SURVIVORS: dict[str, str] = {}
