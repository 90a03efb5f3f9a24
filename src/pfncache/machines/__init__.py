# SPDX-License-Identifier: GPL-2.0-only
"""Hosts with KVM: the model of a design, or this one. One interface, :class:`~pfncache.machines.machine.Machine`."""
