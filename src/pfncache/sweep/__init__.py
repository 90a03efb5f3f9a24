# SPDX-License-Identifier: GPL-2.0-only
"""Many scenarios as independent jobs, with their results in one file."""
