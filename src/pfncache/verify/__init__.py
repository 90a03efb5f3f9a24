# SPDX-License-Identifier: GPL-2.0-only
"""Puts designs, scenarios, properties and the checker together."""

MAX_STATES = 20_000_000
"""Distinct states of a scenario after which a search is bounded, unless the user gives a limit."""
