# SPDX-License-Identifier: GPL-2.0-only
"""The explorer of interleavings: one HTML file without a network, or a page that this host serves to itself."""
