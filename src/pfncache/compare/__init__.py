# SPDX-License-Identifier: GPL-2.0-only
"""Designs side by side: what breaks, which memory KVM reaches, what an access costs, and what has to change."""
