# SPDX-License-Identifier: GPL-2.0-only
"""Writes a linked system as TLA+, for TLC to search."""
