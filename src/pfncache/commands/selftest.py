# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache selftest``: the tests, on the model, on this host's KVM, or on kernels in QEMU."""

from __future__ import annotations

import click

from pfncache.commands.exit_status import ExitStatus

DEFAULT_KERNELS = "6.12,6.18,7.3"
"""Without guest_memfd that can be mapped, with it, and the newest."""


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME ...]")
@click.option("--machine", type=click.Choice(["model", "kvm", "vm"]), help="Default: vm with --kernel; else kvm if /dev/kvm is usable, else model.")  # fmt: skip # noqa: E501
@click.option("--kernel", "kernels", metavar="K[,K...]", help=f"Kernels to boot in QEMU, see `pfncache kernel`. Default of --machine vm: {DEFAULT_KERNELS}.")  # fmt: skip # noqa: E501
@click.option("--design", "name", metavar="DESIGN|FILE.py|SERIES", help="Design of the model, also to predict a kernel's outcomes: one of the catalogue, of a file, or the C of a series. Default: mainline-7.3; on a kernel that was built with a series, its C; on another, the one that its probes identify.")  # fmt: skip # noqa: E501
@click.option("--base", metavar="VERSION", help="Kernel that the SERIES of --design applies to. Default: 7.3.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of KTAP or the summary.")
@click.option("--strict", is_flag=True, help="Fail if a test passes where the model fails: the kernel is better than its model.")  # fmt: skip # noqa: E501
@click.pass_context
def selftest(
    ctx: click.Context, names: tuple[str, ...], machine: str | None, kernels: str | None, name: str | None,
    base: str | None, as_json: bool, strict: bool,
) -> None:  # fmt: skip
    """Run the selftests whose names start with NAME, or all of them.

    On a kernel, the outcome of each test is compared with that on the model of the kernel's design. A terminal gets a
    summary, with several kernels a table; a pipe gets KTAP. A test that `pfncache list selftests` marks as opt-in runs
    on a kernel only if NAME is its full name.

    Exit status: 0 all as expected, 1 not, 2 usage, 3 a kernel does not boot, 4 all were skipped, 130 interrupted.
    """
    from pfncache.commands.guests import images_named, running

    if kernels is not None and machine not in (None, "vm"):
        raise click.UsageError(f"--kernel is for the machine vm, not for {machine}")
    images = (
        [] if kernels is None and machine != "vm" else images_named(DEFAULT_KERNELS if kernels is None else kernels)
    )
    from pfncache.commands.names import unknown
    from pfncache.commands.series_design import design_of

    design = design_of(name, base)
    from pfncache.selftests import SELFTESTS, session, view
    from pfncache.selftests.runner import SelftestVerdict

    try:
        request = session.SelftestRequest(session.select(names), names, design, strict)
    except session.NoSuchTest as error:
        raise unknown("selftest", str(error), SELFTESTS) from None
    options = {"names": list(names), "machine": machine, "kernel": kernels, "design": name, "base": base}
    form = view.Format(as_json=as_json, columns=max(len(images), 1), options={**options, "strict": strict})
    try:
        columns = view.show(session.columns(request, machine, images, running), request.tests, form)
    except KeyboardInterrupt:
        ctx.exit(ExitStatus.INTERRUPTED)
    results = [result for column in columns for result in column.results]
    if not all(result.line.ok for result in results):
        ctx.exit(ExitStatus.VIOLATED)
    skipped = {result.verdict for result in results} == {SelftestVerdict.SKIP}
    ctx.exit(ExitStatus.SKIPPED if skipped else ExitStatus.OK)
