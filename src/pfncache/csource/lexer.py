# SPDX-License-Identifier: GPL-2.0-only
"""Makes kernel C parsable without headers: the same text, line by line, with what a C grammar cannot know rewritten.

Comments and annotations become blanks, conditional compilation is decided by a set of names, function-like macros of
the file are expanded, and a block after a macro, such as for_each_x() or scoped_guard(), becomes that of a while.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from pfncache.csource.constants import value_of
from pfncache.csource.errors import SourceError

ANNOTATION = re.compile(
    r"\b(__user|__init|__exit|__weak|__percpu|__always_inline|__ref|noinline|noinline_for_stack|__must_check|"
    r"__read_mostly|__maybe_unused|__rcu|__ro_after_init|__bpf_kfunc|__cold|__force|__visible|__noendbr|"
    r"asmlinkage|__no_kcsan|__no_sanitize_address|noinstr)\b"
    r"|\b(?:__must_hold|__acquires|__releases|__aligned|__printf|__counted_by|__cacheline_group_begin|"
    r"__cacheline_group_end)\s*\([^()]*\)|____cacheline_aligned(?:_in_smp)?\b"
)
"""Words that change nothing about what the code does."""
TYPE_ARGUMENTS = re.compile(
    r"\b(container_of|sizeof_field|offsetof|offsetofend|list_first_entry|list_last_entry|list_first_entry_or_null|"
    r"rb_entry|rb_entry_safe|hlist_entry|min_t|max_t|kzalloc_obj|kmalloc_obj|kzalloc_flex|this_cpu_read|"
    r"clamp_t|struct_size_t)\s*\("
)
"""Macros with a type among their arguments, of which a grammar knows expressions alone."""
BLOCK_MACRO = re.compile(
    r"^([ \t]+(?:else |do )?)(\w*for_each\w*|scoped_guard|scoped_class|scoped_cond_guard)(\s*)\(", re.M
)
"""A macro in the place of a loop's head."""
ASSERTION = re.compile(r"\bBUILD_BUG_ON(?:_MSG)?\s*\(")
ASSEMBLY = re.compile(r"\basm\s+(?:volatile\s*)?\(")
TEMPLATE_MACRO = re.compile(r"(\"(?:\\.|[^\"\\])*\")|(\b_ASM_\w+\([^()]*\))")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'", re.S)
DIRECTIVE = re.compile(r"\s*#\s*(\w+)\s*(.*)")
DEFINITION = re.compile(r"(\w+)(?:\(([^)]*)\))?(?:\s+(.*))?$")
DEFINED = re.compile(r"(?:IS_ENABLED|IS_REACHABLE|IS_BUILTIN|defined)\s*\(?\s*(\w+)\s*\)?")
WORD = re.compile(r"\b(?!and\b|or\b|not\b|True\b|False\b)[A-Za-z_]\w*\b")
CONDITION = re.compile(r"(?:[\s()0-9<>=]|\b(?:and|or|not|True|False)\b)*")
MAX_EXPANSIONS = 10_000
"""Expansions in one file; more means a macro that expands to itself."""


@dataclass(frozen=True)
class Macro:
    """A function-like macro of the file."""

    parameters: tuple[str, ...]
    body: str


@dataclass
class Prepared:
    """A file's text after the preparation, and its macros."""

    text: str
    constants: dict[str, str] = field(default_factory=dict)
    """Object-like macros, with their text."""
    macros: dict[str, Macro] = field(default_factory=dict)


def closing(text: str, at: int, file: str = "") -> int:
    """Return the index of the parenthesis that closes the one at `at`. Raises SourceError if there is none."""
    depth = 0
    for match in re.compile(r"[()]").finditer(text, at):
        depth += 1 if match.group() == "(" else -1
        if depth == 0:
            return match.start()
    raise SourceError(file, text.count("\n", 0, at) + 1, "a parenthesis is not closed")


def without_comments(text: str) -> str:
    """Return the text with a blank for each character of a comment, lines kept."""

    def blank(match: re.Match[str]) -> str:
        word = match.group()
        return word if word[0] in "\"'" else re.sub(r"[^\n]", " ", word)

    return COMMENT.sub(blank, text)


def holds(condition: str, config: Collection[str]) -> bool:
    """Return the value of an #if: names of the configuration are true, other names are 0."""
    words = DEFINED.sub(lambda m: str(m.group(1) in config), condition)
    words = words.replace("&&", " and ").replace("||", " or ")
    words = re.sub(r"!(?!=)", " not ", words)
    words = WORD.sub(lambda m: "1" if m.group() in config else "0", words).strip()
    if not CONDITION.fullmatch(words) or re.search(r"[0-9e]\s*\(", words):  # a macro with arguments
        return False
    return bool(value_of(words))


def compiled_lines(text: str, config: Collection[str], file: str) -> Prepared:
    """Keep the lines that the configuration compiles; take the macros out."""
    prepared = Prepared("")
    out: list[str] = []
    stack: list[tuple[bool, bool, int]] = []  # live, taken before, line
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        live = all(entry[0] for entry in stack)
        match = DIRECTIVE.match(line)
        if match is None:
            out.append(line if live else "")
            at += 1
            continue
        word, rest, count = match.group(1), match.group(2), 1
        while rest.endswith("\\") and at + count < len(lines):
            rest = rest[:-1] + " " + lines[at + count].strip()
            count += 1
        _directive(word, rest.strip(), live, config, stack, prepared, (file, at + 1))
        out.extend([""] * count)
        at += count
    if stack:
        raise SourceError(file, stack[-1][2], "the #if is not closed")
    prepared.text = "\n".join(out)
    return prepared


def _directive(  # noqa: PLR0913 - the state of the scan
    word: str,
    rest: str,
    live: bool,
    config: Collection[str],
    stack: list[tuple[bool, bool, int]],
    prepared: Prepared,
    place: tuple[str, int],
) -> None:
    if word in ("ifdef", "ifndef"):
        name = rest.split(maxsplit=1)[0] if rest else ""
        stack.append(((name in config) == (word == "ifdef"), False, place[1]))
    elif word == "if":
        stack.append((holds(rest, config), False, place[1]))
    elif word in ("else", "elif", "endif"):
        if not stack:
            raise SourceError(*place, f"#{word} without #if")
        was, taken, line = stack.pop()
        taken = taken or was
        if word != "endif":
            stack.append((not taken and (word == "else" or holds(rest, config)), taken, line))
    elif word == "define" and live:
        match = DEFINITION.match(rest)
        if match is None:
            return
        name, parameters, body = match.groups()
        if parameters is None:
            prepared.constants[name] = (body or "").strip()
        else:
            prepared.macros[name] = Macro(tuple(p.strip() for p in parameters.split(",")), (body or "").strip())


def split_arguments(text: str) -> list[str]:
    """Return the arguments of a call, the text between its parentheses."""
    arguments, depth, current = [], 0, ""
    for character in text:
        if character == "," and depth == 0:
            arguments.append(current.strip())
            current = ""
            continue
        depth += character in "([{"
        depth -= character in ")]}"
        current += character
    arguments.append(current.strip())
    return arguments


def _expand(text: str, macros: dict[str, Macro], file: str) -> str:
    """Expand the function-like macros, keeping the number of lines."""
    if not macros:
        return text
    names = re.compile(rf"\b({'|'.join(map(re.escape, macros))})\s*\(")
    at, count = 0, 0
    while match := names.search(text, at):
        count += 1
        if count > MAX_EXPANSIONS:
            raise SourceError(file, text.count("\n", 0, match.start()) + 1, f"{match.group(1)}() expands to itself")
        end = closing(text, match.end() - 1, file)
        macro = macros[match.group(1)]
        arguments = split_arguments(text[match.end() : end])
        if len(arguments) != len(macro.parameters) or "#" in macro.body:
            at = match.end()
            continue
        given = dict(zip(macro.parameters, arguments, strict=True))
        body = re.sub(r"\b\w+\b", lambda m, given=given: given.get(m.group(), m.group()), macro.body)  # type: ignore[misc]
        body = re.sub(r"\s*\n\s*", " ", body)
        lines = text.count("\n", match.start(), end)
        text = text[: match.start()] + body + "\n" * lines + text[end + 1 :]
        at = match.start()
        if re.search(rf"\b{match.group(1)}\s*\(", body):
            at += len(body)
    return text


def _rewrite_types(text: str, file: str) -> str:
    """Make types that are arguments of macros into identifiers."""
    parts, at = [], 0
    for match in TYPE_ARGUMENTS.finditer(text):
        if match.end() < at:
            continue
        end = closing(text, match.end() - 1, file)
        inner = re.sub(r"\b(?:struct|union|enum)\s", lambda m: " " * len(m.group()), text[match.end() : end])
        inner = re.sub(r"\bunsigned (long|int)\b", lambda m: "u" + m.group(1).ljust(len(m.group()) - 1), inner)
        parts += [text[at : match.end()], inner]
        at = end
    return "".join(parts) + text[at:]


def _rewrite_blocks(text: str, file: str) -> str:
    """Make a macro in the place of a loop's head the condition of a while."""
    parts, at = [], 0
    for match in BLOCK_MACRO.finditer(text):
        end = closing(text, match.end() - 1, file)
        if text[end + 1 :].lstrip()[:1] == ";" and not match.group(2).startswith("scoped"):
            continue
        parts += [text[at : match.end(1)], "while (", text[match.start(2) : end + 1], ")"]
        at = end + 1
    return "".join(parts) + text[at:]


def _without_assertions(text: str, file: str) -> str:
    """Make assertions about constants blank, of which the compiler makes no code."""
    parts, at = [], 0
    for match in ASSERTION.finditer(text):
        end = closing(text, match.end() - 1, file) + 1
        parts += [text[at : match.start()], re.sub(r"[^\n]", " ", text[match.start() : end])]
        at = end
    return "".join(parts) + text[at:]


def _rewrite_assembly(text: str, file: str) -> str:
    """Make a macro with arguments in the template of an asm statement a string, as a grammar has no calls there."""
    parts, at = [], 0
    for match in ASSEMBLY.finditer(text):
        end = closing(text, match.end() - 1, file)
        template = text[match.end() : end]
        template = TEMPLATE_MACRO.sub(lambda m: m.group(1) or f'"{m.group(2)}"', template)
        parts += [text[at : match.end()], template]
        at = end
    return "".join(parts) + text[at:]


def prepare(text: str, config: Collection[str] = (), keep: Collection[str] = (), file: str = "") -> Prepared:
    """Return C that a grammar parses, each line where it was.

    `config` has the names that are defined; `keep` has macros that are not expanded, since the tables have them.
    Raises SourceError for a parenthesis or an #if that is not closed.
    """
    prepared = compiled_lines(without_comments(text), config, file)
    prepared.text = _expand(prepared.text, {k: m for k, m in prepared.macros.items() if k not in keep}, file)
    prepared.text = _without_assertions(prepared.text, file)
    prepared.text = _rewrite_assembly(prepared.text, file)
    prepared.text = ANNOTATION.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), prepared.text)
    prepared.text = _rewrite_blocks(_rewrite_types(prepared.text, file), file)
    return prepared
