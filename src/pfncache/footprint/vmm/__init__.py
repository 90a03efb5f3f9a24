# SPDX-License-Identifier: GPL-2.0-only
"""A minimal VMM that boots Linux as a guest on this host's KVM."""
