# SPDX-License-Identifier: GPL-2.0-only
"""KVM's C in the model: the tables, a file for each header or subsystem of Linux, and translate()."""
