# SPDX-License-Identifier: GPL-2.0-only
"""The review of a posted series: from mails to one report, with what each patch changes, breaks and leaves unseen."""
