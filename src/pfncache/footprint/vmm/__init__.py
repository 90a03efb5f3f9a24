# SPDX-License-Identifier: GPL-2.0-only
"""A minimal VMM: what it takes to boot Linux as a guest, on this host's KVM."""
