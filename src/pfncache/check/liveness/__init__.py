# SPDX-License-Identifier: GPL-2.0-only
"""Liveness: cycles that a strongly fair scheduler may run forever."""
