# SPDX-License-Identifier: GPL-2.0-only
"""A run of the fuzzer ends at its bounds, and when it is interrupted, says where the next one goes on."""

from __future__ import annotations

import pytest

from pfncache.interrupts import Terminated
from tests.fuzz.__main__ import BATCH, FuzzRun
from tests.fuzz.differential import Difference


def batch(seed: str, numbers: range) -> tuple[int, Difference | None]:
    """Programs of ten operations without a difference."""
    return 10 * len(numbers), None


def test_run_ends_after_enough_operations(capsys: pytest.CaptureFixture[str]) -> None:
    run = FuzzRun("s", 40)
    assert run.go(batch, 600.0, enough=10 * BATCH + 1) == 0
    assert run.operations == 2 * 10 * BATCH
    assert capsys.readouterr().out.splitlines()[-2].endswith(f"next: --first {40 + 2 * BATCH}")


@pytest.mark.parametrize(("interrupt", "status"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_interrupted_run_says_how_to_go_on(
    interrupt: type[BaseException], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def second_is_interrupted(seed: str, numbers: range) -> tuple[int, Difference | None]:
        if numbers.start > 0:
            raise interrupt
        return batch(seed, numbers)

    assert FuzzRun("s", 0).go(second_is_interrupted, 600.0) == status
    assert capsys.readouterr().out.splitlines()[-1] == f"interrupted; go on with --seed s --first {BATCH}"


def test_difference_ends_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    found = Difference((), "the result", "ok", "EINVAL")
    assert FuzzRun("s", 0).go(lambda seed, numbers: (1, found), 600.0) == 1
    assert capsys.readouterr().out.splitlines()[1] == "the result:"
