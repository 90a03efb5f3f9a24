# SPDX-License-Identifier: GPL-2.0-only
"""The file of a compiled system is data: nothing in it is run, and everything that is wrong with it is found."""

from __future__ import annotations

import json
import pickle
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pfncache.check.compile.compiler import compile_system
from pfncache.check.program.layout import Program, link
from pfncache.check.system import Heap, System
from pfncache.designs.catalogue import DESIGNS
from pfncache.verify import program_format as form
from pfncache.verify.program_format import FormatError, decode, encode
from pfncache.verify.systems import make_system

KEY = "sources/system"
LINKER, RECORD = "pfncache.check.program.layout:Linker", "pfncache.lang.records:Record"
Described = dict[str, Any]


@pytest.fixture(scope="module")
def program() -> Program:
    found = link(compile_system(make_system(DESIGNS["mainline-7.3"], "gmem/unmapped-punch")))
    return replace(found, compiled=replace(found.compiled, codes=[]))


def own(program: Program) -> tuple[System, Heap]:
    return program.compiled.system, program.compiled.heap


def packed(body: bytes) -> bytes:
    """A file with a right digest."""
    content = zlib.compress(body)
    return form.MAGIC + form._digest(KEY, content) + content


def changed(program: Program, **changes: object) -> bytes:
    """A file with a right digest, of which parts of the description are others."""
    content = encode(program, KEY)
    body = zlib.decompress(content[len(form.MAGIC) + form.DIGEST_BYTES :])
    end = form.LENGTH_BYTES + int.from_bytes(body[: form.LENGTH_BYTES], "little")
    text = json.dumps(json.loads(body[form.LENGTH_BYTES : end]) | changes).encode()
    return packed(len(text).to_bytes(form.LENGTH_BYTES, "little") + text + body[end:])


def test_a_program_comes_back(program: Program) -> None:
    found = decode(encode(program, KEY), KEY, *own(program))
    assert found.image.tolist() == program.image.tolist()
    assert found.initial.tolist() == program.initial.tolist()
    assert found.loops.tolist() == program.loops.tolist()
    arrays = dict.fromkeys(("image", "initial", "loops"), np.zeros(0))
    assert replace(found, **arrays) == replace(program, **arrays)  # type: ignore[arg-type]
    assert found.image.flags.writeable
    assert encode(found, KEY) == encode(program, KEY)


class Runs:
    """Would create a file if it were unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, ("/proc/self/nothing", "w")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is no compiled system"),
        (b"\0" * 4096, "it is no compiled system"),
        (pickle.dumps(Runs()), "it is no compiled system"),
        (form.MAGIC, "it is damaged, or that of another system"),
        (form.MAGIC + bytes(form.DIGEST_BYTES), "it is damaged, or that of another system"),
        (form.MAGIC + form._digest(KEY, b"garbage") + b"garbage", "it is malformed (error)"),
        (packed(b""), "it is malformed (JSONDecodeError)"),
        (packed(pickle.dumps(Runs())), "it is malformed (UnicodeDecodeError)"),
        (packed(b"\2\0\0\0\0\0\0\0{}"), "it is malformed (KeyError)"),
        (packed(b"\2\0\0\0\0\0\0\0[]"), "it is malformed (TypeError)"),
        (packed(b"\xff" * 100), "it is malformed (UnicodeDecodeError)"),
    ],
)
def test_what_is_no_program_is_refused(content: bytes, reason: str, program: Program) -> None:
    with pytest.raises(FormatError) as error:
        decode(content, KEY, *own(program))
    assert str(error.value) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"batches": [["os:system", 1, 1]]}, "it is malformed (no class os:system)"),
        ({"batches": [[LINKER, 1, 1]]}, f"it is malformed ({LINKER} is no data type)"),
        ({"batches": [["pfncache.user_cache:clear", 0, 1]]}, "it is malformed (no class pfncache.user_cache:clear)"),
        ({"batches": [[RECORD, 0, 1]]}, f"it is malformed ({RECORD} is no data type)"),
        ({"batches": [["eval", 1, 1]]}, "it is malformed (no class eval)"),
        ({"batches": [["tuple", 1 << 40, 1]]}, "it is malformed (a batch is longer than the file)"),
        ({"batches": [], "top": 0}, "it is malformed (no program)"),
        ({"top": 1 << 40}, "it is malformed (IndexError)"),
        ({"top": "0"}, "it is malformed (TypeError)"),
        ({"arrays": [["O", [1]]]}, "it is malformed (an array of object)"),
        ({"arrays": [["<i8", [-1]]]}, "it is malformed (a batch is longer than the file)"),
        ({"arrays": [["nonsense", [1]]]}, "it is malformed (TypeError)"),
    ],
)  # fmt: skip
def test_a_malformed_program_is_refused(changes: dict[str, object], reason: str, program: Program) -> None:
    with pytest.raises(FormatError) as error:
        decode(changed(program, **changes), KEY, *own(program))
    assert str(error.value) == reason


def test_every_damaged_byte_is_seen(program: Program) -> None:
    content = encode(program, KEY)
    for place in range(0, len(content), 97):
        damaged = bytearray(content)
        damaged[place] ^= 1
        with pytest.raises(FormatError):
            decode(bytes(damaged), KEY, *own(program))
    for length in range(0, len(content), 997):
        with pytest.raises(FormatError):
            decode(content[:length], KEY, *own(program))


def test_an_entry_of_another_system_is_refused(program: Program) -> None:
    with pytest.raises(FormatError, match=r"^it is damaged, or that of another system$"):
        decode(encode(program, KEY), "sources/other", *own(program))


def test_what_has_no_form_is_refused(program: Program) -> None:
    with pytest.raises(TypeError, match=r"^a program has a complex, for which program_format.py has no form$"):
        encode(replace(program, bits=1j), KEY)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^an array of object$"):
        encode(replace(program, loops=np.array([None])), KEY)
