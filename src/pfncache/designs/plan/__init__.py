# SPDX-License-Identifier: GPL-2.0-only
"""The plan: how KVM accesses guest memory that has no direct map, as a series of patches on mainline."""
