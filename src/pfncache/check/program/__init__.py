# SPDX-License-Identifier: GPL-2.0-only
"""Lays step code out for the engine, and analyses what its steps touch."""
