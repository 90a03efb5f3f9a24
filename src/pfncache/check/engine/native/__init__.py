# SPDX-License-Identifier: GPL-2.0-only
"""Native code for the steps of one program."""
