# SPDX-License-Identifier: GPL-2.0-only
"""Files that do not load, set up or compile: the text of each, and the one line that is shown."""

# ruff: noqa: E501

from __future__ import annotations

from tests.bad_input.rows_patches import ACTOR, HEAD, WORLD, Row, clock, patch

FILES: tuple[Row, ...] = (
    (
        "sys-exit",
        "import sys\nsys.exit(0)\n",
        "mine.py:2: calls sys.exit(); a file of designs defines them, and returns",
    ),
    (
        "exit-text",
        "raise SystemExit('bye')\n",
        "mine.py:1: calls sys.exit(); a file of designs defines them, and returns",
    ),
    ("os-exit", "import os\nos._exit(0)\n", "mine.py:2: calls os._exit(); a file of designs defines them, and returns"),
    (
        "os-exit-imported",
        "from os import _exit\n_exit(0)\n",
        "mine.py:2: calls os._exit(); a file of designs defines them, and returns",
    ),
    (
        "posix-exit",
        "import posix\nposix._exit(0)\n",
        "mine.py:2: calls os._exit(); a file of designs defines them, and returns",
    ),
    ("os-abort", "import os\nos.abort()\n", "mine.py:2: calls os.abort(); a file of designs defines them, and returns"),
    (
        "kill",
        "import os\nos.kill(os.getpid(), 9)\n",
        "mine.py:2: calls os.kill(); a file of designs defines them, and returns",
    ),
    ("fork", "import os\nos.fork()\n", "mine.py:2: calls os.fork(); a file of designs defines them, and returns"),
    (
        "exec-program",
        "import os\nos.execvp('true', ['true'])\n",
        "mine.py:2: calls os.execv(); a file of designs defines them, and returns",
    ),
    ("base-exception", "raise BaseException('mine')\n", "mine.py:1: BaseException: mine"),
    ("generator-exit", "raise GeneratorExit\n", "mine.py:1: GeneratorExit"),
    ("endless", "\nwhile True:\n    pass\n", "mine.py:2: the file does not end within 0.5 s"),
    (
        "endless-caught",
        "\nwhile True:\n    try:\n        n = 0\n    except Exception:\n        pass\n",
        "mine.py:2: the file does not end within 0.5 s",
    ),
    ("endless-sleep", "import time\ntime.sleep(100)\n", "mine.py:2: the file does not end within 0.5 s"),
    ("never-closed", "x = (\n", "mine.py:1: '(' was never closed"),
    ("syntax", "\nx = 1 +\n", "mine.py:2: invalid syntax"),
    (
        "indent",
        "if True:\nx = 1\n",
        "mine.py:2: IndentationError: expected an indented block after 'if' statement on line 1",
    ),
    (
        "tabs",
        "if True:\n        x = 1\n\ty = 2\n",
        "mine.py:3: TabError: inconsistent use of tabs and spaces in indentation",
    ),
    ("name-error", "\nx = y\n", "mine.py:2: NameError: name 'y' is not defined"),
    ("type-error", "\nx = 1 + 'a'\n", "mine.py:2: TypeError: unsupported operand type(s) for +: 'int' and 'str'"),
    ("division", "def f():\n    return 1 // 0\nf()\n", "mine.py:2: ZeroDivisionError: "),
    (
        "os-error",
        "open('/nonexistent')\n",
        "mine.py:1: FileNotFoundError: [Errno 2] No such file or directory: '/nonexistent'",
    ),
    ("memory", "x = [0] * (1 << 60)\n", "mine.py:1: MemoryError"),
    ("assertion", "assert False\n", "mine.py:1: AssertionError"),
    ("recursion", "def f(): f()\nf()\n", "mine.py:1: RecursionError: maximum recursion depth exceeded"),
    (
        "recursion-limit",
        "import sys\nsys.setrecursionlimit(400)\ndef f(): f()\nf()\n",
        "mine.py:3: RecursionError: maximum recursion depth exceeded",
    ),
    ("not-2000", "x = " + "not " * 20000 + "True\n", "mine.py: is nested too deeply for Python's parser"),
    ("parentheses", "x = " + "(" * 300 + ")" * 300 + "\n", "mine.py:1: too many nested parentheses"),
    (
        "message-raises",
        "class E(Exception):\n    def __str__(self): return 1 // 0\nraise E\n",
        "mine.py:3: E: its message cannot be made",
    ),
    (
        "message-long",
        "raise ValueError('x' * 5000)\n",
        "mine.py:1: ValueError: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...",
    ),
    ("message-lines", "raise ValueError('a\\nb')\n", "mine.py:1: ValueError: a"),
    ("message-escape", "raise ValueError('\\x1b[31m\\ud800')\n", "mine.py:1: ValueError: \\x1b[31m\\ud800"),
    ("missing-module", "import no_such_module\n", "mine.py:1: ModuleNotFoundError: No module named 'no_such_module'"),
    ("missing-name", "from pfncache import no_such_name\n", "mine.py:1: pfncache has no 'no_such_name'"),
    (
        "missing-design",
        "from pfncache.designs.catalogue import mainline_9_9\n",
        "mine.py:1: pfncache.designs.catalogue has no 'mainline_9_9'; nearest: mainline_7_3, mainline_7_2, mainline_6_18",
    ),
    (
        "relative-import",
        "from . import helper\n",
        "mine.py:1: a file has no package to import from; write `import helper` for a helper.py beside it",
    ),
    (
        "relative-name",
        "from .helper import x\n",
        "mine.py:1: a file has no package to import from; write `import helper` for a helper.py beside it",
    ),
    (
        "imports-itself",
        "import mine\n",
        "mine.py: defines no design and no scenario; write e.g. `my_design = mainline_7_3 + [MyPatch]`",
    ),
    ("empty", "", "mine.py: defines no design and no scenario; write e.g. `my_design = mainline_7_3 + [MyPatch]`"),
    (
        "comment",
        "# nothing\n",
        "mine.py: defines no design and no scenario; write e.g. `my_design = mainline_7_3 + [MyPatch]`",
    ),
    (
        "no-design",
        "x = 1\n",
        "mine.py: defines no design and no scenario; write e.g. `my_design = mainline_7_3 + [MyPatch]`",
    ),
    (
        "design-of-the-catalogue",
        HEAD + "mine = mainline_7_3\n",
        "mine.py: defines no design and no scenario; write e.g. `my_design = mainline_7_3 + [MyPatch]`",
    ),
    (
        "name-taken",
        HEAD + "mine = (mainline_7_3 + []).named('rfc-v4', 'x')\n",
        "mine.py:2: the catalogue has a design 'rfc-v4'; give another name",
    ),
    (
        "thread",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(0.5,)).start()\n",
        "mine.py: leaves a thread running; a file of designs defines them, and returns",
    ),
    ("null-byte", "x = 1\nx = '\0'\n", "mine.py:2: is no text: it has a null byte"),
    (
        "closes-stdout",
        "import sys\nsys.stdout.close()\n",
        "mine.py: defines no design and no scenario; write e.g. `my_design = mainline_7_3 + [MyPatch]`",
    ),
)

SCENARIOS: tuple[Row, ...] = (
    ("no-actor", WORLD, "mine.py:2: mine/mine declares no actor"),
    (
        "set-up-exits",
        WORLD + "    import sys; sys.exit(0)\n",
        "mine.py:5: calls sys.exit(); a file of designs defines them, and returns",
    ),
    (
        "set-up-os-exits",
        WORLD + "    import os; os._exit(0)\n",
        "mine.py:5: calls os._exit(); a file of designs defines them, and returns",
    ),
    (
        "set-up-os-error",
        WORLD + "    open('/nonexistent')\n",
        "mine.py:5: FileNotFoundError: [Errno 2] No such file or directory: '/nonexistent'",
    ),
    ("set-up-name-error", WORLD + "    x\n", "mine.py:5: NameError: name 'x' is not defined"),
    ("set-up-raises", WORLD + "    raise Exception('mine')\n", "mine.py:5: Exception: mine"),
    (
        "set-up-recursion",
        WORLD + "    mine.build.__wrapped__(w)\n",
        "mine.py:4: RecursionError: maximum recursion depth exceeded",
    ),
    ("set-up-endless", WORLD + "    while True: pass\n", "mine.py:5: the set-up does not end within 0.5 s"),
    (
        "set-up-catches-all",
        WORLD + "    while True: exec('try: len(str())\\nexcept Exception: pass')\n",
        "mine.py:5: the set-up does not end within 0.5 s",
    ),
    (
        "value-out-of-range",
        WORLD + "    w.vcpu.pv_time.gpa = -77\n" + ACTOR,
        "mine.py:5: ValueError: vcpu.pv_time.gpa is a number from -1 to 14, not -77",
    ),
    (
        "value-of-200-bits",
        WORLD + "    w.vcpu.pv_time.pfn = 1 << 200\n" + ACTOR,
        "mine.py:5: ValueError: vcpu.pv_time.pfn is a number from -8 to 7, not 1606938044258990275541962092341162602522",
    ),
    (
        "value-no-number",
        WORLD + "    w.vcpu.pv_time.pfn = 'x'\n" + ACTOR,
        "mine.py:5: ValueError: vcpu.pv_time.pfn is a number from -8 to 7, not 'x'",
    ),
    (
        "value-no-record",
        WORLD + "    w.vcpu.pv_time.memslot = 5\n" + ACTOR,
        "mine.py:5: ValueError: vcpu.pv_time.memslot is a KvmMemorySlot or None, not 5",
    ),
    (
        "call-unknown",
        WORLD + "    w.actor('a', w.call('vm_munmpa', w.mm))\n",
        "mine.py:5: AttributeError: the kernel has no function 'vm_munmpa'; nearest: vm_munmap, do_vmi_munmap, memunmap",
    ),
    (
        "call-number",
        WORLD + "    w.actor('a', w.call(5))\n",
        "mine.py:5: TypeError: a call is of a kernel function by name, or of a Python function, not of 5",
    ),
    (
        "call-arguments",
        WORLD + "    w.actor('a', w.call('vm_munmap', w.mm))\n",
        "mine.py:5: TypeError: vm_munmap(): missing a required argument: 'address'",
    ),
    (
        "call-of-print",
        WORLD + "    w.actor('a', w.call(print))\n",
        "mine.py:5: TypeError: a call is of a kernel function by name, or of a Python function, not of <built-in function print>",
    ),
    (
        "call-of-lambda",
        WORLD + "    w.actor('a', w.call(lambda: 0))\n",
        "mine.py:5: <lambda> is no function with a def",
    ),
    (
        "actor-text",
        WORLD + "    w.actor('a', 'run_clock_update')\n",
        "mine.py:5: TypeError: an operation is w.call(...), not 'run_clock_update'",
    ),
    (
        "actor-number",
        WORLD + "    w.actor(5, w.call('run_clock_update', w.vcpu))\n",
        "mine.py:5: TypeError: the name of an actor is text of one line, not 5",
    ),
    ("actor-twice", WORLD + ACTOR + ACTOR, "mine.py:6: ValueError: a second actor 'vcpu'; give another name"),
    (
        "actor-interrupts-none",
        WORLD + ACTOR + "    w.actor('b', w.call('run_clock_update', w.vcpu), interrupts='cpu')\n",
        "mine.py:2: ValueError: b interrupts 'cpu'; the other actors: vcpu",
    ),
    (
        "do-text",
        WORLD + "    w.do('run_clock_update')\n",
        "mine.py:5: TypeError: an operation is w.call(...), not 'run_clock_update'",
    ),
    (
        "option-unknown",
        "from pfncache import scenario\n@scenario(slot=2)\ndef mine(w): pass\n",
        "mine.py:2: TypeError: a world has no option 'slot'; nearest: slots, slot_ids",
    ),
    (
        "option-text",
        "from pfncache import scenario\n@scenario(pages='3')\ndef mine(w): pass\n",
        "mine.py:2: TypeError: pages is a number, not '3'",
    ),
    (
        "option-negative",
        "from pfncache import scenario\n@scenario(pages=-1)\ndef mine(w): pass\n",
        "mine.py:2: ValueError: pages is a number from 1 to 64, not -1",
    ),
    (
        "option-huge",
        "from pfncache import scenario\n@scenario(pages=10**9)\ndef mine(w): pass\n",
        "mine.py:2: ValueError: pages is a number from 1 to 64, not 1000000000",
    ),
    (
        "option-flag",
        "from pfncache import scenario\n@scenario(readonly='no')\ndef mine(w): pass\n",
        "mine.py:2: TypeError: readonly is True or False, not 'no'",
    ),
    (
        "option-caches",
        "from pfncache import scenario\n@scenario(caches=5)\ndef mine(w): pass\n",
        "mine.py:2: TypeError: caches is a function, as lambda vcpu: (vcpu.pv_time,), not 5",
    ),
    (
        "memory-unknown",
        "from pfncache import scenario\n@scenario(memory='gmem-mnap')\ndef mine(w): pass\n",
        "mine.py:2: ValueError: no memory 'gmem-mnap'; nearest: gmem-mmap, gmem-unmapped, gmem-ndm",
    ),
    (
        "name-number",
        "from pfncache import scenario\n@scenario('a', 5)\ndef mine(w): pass\n",
        "mine.py:2: TypeError: the hazard of a scenario is text of one line, not 5",
    ),
    (
        "no-parameter",
        "from pfncache import scenario\n@scenario\ndef mine(): pass\n",
        "mine.py:2: TypeError: mine() must take one argument, the World",
    ),
    (
        "two-parameters",
        "from pfncache import scenario\n@scenario\ndef mine(w, x): pass\n",
        "mine.py:2: TypeError: mine(w, x) must take one argument, the World",
    ),
    (
        "async-scenario",
        "from pfncache import scenario\n@scenario\nasync def mine(w): pass\n",
        "mine.py:2: TypeError: mine is async; a scenario is a def, which declares actors when it is called",
    ),
    (
        "generator-scenario",
        "from pfncache import scenario\n@scenario\ndef mine(w): yield w\n",
        "mine.py:2: TypeError: mine is a generator; a scenario declares actors when it is called",
    ),
    (
        "class-scenario",
        "from pfncache import scenario\n@scenario\nclass Mine: pass\n",
        "mine.py:2: TypeError: a scenario is a function with a def, not Mine",
    ),
    (
        "lambda-scenario",
        "from pfncache import scenario\nmine = scenario(lambda w: 0)\n",
        "mine.py:2: TypeError: a scenario is a function with a def, not <lambda>",
    ),
    (
        "name-of-the-catalogue",
        WORLD + ACTOR + "@scenario('mine')\ndef other(w): pass\n",
        "mine.py:7: a second scenario 'mine/mine'; rename the function",
    ),
)

COMPILED: tuple[Row, ...] = (
    ("prints", clock("print('x')"), "mine.py:5: 'print' is not a model function and not in the model's language"),
    (
        "exits",
        clock("import sys", "sys.exit(0)"),
        "mine.py:5: an import inside a function is not in the model's language: use if, while, for, with, return and assignments",
    ),
    (
        "os-exits",
        clock("os._exit(0)", head=HEAD + "import os\n"),
        "mine.py:6: '_exit' is not a model function and not in the model's language",
    ),
    ("not-2000", clock("x = " + "not " * 2000 + "True"), "mine.py:5: cannot be compiled: RecursionError: recursion"),
    (
        "divides",
        clock("vcpu.pv_time.pfn = vcpu.pv_time.generation // 0"),
        "mine.py:5: the divisor may be 0, which has no result: test it in a local with bounds",
    ),
    ("divides-constants", clock("x = 1 // 0"), "mine.py:5: cannot be compiled: ZeroDivisionError: "),
    (
        "shifts-back",
        clock("vcpu.pv_time.pfn = 1 << -1"),
        "mine.py:5: cannot be compiled: ValueError: negative shift count",
    ),
    (
        "200-bits",
        clock("vcpu.pv_time.pfn = 1 << 200"),
        "mine.py:5: a number of 201 bits; the engine's have 64, with a sign",
    ),
    (
        "adds-text",
        clock("x = 1 + 'a'"),
        "mine.py:5: cannot be compiled: TypeError: unsupported operand type(s) for +: 'int' and 'str'",
    ),
    (
        "unknown-member",
        clock("vcpu.pv_time.nothing = 1"),
        "mine.py:5: GfnToPfnCache has no scalar 'nothing'; its scalars: kvm, generation, gpa, uhva, memslot, pfn, khva, active, valid, outdated, updating, tag",
    ),
    ("unknown-function", clock("self.nothing()"), "mine.py:5: there is no function or member 'nothing'"),
    ("unknown-name", clock("nothing(vcpu)"), "mine.py:5: the name 'nothing' is not defined here"),
    (
        "list",
        clock("x = [1]"),
        "mine.py:5: a list is not in the model's language: use a plain expression, or a loop over records",
    ),
    (
        "try",
        clock("try: pass", "except OSError: pass"),
        "mine.py:5: try is not in the model's language: use if, while, for, with, return and assignments",
    ),
    (
        "annotation",
        patch(
            "def kvm_guest_time_update(self, vcpu: 1 // 0): pass", head="from __future__ import annotations\n" + HEAD
        ),
        "mine.py:5: an annotation cannot be evaluated: ZeroDivisionError: ",
    ),
    (
        "loop-in-set-up",
        patch("def kvm_gpc_init(self, gpc, kvm):", "    while True: pass"),
        "mine.py:5: the set-up does not end within 0.5 s",
    ),
)
