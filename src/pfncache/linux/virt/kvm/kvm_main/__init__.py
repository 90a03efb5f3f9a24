# SPDX-License-Identifier: GPL-2.0-only
"""Linux: virt/kvm/kvm_main.c, in pieces."""
