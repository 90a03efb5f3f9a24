# SPDX-License-Identifier: GPL-2.0-only
"""Exports of a linked system to other model checkers, which then search the same transition system."""
