# SPDX-License-Identifier: GPL-2.0-only
"""The machine kvm: the host's /dev/kvm and this process."""
