# SPDX-License-Identifier: GPL-2.0-only
"""The search engine, native through Numba: breadth-first search with an exact set of visited states."""
