# SPDX-License-Identifier: GPL-2.0-only
"""Linux, in Python: the parts of the kernel that decide how KVM reaches guest memory, under their own names."""
