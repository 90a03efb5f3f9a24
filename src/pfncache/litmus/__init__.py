# SPDX-License-Identifier: GPL-2.0-only
"""Litmus tests of KVM's lockless protocols under the Linux-kernel memory model, tied to the C that they abstract."""
