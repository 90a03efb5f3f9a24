# SPDX-License-Identifier: GPL-2.0-only
"""Selection of tests by name, and the column of a model."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.kernels.image import Image
from pfncache.machines.vm.guest import Guest
from pfncache.machines.vm.qemu import Hardware
from pfncache.selftests import SELFTESTS
from pfncache.selftests.runner import SelftestVerdict
from pfncache.selftests.session import NoSuchTest, SelftestRequest, columns, select


def no_guest(image: Image, hardware: Hardware | None = None) -> AbstractContextManager[Guest]:
    raise AssertionError("nothing is to be booted")


def test_names_are_prefixes_and_the_order_is_that_of_the_suites() -> None:
    assert select(()) == list(SELFTESTS.values())
    found = [test.name for test in select(("memslots", "series/clock-"))]
    assert found == [name for name in SELFTESTS if name.startswith(("series/clock-", "memslots"))]
    assert found[0].startswith("series/"), "suites are in their own order"


def test_unknown_name_is_named() -> None:
    with pytest.raises(NoSuchTest, match=r"^clok$"):
        select(("memslots", "clok"))


def test_column_of_a_model() -> None:
    request = SelftestRequest(select(("memslots/",)), design=DESIGNS["rfc-v4"])
    ((column, results),) = columns(request, "model", [], no_guest)
    assert (column.release, column.design) == ("", "rfc-v4")
    assert column.about == f"the model of rfc-v4, {DESIGNS['rfc-v4'].title}"
    assert {result.verdict for result in results} == {SelftestVerdict.OK}
