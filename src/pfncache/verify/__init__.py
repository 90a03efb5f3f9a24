# SPDX-License-Identifier: GPL-2.0-only
"""Puts designs, scenarios, properties and the checker together."""
