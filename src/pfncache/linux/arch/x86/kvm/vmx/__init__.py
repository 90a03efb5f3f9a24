# SPDX-License-Identifier: GPL-2.0-only
"""Linux: arch/x86/kvm/vmx/."""
