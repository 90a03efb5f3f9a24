# SPDX-License-Identifier: GPL-2.0-only
"""Linux: kernel/locking/ and kernel/rcu/, each primitive with its own checks."""
