# SPDX-License-Identifier: GPL-2.0-only
"""The command ``pfncache``, and ``python -m pfncache``."""

import signal


def main() -> None:
    """Run the command line. Ctrl-C while it is being imported ends the process, without a traceback of imports."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    from pfncache.commands.main import main as verbs  # noqa: PLC0415 (see above)

    signal.signal(signal.SIGINT, handler)
    verbs(prog_name="pfncache")


if __name__ == "__main__":
    main()
