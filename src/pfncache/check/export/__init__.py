# SPDX-License-Identifier: GPL-2.0-only
"""Writes a linked system in the languages of other model checkers, which then search the same transition system."""
