# SPDX-License-Identifier: GPL-2.0-only
"""Liveness: strongly fair cycles, on which an actor may starve."""
