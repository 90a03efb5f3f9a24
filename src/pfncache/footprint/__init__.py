# SPDX-License-Identifier: GPL-2.0-only
"""Which guest memory KVM itself touches."""
