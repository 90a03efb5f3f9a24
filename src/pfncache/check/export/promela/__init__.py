# SPDX-License-Identifier: GPL-2.0-only
"""Writes a linked system as Promela, the language of SPIN."""
