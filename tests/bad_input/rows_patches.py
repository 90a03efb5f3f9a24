# SPDX-License-Identifier: GPL-2.0-only
"""Files whose patches or designs are wrong: the text of each, and the one line that is shown."""

# ruff: noqa: E501

from __future__ import annotations

HEAD = "from pfncache.designs.catalogue import Patch, mainline_7_3, rfc_v4\n"
"""Line 1 of a file with a design."""
DESIGN = "mine = mainline_7_3 + [Mine]\n"
WORLD = "from pfncache import MemoryKind, scenario\n@scenario\ndef mine(w):\n    w.clock_on()\n"
"""Lines 1 to 4 of a file with a scenario."""
ACTOR = "    w.actor('vcpu', w.call('run_clock_update', w.vcpu))\n"


def patch(*body: str, head: str = HEAD, bases: str = "Patch", tail: str = DESIGN) -> str:
    """Return a file whose patch has these lines, from line 4 on."""
    return head + f"class Mine({bases}):\n    '''KVM: do it.'''\n" + "".join(f"    {line}\n" for line in body) + tail


def clock(*body: str, head: str = HEAD) -> str:
    """Return a file whose patch replaces the clock's update by these lines, from line 5 on."""
    return patch("def kvm_guest_time_update(self, vcpu):", *(f"    {line}" for line in body), head=head)


CHECK = "def kvm_gpc_check(self, gpc, length):"

Row = tuple[str, str, str]
"""Name, text of mine.py, and the line that is shown, or its beginning where Python's versions differ."""

NOTHING_PATCHED: tuple[Row, ...] = (
    (
        "typo",
        patch("def kvm_gpc_chekc(self, gpc, length): return True"),
        "mine.py:4: Mine: kvm_gpc_chekc replaces nothing: the kernel has no function of this name, and no function of the design calls it; nearest: kvm_gpc_check, kvm_gpc_activate, _kvm_gpc_activate",
    ),
    (
        "typo-of-two",
        patch(CHECK, "    return True", "def hva_to_pfn_rety(self, gpc): return 0"),
        "mine.py:6: Mine: hva_to_pfn_rety replaces nothing: the kernel has no function of this name, and no function of the design calls it; nearest: hva_to_pfn_retry, hva_to_pfn, hva_to_pfn_remapped",
    ),
    (
        "no-such-name",
        patch("def xyzzy(self): return 0"),
        "mine.py:4: Mine: xyzzy replaces nothing: the kernel has no function of this name, and no function of the design calls it",
    ),
    (
        "helper-unused",
        patch(CHECK, "    return True", "def helper(self): return True"),
        "mine.py:6: Mine: helper replaces nothing: the kernel has no function of this name, and no function of the design calls it",
    ),
    (
        "helper-of-itself",
        patch(CHECK, "    return True", "def helper(self): return self.helper()"),
        "mine.py:6: Mine: helper replaces nothing: the kernel has no function of this name, and no function of the design calls it",
    ),
    (
        "number",
        patch("kvm_gpc_check = 5"),
        "mine.py:4: Mine: kvm_gpc_check is an int, but the kernel's is a function; write def kvm_gpc_check(self, ...)",
    ),
    (
        "annotated",
        patch("kvm_gpc_check: int = 5"),
        "mine.py:4: Mine: kvm_gpc_check is an int, but the kernel's is a function; write def kvm_gpc_check(self, ...)",
    ),
    (
        "constant",
        patch(CHECK, "    return self.LIMIT", "LIMIT = 5"),
        "mine.py:6: Mine: LIMIT is an int, and a patch has functions alone; put it at the file's top level",
    ),
    (
        "property",
        patch("@property", "def kvm_gpc_check(self): return True"),
        "mine.py:5: Mine: kvm_gpc_check is a property, but the kernel's is a function; write def kvm_gpc_check(self, ...)",
    ),
    (
        "classmethod",
        patch("@classmethod", CHECK, "    return True"),
        "mine.py:5: Mine: kvm_gpc_check is a classmethod, but the kernel's is a function; write def kvm_gpc_check(self, ...)",
    ),
    (
        "staticmethod",
        patch("@staticmethod", "def kvm_gpc_check(gpc, length): return True"),
        "mine.py:5: Mine: kvm_gpc_check is a staticmethod, but the kernel's is a function; write def kvm_gpc_check(self, ...)",
    ),
    (
        "lambda",
        patch("kvm_gpc_check = lambda self, gpc, length: True"),
        "mine.py:4: Mine: kvm_gpc_check is a lambda; write def kvm_gpc_check(self, ...)",
    ),
    (
        "partial",
        patch("kvm_gpc_check = __import__('functools').partial(print, 1)"),
        "mine.py:4: Mine: kvm_gpc_check is a partial, but the kernel's is a function; write def kvm_gpc_check(self, ...)",
    ),
    (
        "builtin",
        patch("kvm_gpc_check = len"),
        "mine.py:4: Mine: kvm_gpc_check is a builtin_function_or_method, but the kernel's is a function; write def kvm_gpc_check(self, ...)",
    ),
    (
        "class",
        patch("class kvm_gpc_check: pass"),
        "mine.py:4: Mine: kvm_gpc_check is a type, but the kernel's is a function; write def kvm_gpc_check(self, ...)",
    ),
    (
        "none",
        patch("kvm_gpc_check = None"),
        "mine.py:4: Mine: kvm_gpc_check is a NoneType, but the kernel's is a function; write def kvm_gpc_check(self, ...)",
    ),
    (
        "alias",
        patch("def kvm_gpc_init(self, gpc): pass", "kvm_gpc_check = kvm_gpc_init"),
        "mine.py:4: Mine: kvm_gpc_init(self, gpc) cannot replace the kernel's kvm_gpc_init(self, gpc, kvm)",
    ),
    (
        "too-few-parameters",
        patch("def kvm_gpc_check(self, gpc): return True"),
        "mine.py:4: Mine: kvm_gpc_check(self, gpc) cannot replace the kernel's kvm_gpc_check(self, gpc, length)",
    ),
    (
        "too-many-parameters",
        patch("def kvm_gpc_check(self, gpc, length, flags): return True"),
        "mine.py:4: Mine: kvm_gpc_check(self, gpc, length, flags) cannot replace the kernel's kvm_gpc_check(self, gpc, length)",
    ),
    (
        "renamed-parameter",
        patch("def kvm_gpc_check(self, gpc, len): return True"),
        "mine.py:4: Mine: kvm_gpc_check(self, gpc, len) cannot replace the kernel's kvm_gpc_check(self, gpc, length)",
    ),
    (
        "star-args",
        patch("def kvm_gpc_check(self, *args): return True"),
        "mine.py:4: Mine: kvm_gpc_check(self, *args) cannot replace the kernel's kvm_gpc_check(self, gpc, length)",
    ),
    (
        "no-self",
        patch("def kvm_gpc_check(): return True"),
        "mine.py:4: Mine: kvm_gpc_check() cannot replace the kernel's kvm_gpc_check(self, gpc, length)",
    ),
    (
        "keyword-only",
        patch("def kvm_gpc_check(self, gpc, *, length): return True"),
        "mine.py:4: Mine: kvm_gpc_check(self, gpc, *, length) cannot replace the kernel's kvm_gpc_check(self, gpc, length)",
    ),
    (
        "async",
        patch("async " + CHECK, "    return True"),
        "mine.py:4: Mine: kvm_gpc_check is async, which the model's language does not have; write def",
    ),
    (
        "generator",
        patch(CHECK, "    yield True"),
        "mine.py:4: Mine: kvm_gpc_check is a generator; a function of the kernel returns; a with block has @guard",
    ),
    (
        "async-generator",
        patch("async " + CHECK, "    yield True"),
        "mine.py:4: Mine: kvm_gpc_check is async, which the model's language does not have; write def",
    ),
    (
        "cache",
        patch("@__import__('functools').cache", CHECK, "    return True"),
        "mine.py:5: Mine: kvm_gpc_check has a decorator that is not compiled; use atomic, guard or host_only",
    ),
    (
        "own-decorator",
        patch("@deco", CHECK, "    return True", head=HEAD + "def deco(f): return lambda *a: f(*a)\n"),
        "mine.py:6: Mine: kvm_gpc_check is a lambda; write def kvm_gpc_check(self, ...)",
    ),
    (
        "wraps",
        patch(
            "@deco",
            CHECK,
            "    return True",
            head=HEAD
            + "import functools\ndef deco(f):\n    @functools.wraps(f)\n    def g(*a): return f(*a)\n    return g\n",
        ),
        "mine.py:10: Mine: kvm_gpc_check has a decorator that is not compiled; use atomic, guard or host_only",
    ),
    (
        "contextmanager",
        patch("@__import__('contextlib').contextmanager", CHECK, "    yield True"),
        "mine.py:5: Mine: kvm_gpc_check has a decorator that is not compiled; use atomic, guard or host_only",
    ),
    (
        "exec",
        HEAD
        + "exec('def kvm_gpc_check(self, gpc, length): return True')\nclass Mine(Patch): pass\nMine.kvm_gpc_check = kvm_gpc_check\n"
        + DESIGN,
        "mine.py:3: Mine: kvm_gpc_check has no source to compile; write it in a file",
    ),
    (
        "type-call",
        HEAD + "Mine = type('Mine', (Patch,), {'kvm_gpc_chekc': lambda self: 0})\n" + DESIGN,
        "mine.py:2: Mine: kvm_gpc_chekc is a lambda; write def kvm_gpc_chekc(self, ...)",
    ),
    (
        "special-name",
        patch("def __getattr__(self, name): return 0"),
        "mine.py:4: Mine: __getattr__ is Python's; a patch replaces functions of the kernel",
    ),
    (
        "variable",
        patch("def mem_map(self): return 0"),
        "mine.py:4: Mine: mem_map is a variable of the kernel, and a function of this name would hide it",
    ),
    (
        "empty",
        patch("pass"),
        'mine.py:2: Mine: the patch has no function; if that is right, write changes_nothing = "REASON" in it',
    ),
    (
        "reason-empty",
        patch("changes_nothing = ' '"),
        'mine.py:2: Mine: the patch has no function; if that is right, write changes_nothing = "REASON" in it',
    ),
    (
        "reason-no-text",
        patch("changes_nothing = True"),
        "mine.py:4: Mine: changes_nothing is a sentence: why the patch changes nothing",
    ),
    (
        "reason-untrue",
        patch("changes_nothing = 'a rename'", CHECK, "    return True"),
        "mine.py:4: Mine: the patch has functions, but says that it changes nothing",
    ),
    (
        "docstring-number",
        HEAD + "class Mine(Patch):\n    __doc__ = 5\n    changes_nothing = 'x'\n" + DESIGN,
        "mine.py:3: Mine: the docstring is an int",
    ),
    (
        "base-dict",
        patch(CHECK, "    return True", bases="Patch, dict"),
        "mine.py:2: Mine: a patch derives from Patch and classes of the kernel, not from dict",
    ),
    (
        "base-inherited",
        HEAD
        + "class Base(Patch):\n    def kvm_gpc_chekc(self): return 0\nclass Mine(Base):\n    def kvm_gpc_check(self, gpc, length): return True\n"
        + DESIGN,
        "mine.py:3: Base: kvm_gpc_chekc replaces nothing: the kernel has no function of this name, and no function of the design calls it; nearest: kvm_gpc_check, kvm_gpc_activate, _kvm_gpc_activate",
    ),
)

NO_DESIGN: tuple[Row, ...] = (
    (
        "list-of-number",
        HEAD + "mine = mainline_7_3 + [1]\n",
        "mine.py:2: 1 is no patch; a patch is a class that derives from Patch",
    ),
    (
        "list-of-class",
        HEAD + "class X: pass\nmine = mainline_7_3 + [X]\n",
        "mine.py:3: X is no patch; a patch is a class that derives from Patch",
    ),
    (
        "list-of-none",
        HEAD + "mine = mainline_7_3 + [None]\n",
        "mine.py:2: None is no patch; a patch is a class that derives from Patch",
    ),
    (
        "list-of-patch-itself",
        HEAD + "mine = mainline_7_3 + [Patch]\n",
        "mine.py:2: Patch is no patch; a patch is a class that derives from Patch",
    ),
    (
        "list-of-design",
        HEAD + "mine = mainline_7_3 + [rfc_v4]\n",
        "mine.py:2: the design 'rfc-v4' is no patch; a patch is a class that derives from Patch",
    ),
    (
        "instance",
        patch(CHECK, "    return True", tail="mine = mainline_7_3 + [Mine()]\n"),
        "mine.py:6: a patch is a class; write Mine without parentheses",
    ),
    (
        "no-list",
        patch(CHECK, "    return True", tail="mine = mainline_7_3 + Mine\n"),
        "mine.py:6: patches are added to a design as a list; write + [Mine], not + Mine",
    ),
    (
        "a-string",
        HEAD + "mine = mainline_7_3 + 'Mine'\n",
        "mine.py:2: patches are added to a design as a list; write + [MyPatch], not + 'Mine'",
    ),
    (
        "design-plus-design",
        HEAD + "mine = mainline_7_3 + rfc_v4\n",
        "mine.py:2: patches are added to a design as a list; write + [MyPatch], not + the design 'rfc-v4'",
    ),
    (
        "other-way-round",
        patch(CHECK, "    return True", tail="mine = [Mine] + mainline_7_3\n"),
        "mine.py:6: a design begins with its base; write BASE + [MyPatch]",
    ),
    (
        "twice",
        patch(CHECK, "    return True", tail="mine = mainline_7_3 + [Mine, Mine]\n"),
        "mine.py:6: patch Mine is listed twice",
    ),
    (
        "twice-over-base",
        HEAD + "mine = rfc_v4 + [rfc_v4.patches[-1]]\n",
        "mine.py:2: patch InvalidateOnGmemEvents is listed twice",
    ),
    (
        "base-is-a-class",
        patch(CHECK, "    return True", tail="mine = Patch + [Mine]\n"),
        "mine.py:6: TypeError: unsupported operand type(s) for +: 'type' and 'list'",
    ),
    (
        "name-number",
        HEAD + "mine = (mainline_7_3 + []).named(5, 'x')\n",
        "mine.py:2: the name of a design is text of one line, not 5",
    ),
    (
        "name-of-two-lines",
        HEAD + "mine = (mainline_7_3 + []).named('a\\nb', 'x')\n",
        "mine.py:2: the name of a design is text of one line, not 'a\\nb'",
    ),
    (
        "base-number",
        HEAD + "from pfncache import Design\nmine = Design('a', 'b', (), 5)\n",
        "mine.py:3: the base of a design is a design, not 5",
    ),
    (
        "assigned-to-kernel",
        HEAD
        + "from pfncache.linux.virt.kvm.pfncache import Pfncache\ndef f(self, gpc, length): return True\nPfncache.kvm_gpc_check = f\nmine = mainline_7_3 + []\n",
        "mine.py:4: changes Pfncache.kvm_gpc_check of the model, and so every design; write a Patch",
    ),
    (
        "added-to-kernel",
        HEAD
        + "from pfncache.linux.virt.kvm.pfncache import Pfncache\nsetattr(Pfncache, 'more', lambda self: 0)\nmine = mainline_7_3 + []\n",
        "mine.py:3: changes Pfncache.more of the model, and so every design; write a Patch",
    ),
    (
        "constant-of-kernel",
        HEAD + "import pfncache.linux.virt.kvm.pfncache as p\np.EFAULT = 5\nmine = mainline_7_3 + []\n",
        "mine.py:3: changes pfncache.EFAULT of the model, and so every design; write a Patch",
    ),
    (
        "record-of-kernel",
        HEAD + "from pfncache.lang.records import Record\nclass Kvm(Record): pass\nmine = mainline_7_3 + []\n",
        "mine.py:3: changes the record Kvm of the model, and so every design; write a Patch",
    ),
)
