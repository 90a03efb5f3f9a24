# SPDX-License-Identifier: GPL-2.0-only
"""Kills verify and sweep at random times: ``python -m tests.soak N``."""
