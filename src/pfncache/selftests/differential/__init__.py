# SPDX-License-Identifier: GPL-2.0-only
"""Programs of operations that run on a kernel and on its model, and what has to be equal after each operation."""
