# SPDX-License-Identifier: GPL-2.0-only
"""Litmus tests that are generated from a scenario: its lockless accesses, and the cycles that they can form."""
