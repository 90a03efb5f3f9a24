# SPDX-License-Identifier: GPL-2.0-only
"""Linux: virt/kvm/guest_memfd.c, in pieces."""
