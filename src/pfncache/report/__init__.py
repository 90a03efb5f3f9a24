# SPDX-License-Identifier: GPL-2.0-only
"""What a run found, and how it is shown."""
