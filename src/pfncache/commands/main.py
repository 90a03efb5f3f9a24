# SPDX-License-Identifier: GPL-2.0-only
"""The ``pfncache`` command. Each verb is a module, imported when the verb is used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click

from pfncache import __version__
from pfncache.commands.ending import exit_status
from pfncache.commands.exit_status import ExitStatus
from pfncache.commands.output import discard

VERBS = {
    "review": ("pfncache.commands.review:review", "Review a posted series: what each patch breaks, in one report."),
    "verify": ("pfncache.commands.verify:verify", "Check designs: does any interleaving break a property?"),
    "explore": ("pfncache.commands.explore:explore", "Step through any interleaving of a scenario in a browser."),
    "compare": ("pfncache.commands.compare:compare", "Compare designs: what breaks, what is reached, what it costs."),
    "fidelity": ("pfncache.commands.fidelity:fidelity", "Compare the kernel's own C with the hand-written model."),
    "litmus": ("pfncache.commands.litmus:litmus", "Ask the kernel's memory model what each barrier is for."),
    "sweep": ("pfncache.commands.sweep:sweep_command", "Search every scenario up to a size; results in one file."),
    "report": ("pfncache.commands.report:report", "Show the results of a sweep."),
    "export": ("pfncache.commands.export:export", "Write a scenario as a model for SPIN or TLC."),
    "selftest": ("pfncache.commands.selftest:selftest", "Run the tests on the model, or on this host's KVM."),
    "matrix": ("pfncache.commands.matrix:matrix", "Show which memory must stay mapped: access path by kind of memory."),
    "footprint": ("pfncache.commands.footprint:footprint", "List the guest memory that KVM itself touches."),
    "kernel": ("pfncache.commands.kernel:kernel", "Get real kernels for the tests, or build them."),
    "doctor": ("pfncache.commands.doctor:doctor", "Check what this host offers, and how to get what is missing."),
    "list": ("pfncache.commands.listing:listing", "List the designs, scenarios, properties, guests or selftests."),
}
"""Of each verb: the module and name of its command, and what it does in a line."""


class Verbs(click.Group):
    """The group of verbs."""

    def main(
        self, args: Sequence[str] | None = None, prog_name: str | None = None, complete_var: str | None = None,
        standalone_mode: bool = True, **extra: Any,
    ) -> Any:  # fmt: skip
        """Run the command; in standalone mode, end the process with the exit status of what happened."""

        def call() -> Any:
            return click.Group.main(self, args, prog_name, complete_var, standalone_mode=False, **extra)

        if not standalone_mode:
            return call()
        sys.exit(int(exit_status(call)))

    def invoke(self, ctx: click.Context) -> Any:
        """Call the verb; of a broken pipe, click would make exit status 1."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            discard()
            ctx.exit(ExitStatus.BROKEN_PIPE)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of the help."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command of a verb."""
        if cmd_name not in VERBS:
            return None
        module, name = VERBS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pfncache")
def main() -> None:
    """KVM's gfn_to_pfn_cache with guest_memfd support: a model that runs, and every interleaving of it.

    `pfncache verify` checks mainline and every version of the series; `pfncache verify rfc-v4` checks one and shows the
    shortest interleaving that breaks each property.
    """
