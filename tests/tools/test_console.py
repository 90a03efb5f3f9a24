# SPDX-License-Identifier: GPL-2.0-only
"""Console blocks are found, run and compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import console, refresh

PAGE = """# Page
Save this as `one.py`:

```python
print("one")
```

```{important}
No block of ours.
```

```console
$ python3 one.py
one
$ cat <<E | tail -1
> first
> last
> E
last
```

<!-- not run: needs a kernel -->
```console
$ reboot
```
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(console, "ROOT", tmp_path)
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def test_commands(page: Path) -> None:
    first, second, third = console.commands(page)
    assert (first.text, first.output, first.not_run) == ("python3 one.py", "one\n", "")
    assert first.files == {"one.py": 'print("one")\n'}
    assert first.where == "page.md:13"
    assert second.text == "cat <<E | tail -1\nfirst\nlast\nE"
    assert second.output == "last\n"
    assert (third.text, third.not_run) == ("reboot", "needs a kernel")


def test_run(page: Path, tmp_path: Path) -> None:
    first, second, _ = console.commands(page)
    assert console.run(first, tmp_path) == "one\n"
    assert console.run(second, tmp_path) == "last\n"


@pytest.mark.parametrize(
    ("shown", "actual", "expected"),
    [
        ("a\n", "a\n", True),
        ("a  \n", "a\n", True),
        ("a\n", "b\n", False),
        ("in 1.5 s\n", "in 0.2 s\n", True),
        ("a\n...\nd\n", "a\nb\nc\nd\n", True),
        ("...\nd\n", "d\n", True),
        ("a\n...\nd\n", "a\nb\n", False),
        ("", "a\n", False),
        ("a.b\n", "axb\n", False),
    ],
)
def test_same(shown: str, actual: str, expected: bool) -> None:
    assert console.same(shown, actual) is expected


def test_refresh_rewrites_what_has_changed(page: Path) -> None:
    page.write_text(PAGE.replace("$ python3 one.py\none\n", "$ python3 one.py\nold\nlines\n"))
    assert refresh.refresh(page) == []
    assert page.read_text() == PAGE


def test_refresh_leaves_what_has_not(page: Path) -> None:
    assert refresh.refresh(page) == []
    assert page.read_text() == PAGE


def test_refresh_lists_what_needs_an_editor(page: Path) -> None:
    text = PAGE.replace("$ python3 one.py\none\n", "$ python3 one.py\n...\ntwo\n")
    page.write_text(text)
    assert refresh.refresh(page) == ["page.md:13: $ python3 one.py"]
    assert page.read_text() == text
