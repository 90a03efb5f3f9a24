# SPDX-License-Identifier: GPL-2.0-only
"""A patch series, checked from its own C: what it changes, and the designs to search."""
