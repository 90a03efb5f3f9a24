# SPDX-License-Identifier: GPL-2.0-only
"""Bad inputs of sweep, report and export: the exit status, and one line that says what is wrong."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from pfncache.scenarios.shape import Shape
from pfncache.scenarios.world import MemoryKind
from pfncache.sweep.job import Limits, SweepJob, run_job
from pfncache.sweep.store import APPLICATION_ID, SCHEMA, Store
from tests.conftest import Run

Command = Callable[..., Run]
SWEEP = ("sweep", "mainline-7.3", "--actors", "2", "--updates", "1", "--memory", "pfnmap")
JOB = SweepJob("mainline-7.3", Shape(MemoryKind.PFNMAP, ("touch",)))


def good(path: Path) -> bytes:
    store = Store(path)
    store.add(run_job(JOB, Limits()))
    store.close()
    return path.read_bytes()


def database(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def truncated(path: Path) -> None:
    content = good(path)
    path.write_bytes(content[: len(content) - 4096])


def head_alone(path: Path) -> None:
    path.write_bytes(good(path)[:100])


def corrupt(path: Path) -> None:
    content = good(path)
    path.write_bytes(content[:4096] + b"\xa5" * 4096 + content[8192:])


def corrupt_schema(path: Path) -> None:
    content = good(path)
    path.write_bytes(content[:100] + b"\xa5" * 1000 + content[1100:])


MARKS = (f"PRAGMA application_id = {APPLICATION_ID}", f"PRAGMA user_version = {SCHEMA}")
OLD = "CREATE TABLE results (design TEXT, scenario TEXT, memory TEXT, verdict TEXT, PRIMARY KEY (design, scenario))"
FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda p: p.write_text("design,verdict\n" * 1000), "is not an SQLite file, so not the results of a sweep"),
    "short": (lambda p: p.write_text("x"), "is not an SQLite file, so not the results of a sweep"),
    "binary": (lambda p: p.write_bytes(bytes(range(256)) * 64), "is not an SQLite file, so not the results of a sweep"),
    "zeros": (lambda p: p.write_bytes(bytes(8192)), "is not an SQLite file, so not the results of a sweep"),
    "magic": (lambda p: p.write_bytes(b"SQLite format 3\0"), "is damaged: delete it, or take a copy of it"),
    "head": (head_alone, "is damaged: delete it, or take a copy of it"),
    "truncated": (truncated, "is damaged: delete it, or take a copy of it"),
    "corrupt": (corrupt, "is damaged: delete it, or take a copy of it"),
    "corrupt-schema": (corrupt_schema, "is damaged: delete it, or take a copy of it"),
    "foreign": (lambda p: database(p, "CREATE TABLE bookmarks (url)"), "is an SQLite file of another program"),
    "foreign-results": (lambda p: database(p, "CREATE TABLE results (x)"), "is an SQLite file of another program"),
    "foreign-vacuumed": (lambda p: database(p, "VACUUM"), "is an SQLite file of another program"),
    "foreign-marked": (
        lambda p: database(p, "PRAGMA application_id = 252006674", "CREATE TABLE t (x)"),
        "is an SQLite file of another program",
    ),
    "old": (lambda p: database(p, OLD), "is of an older pfncache: its rows lack limits and version"),
    "future": (
        lambda p: database(p, MARKS[0], "PRAGMA user_version = 9", OLD), f"has tables of version 9, not {SCHEMA}",
    ),
    "no-table": (lambda p: database(p, *MARKS), f"has tables of version {SCHEMA}, not {SCHEMA}"),
    "other-columns": (lambda p: database(p, *MARKS, OLD), f"has tables of version {SCHEMA}, not {SCHEMA}"),
    "folder": (Path.mkdir, "is a directory"),
}  # fmt: skip
"""Files that are no results of a sweep: how to make one, and what is said of it."""


def state(path: Path) -> object:
    """What must not change: content and time of the file, and the names beside it."""
    info = path.stat()
    content = sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    return content, info.st_mtime_ns, stat.filemode(info.st_mode), sorted(os.listdir(path.parent))


def expect(run: Run, line: str) -> None:
    """Exit status 2, and nothing but the usage and one line."""
    assert run.out == ""
    lines = run.err.strip().splitlines()
    assert [line[:6] for line in lines if line.strip()] == ["Usage:", "Try 'p", "Error:"], run.err
    assert line in lines[-1]
    assert run.code == 2


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("verb", [("report",), (*SWEEP, "-o")], ids=lambda verb: str(verb[0]))
def test_files_that_are_no_results(pfncache: Command, tmp_path: Path, verb: tuple[str, ...], name: str) -> None:
    make, line = FILES[name]
    path = tmp_path / "my file?#%41.sqlite"
    make(path)
    before = state(path)
    expect(pfncache(*verb, str(path)), line)
    assert state(path) == before


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/nonexistent/x.sqlite", "/nonexistent/x.sqlite: there is no folder /nonexistent"),
        ("/dev/null", "/dev/null is not a file"),
        ("/dev/zero", "/dev/zero is not a file"),
        ("/dev/full", "/dev/full is not a file"),
        ("/etc/passwd/x", "there is no folder /etc/passwd"),
        ("/proc/version", "is not an SQLite file"),
        ("/proc/x.sqlite", "cannot be opened, or no journal can be written beside it"),
        ("", ". is not a file"),
        ("a" * 300, "File name too long"),
        (".", "is a directory"),
    ],
)
def test_places_of_a_sweep(pfncache: Command, path: str, line: str) -> None:
    expect(pfncache(*SWEEP, "-o", path), line)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/nonexistent/x.sqlite", "does not exist"),
        ("missing.sqlite", "does not exist"),
        ("", "does not exist"),
        ("/dev/null", "/dev/null is not a file"),
        ("/dev/zero", "/dev/zero is not a file"),
        ("/proc/version", "is not an SQLite file"),
        ("/", "is a directory"),
    ],
)
def test_places_of_a_report(pfncache: Command, path: str, line: str) -> None:
    expect(pfncache("report", path), line)


def test_report_of_an_empty_file(pfncache: Command, tmp_path: Path) -> None:
    path = tmp_path / "empty.sqlite"
    path.touch()
    expect(pfncache("report", str(path)), "is empty, not the results of a sweep")
    assert path.read_bytes() == b""


def test_report_of_a_sweep_without_results(pfncache: Command, tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    Store(path).close()
    run = pfncache("report", str(path))
    assert (run.code, run.out, run.err) == (3, "", f"{path} has no results yet\n")


@pytest.mark.parametrize("verb", [("report",), (*SWEEP, "-o")], ids=lambda verb: str(verb[0]))
@pytest.mark.parametrize("lock", ["EXCLUSIVE", "IMMEDIATE"])
def test_a_locked_file(pfncache: Command, tmp_path: Path, verb: tuple[str, ...], lock: str) -> None:
    """A writer that has not begun to write does not keep a reader out."""
    path = tmp_path / "s.sqlite"
    good(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute(f"BEGIN {lock}")
    run = pfncache(*verb, str(path))
    other.close()
    if verb[0] == "report" and lock == "IMMEDIATE":
        assert run.code == 0
    else:
        expect(run, "is locked by another process; try again when that has ended")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become a user that may not write")
@pytest.mark.parametrize("verb", [("report",), (*SWEEP, "-o")], ids=lambda verb: str(verb[0]))
def test_a_file_that_may_not_be_written(pfncache: Command, verb: tuple[str, ...]) -> None:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # tmp_path is for its owner alone
    folder.chmod(0o755)
    path = folder / "s.sqlite"
    good(path)
    os.seteuid(65534)
    try:
        run = pfncache(*verb, str(path))
    finally:
        os.seteuid(0)
        shutil.rmtree(folder)
    if verb[0] == "report":
        assert run.code == 0
    else:
        expect(run, "is read-only")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/nonexistent/x.svg", "there is no folder /nonexistent"),
        ("x.nonsense", "x.nonsense has no format that Matplotlib draws: "),
        ("plot", "plot has no format that Matplotlib draws"),
        ("", "has no format that Matplotlib draws"),
        (".svg", "has no format that Matplotlib draws"),
        ("/dev/null", "has no format that Matplotlib draws"),
        ("/proc/x/y.png", "there is no folder /proc/x"),
        ("/etc/passwd/y.png", "there is no folder /etc/passwd"),
        ("a" * 300 + ".png", "File name too long"),
        ("/", "is a directory"),
    ],
)
def test_places_of_a_plot(pfncache: Command, tmp_path: Path, path: str, line: str) -> None:
    """They are checked before the tables are printed."""
    pytest.importorskip("matplotlib")
    results = tmp_path / "s.sqlite"
    good(results)
    expect(pfncache("report", str(results), "--plot", path), line)


TOO_MANY = "these bounds have {} scenarios for each design, {} searches, and a sweep has at most 500,000; lower "


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--seconds", "-1"), "-1 is not a number of seconds above 0"),
        (("--seconds", "0"), "0 is not a number of seconds above 0"),
        (("--seconds", "nan"), "nan is not a number of seconds above 0"),
        (("--seconds", "inf"), "inf is not a number of seconds above 0"),
        (("--seconds", "-inf"), "-inf is not a number of seconds above 0"),
        (("--seconds", "1e999"), "inf is not a number of seconds above 0"),
        (("--seconds", "fast"), "'fast' is not a valid float"),
        (("--megabytes", "0"), "0 is not in the range x>=1"),
        (("--megabytes", "-5"), "-5 is not in the range x>=1"),
        (("--megabytes", "1e3"), "'1e3' is not a valid integer range"),
        (("--jobs", "0"), "0 is not in the range x>=1"),
        (("--jobs", "many"), "'many' is not a valid integer range"),
        (("--actors", "1"), "1 is not in the range"),
        (("--updates", "0"), "0 is not in the range x>=1"),
        (("--rounds", "-1"), "-1 is not in the range x>=1"),
        (("--pages", "2"), "2 is not in the range"),
        (("--pages", "x"), "'x' is not a valid integer range"),
        (("--actors", "101"), "101 is not in the range 2<=x<=100"),
        (("--actors", "20"), TOO_MANY.format("13,813,798", "27,627,596")),
        (("--updates", "1" + "0" * 15), TOO_MANY.format("54,000,000,000,000,000", "108,000,000,000,000,000")),
        (("--pages", "1000000000", "rfc-v4"), "a sweep has at most 500,000; lower --actors, --updates, --rounds or"),
        (("--actors", "100", "--rounds", "1000000"), "name fewer designs or one --memory"),
        (("--memory", "ram"), "no memory 'ram'; there is "),
        (("--memory", ""), "no memory ''; there is "),
        (("mainline-7.9",), "no design 'mainline-7.9'; nearest: "),
        (("missing.py",), "missing.py"),
        (("--scheduler", "nonsense"), "no Dask scheduler at 'nonsense', as tcp://HOST:PORT would be: "),
        (("--scheduler", ""), "no Dask scheduler at '', as tcp://HOST:PORT would be: "),
        (("--scheduler", "tcp://"), "no Dask scheduler at 'tcp://', as tcp://HOST:PORT would be: "),
        (("--scheduler", "tcp://127.0.0.1:1"), "no Dask scheduler at 'tcp://127.0.0.1:1', as "),
        (("--scheduler", "tcp://127.0.0.1:x"), "no Dask scheduler at 'tcp://127.0.0.1:x', as "),
        (("--scheduler", "tcp://127.0.0.1:99999"), "no Dask scheduler at 'tcp://127.0.0.1:99999', as "),
        (("--scheduler", "http://127.0.0.1:1"), "no Dask scheduler at 'http://127.0.0.1:1', as "),
        (("--scheduler", "ftp://x"), "no Dask scheduler at 'ftp://x', as "),
        (("--scheduler", "tcp://no.such.host.invalid:8786"), "no Dask scheduler at 'tcp://no.such.host"),
    ],
)
def test_options_of_a_sweep(
    pfncache: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], line: str
) -> None:
    """Nothing is searched, and no file is left."""
    if arguments[0] == "--scheduler":
        pytest.importorskip("distributed")
        monkeypatch.setattr("pfncache.sweep.runner.CONNECT_SECONDS", 1)
    path = tmp_path / "s.sqlite"
    expect(pfncache("sweep", "-o", str(path), "--memory", "pfnmap", *arguments), line)
    assert not path.exists()


def test_a_scheduler_without_dask(pfncache: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    run = pfncache(*SWEEP, "-o", str(tmp_path / "s.sqlite"), "--scheduler", "tcp://127.0.0.1:1")
    expect(run, "a cluster needs Dask: pip install 'pfncache[dask]'")


def test_a_plot_without_matplotlib(pfncache: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.sqlite"
    good(path)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    expect(pfncache("report", str(path), "--plot", "x.svg"), "a plot needs Matplotlib: pip install 'pfncache[plot]'")


def test_memory_that_no_design_has(pfncache: Command, tmp_path: Path) -> None:
    """Nothing was searched, so nothing holds."""
    path = tmp_path / "s.sqlite"
    run = pfncache("sweep", "mainline-6.12", "--actors", "2", "--memory", "gmem-ndm", "-o", str(path))
    assert (run.code, run.out) == (3, f"0 jobs, 0 of them now; 0 results in {path}\n")


TLA = "--tla needs -o NAME.tla, NAME being letters, digits and underscores: it names the module"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "Missing option '--promela' or '--tla'."),
        (("--promela", "--tla"), "--promela and --tla are two formats; choose one"),
        (("--tla", "--promela", "-o", "X.tla"), "--promela and --tla are two formats; choose one"),
        (("--tla",), TLA),
        (("--tla", "-o", "x.txt"), TLA),
        (("--tla", "-o", "a-b.tla"), TLA),
        (("--tla", "-o", ".tla"), TLA),
        (("--tla", "-o", "/nonexistent/X.tla"), "cannot write /nonexistent/X.tla: No such file or directory"),
        (("--promela", "-o", "/nonexistent/x"), "cannot write /nonexistent/x: No such file or directory"),
        (("--promela", "-o", "/etc/passwd/x"), "cannot write /etc/passwd/x: Not a directory"),
        (("--promela", "-o", "/dev/full"), "cannot write /dev/full: No space left on device"),
        (("--promela", "-o", "a" * 300), "File name too long"),
        (("--promela", "-o", "/"), "is a directory"),
        (("--promela", "nosuch"), "no design 'nosuch'"),
    ],
)
def test_export(pfncache: Command, arguments: tuple[str, ...], line: str) -> None:
    expect(pfncache("export", *arguments, "-s", "gpc/move-in-page"), line)


@pytest.mark.parametrize("name", ["", "gpc/", "gpc/move-in-pag", "GPC/MOVE-IN-PAGE", "é"])
def test_export_of_no_scenario(pfncache: Command, name: str) -> None:
    expect(pfncache("export", "--promela", "-s", name), f"no scenario '{name}'; ")
