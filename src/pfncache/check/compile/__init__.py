# SPDX-License-Identifier: GPL-2.0-only
"""Compiles model source, from its own AST, to step code."""
