# SPDX-License-Identifier: GPL-2.0-only
"""The /dev/kvm of the host that we run on."""
