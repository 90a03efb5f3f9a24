# SPDX-License-Identifier: GPL-2.0-only
"""The modelling language: what makes Python code checkable. It knows no kernel."""
