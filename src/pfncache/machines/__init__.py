# SPDX-License-Identifier: GPL-2.0-only
"""Hosts with KVM behind one interface, :class:`~pfncache.machines.machine.Machine`: models, this host, QEMU guests."""
