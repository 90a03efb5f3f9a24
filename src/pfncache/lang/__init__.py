# SPDX-License-Identifier: GPL-2.0-only
"""The modelling language: records, atomic steps and nondeterministic choice in Python. It has nothing of the kernel."""
