# SPDX-License-Identifier: GPL-2.0-only
"""Bad input of selftest, matrix, footprint and kernel: an exit status and one line, before anything is booted."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfncache import user_cache as cache
from pfncache.commands.exit_status import ExitStatus
from pfncache.kernels import make, variant
from pfncache.kernels.apt import Apt
from pfncache.kernels.variant import BadName
from pfncache.machines.vm import guest
from tests.conftest import Call
from tests.kernels.trees import bzimage, module

HERE = "(it has 7.3.4, 6.12.117)"
SUITES = "bookworm, trixie, trixie-backports, sid"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two kernels are in the cache, with images that can and cannot boot; nothing may be booted or downloaded."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for release in ("6.12.117+deb13-amd64", "7.3.4+deb13-amd64"):
        folder = cache.folder("kernels") / release
        module(folder / "modules", "kvm")
        bzimage(folder / "vmlinuz", release)
        (folder / "suite").write_text("trixie")

    def forbidden(*args: object) -> None:
        raise AssertionError("nothing is to be booted or downloaded")

    monkeypatch.setattr(guest, "Guest", forbidden)
    monkeypatch.setattr(Apt, "update", forbidden)
    monkeypatch.setattr(Apt, "_run", forbidden)
    monkeypatch.setattr(make, "missing", list)
    whole = bzimage(tmp_path / "whole", "7.4.0").read_bytes()
    header = bytearray(whole)
    header[0x248:0x250] = (16).to_bytes(4, "little") + (64).to_bytes(4, "little")
    files = {
        "empty": b"", "text": b"Hello\n", "short": whole[:0x206], "cut": whole[:0x600], "payload": bytes(header),
        "vmlinux": b"\x7fELF" + bytes(3000), "nameless": whole[:0x500] + bytes(3000),
    }  # fmt: skip
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder").mkdir()
    (tmp_path / "none.mbox").write_text("Hello\n")


NO_NAME = (
    "is no name for a kernel: letters, digits and ._+-, a letter or digit first, at most 64; use one like my-series"
)
HIDES = "is no name for a kernel: it would hide the stock one; use one like my-series"
OTHER = "is no name for a kernel: it means another one; use one like my-series"
NAMES = {
    "": "a kernel cannot have an empty name; use one like my-series",
    **{name: f"{name!r} {NO_NAME}" for name in (
        "a,b", "a b", " ", "\t", "..", ".", "/", "a/b", "../x", "-x", "--debug", ".hidden", "+x", "_x", "é", "カ",
        "a\nb", "a\\b", "a:b", "a*", "~", "$HOME", "mine\n",
    )},
    **{"x" * count: f"'{'x' * 32}...' {NO_NAME}" for count in (65, 300, 5000)},
    **{name: f"{name!r} {HIDES}" for name in (
        "7.3", "7", "7.3.4", "7.3.4+deb13", "7.3.4+deb13-amd64", "6.12", "9.9", "6.18-rc1", "6.1.0-50-amd64", "2026",
    )},
    **{name: f"{name!r} {OTHER}" for name in ("host", "trixie", "trixie-backports", "sid", "bookworm")},
}  # fmt: skip
"""Names that no built kernel may have."""


def _last(text: str) -> str:
    return text.strip().splitlines()[-1]


@pytest.mark.parametrize(("name", "line"), NAMES.items(), ids=range(len(NAMES)))
def test_name_of_a_built_kernel(pfncache: Call, name: str, line: str) -> None:
    """Neither the command nor the function that writes the folder takes it, and what is there stays."""
    kept = variant.save("mine", "7.3.4", Path("whole"), None, [])
    run = pfncache("kernel", "build", "--base", "7.3", f"--name={name}")
    assert (run.code, _last(run.err)) == (ExitStatus.USAGE, f"Error: {line}")
    with pytest.raises(BadName) as error:
        variant.save(name, "7.3.4", Path("whole"), None, [])
    assert str(error.value) == line
    assert (variant.names(), kept.vmlinuz.is_file()) == (["mine"], True)


@pytest.mark.parametrize(
    "name", ["mine", "v5", "7.3.4+my-series", "my-series.2", "x" * 64, "7.3.4+protected", "6.18-mine"]
)
def test_good_name(name: str) -> None:
    assert variant.save(name, "7.3.4", Path("whole"), None, []).name == name
    assert variant.names() == [name]


NOT_HERE = "no kernel '{0}' in the cache " + HERE + "; get it with: pfncache kernel fetch {0}"
IMAGES = {
    "9.9": NOT_HERE.format("9.9"),
    "7.3,9.9": NOT_HERE.format("9.9"),
    "9.9,7.3": NOT_HERE.format("9.9"),
    "7.30": NOT_HERE.format("7.30"),
    "": "--kernel '' has an empty name; write it as 7.3,6.18",
    ",": "--kernel ',' has an empty name; write it as 7.3,6.18",
    "7.3,": "--kernel '7.3,' has an empty name; write it as 7.3,6.18",
    "./none": "no kernel 'none': no such file",
    "/": "no kernel '/': no such file",
    "./folder": "no kernel 'folder': no such file",
    "7.3,./none": "no kernel 'none': no such file",
    "./empty": "empty is no bzImage",
    "./text": "text is no bzImage",
    "./short": "short is no bzImage",
    "./vmlinux": "vmlinux is no bzImage",
    "./nameless": "nameless is no bzImage: its header names no version",
    "./cut": "cut cannot boot: it is cut short: 1,536 bytes of 2,560",
    "./payload": "payload cannot boot: its payload is no compressed kernel",
    "7.3,./cut": "cut cannot boot: it is cut short: 1,536 bytes of 2,560",
}
VERBS = (("selftest", "--json"), ("selftest", "memslots"), ("matrix",), ("footprint",))


@pytest.mark.parametrize(("kernel", "line"), IMAGES.items())
@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_kernel_to_boot(pfncache: Call, verb: tuple[str, ...], kernel: str, line: str) -> None:
    run = pfncache(*verb, "--kernel", kernel)
    assert (run.code, run.out, _last(run.err)) == (ExitStatus.USAGE, "", f"Error: {line}")


WANTED = (
    "x",
    "",
    "7.3,6.12",
    "7.3 6.12",
    "7..3",
    ".7",
    "-7",
    "latest",
    "bullseye",
    "Trixie",
    "7.3;ls",
    "$(ls)",
    "7.3\n",
)


@pytest.mark.parametrize("wanted", WANTED)
@pytest.mark.parametrize("verb", ["fetch", "build"])
def test_version_to_fetch(pfncache: Call, verb: str, wanted: str) -> None:
    """Nothing is downloaded to find out that it is no version."""
    words = ("fetch", "--", wanted) if verb == "fetch" else ("build", f"--base={wanted}")
    run = pfncache("kernel", *words)
    line = f"Error: {wanted!r} is no version, such as 7.3, and none of Debian's suites {SUITES}"
    assert (run.code, run.out, _last(run.err)) == (ExitStatus.USAGE, "", line)


def test_all_versions_are_checked_before_one_is_fetched(pfncache: Call) -> None:
    run = pfncache("kernel", "fetch", "7.3", "nonsense")
    assert run.code == ExitStatus.USAGE
    assert _last(run.err).startswith("Error: 'nonsense' is no version")


TOGETHER = "--machine vm and --kernel go together: --machine vm --kernel 7.3"
SMALL = "the model runs the small guests only; linux needs --machine kvm or vm"
ROWS = (
    (("kernel", "build"), "Error: Missing option '--base'."),
    (("kernel", "fetch"), "Error: Missing argument 'VERSION|SUITE ...'."),
    (("kernel", "build", "--base", "7.3", "--series", "nowhere"), "Error: no series 'nowhere': no such file or folder"),
    (
        ("kernel", "build", "--base", "7.3", "--series", "none.mbox"),
        "Error: no patch in none.mbox; give a folder of git format-patch, or an mbox",
    ),
    (("selftest", "nosuch"), "Error: no selftest 'nosuch'"),
    (("selftest", "--json", "nosuch"), "Error: no selftest 'nosuch'"),
    (("selftest", "--machine", "kvm", "--kernel", "7.3"), "Error: --kernel is for the machine vm, not for kvm"),
    (("selftest", "--strict=yes"), "Error: Option '--strict' does not take a value."),
    (("matrix", "--machine", "vm"), f"Error: {TOGETHER}"),
    (("matrix", "--machine", "model", "--kernel", "7.3"), f"Error: {TOGETHER}"),
    (("footprint", "--machine", "vm"), f"Error: {TOGETHER}"),
    (("footprint", "--runs", "0"), "Error: Invalid value for '--runs': 0 is not in the range x>=1."),
    (("footprint", "linux", "--machine", "model"), f"Error: {SMALL}"),
)  # fmt: skip


@pytest.mark.parametrize(("words", "line"), ROWS)
def test_usage(pfncache: Call, words: tuple[str, ...], line: str) -> None:
    run = pfncache(*words)
    assert (run.code, run.out) == (ExitStatus.USAGE, "")
    assert _last(run.err).startswith(line)
    assert "Traceback" not in run.err


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"release": 1}', "\x00\x01"])
def test_damaged_variant(pfncache: Call, content: str) -> None:
    variant.save("mine", "7.3.4", Path("whole"), None, [])
    (variant.folder() / "mine" / "image.json").write_text(content)
    run = pfncache("selftest", "--kernel", "mine")
    line = f"Error: {variant.folder() / 'mine'} is damaged; build it again, with --name mine"
    assert (run.code, run.out, _last(run.err)) == (ExitStatus.USAGE, "", line)


def test_kernel_that_is_incomplete(pfncache: Call) -> None:
    """Its vmlinuz is gone, its suite is gone, and a file lies among the folders."""
    folder = cache.folder("kernels") / "7.3.4+deb13-amd64"
    (folder / "vmlinuz").unlink()
    (folder / "suite").unlink()
    (cache.folder("kernels") / "notes.txt").write_text("mine")
    run = pfncache("selftest", "--kernel", "7.3")
    line = f"Error: {folder}/vmlinuz cannot be read: No such file or directory"
    assert (run.code, run.out, _last(run.err)) == (ExitStatus.USAGE, "", line)
