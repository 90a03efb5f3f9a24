# SPDX-License-Identifier: GPL-2.0-only
"""The machine model: the kernel of a design, called directly, with real bytes in its pages."""
