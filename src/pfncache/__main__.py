# SPDX-License-Identifier: GPL-2.0-only
"""``python -m pfncache`` is ``pfncache``."""

from pfncache.commands.main import main

main(prog_name="pfncache")
