# SPDX-License-Identifier: GPL-2.0-only
"""The selftests themselves, a suite a file."""
