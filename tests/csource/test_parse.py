# SPDX-License-Identifier: GPL-2.0-only
"""What a C file defines."""

from __future__ import annotations

from pfncache.csource.parse import CType, constant, parse

TEXT = """\
#define LIMIT 5
#define MASK (LIMIT | 0x10UL)
#define NAME "x"
typedef bool (*handler_t)(int a);
enum state { IDLE, BUSY = 4, DONE };
struct box {
	struct box *next;
	int count, *out;
	handler_t handler;
	union { long one; u64 two; };
	struct { int inner; } named;
	char name[8];
};
typedef struct pair { int a; } pair_t;
static int total;
struct box *find(struct box *b, unsigned long index, struct box **result)
{
	return b;
}
static void none(void)
{
}
"""


def test_functions_with_their_types() -> None:
    source = parse(TEXT, "f.c")
    assert list(source.functions) == ["find", "none"]
    find = source.functions["find"]
    assert find.line == 16
    assert find.result == CType("box", True, 1)
    assert find.parameters == [
        ("b", CType("box", True, 1)),
        ("index", CType("unsigned long")),
        ("result", CType("box", True, 2)),
    ]
    assert str(find.parameters[2][1]) == "struct box **"


def test_structures_with_those_without_a_name_inside() -> None:
    members = parse(TEXT, "f.c").structs["box"]
    assert list(members) == ["next", "count", "out", "handler", "one", "two", "named", "name"]
    assert members["out"] == CType("int", stars=1)
    assert members["named"] == CType("box.named", True)
    assert parse(TEXT, "f.c").structs["box.named"] == {"inner": CType("int")}
    assert members["name"].is_array


def test_types_constants_and_variables() -> None:
    source = parse(TEXT, "f.c")
    assert source.typedefs["handler_t"] == CType("bool", is_function=True)
    assert source.typedefs["pair_t"] == CType("pair", True)
    assert source.structs["pair"] == {"a": CType("int")}
    assert source.enumerators == {"IDLE": 0, "BUSY": 4, "DONE": 5, "LIMIT": 5, "MASK": 21}
    assert "total" in source.statics


def test_constants() -> None:
    assert constant("BIT(3) | 1", {}) == 9
    assert constant("A << 2", {"A": 3}) == 12
    assert constant("sizeof(int)", {}) is None
    assert constant("B", {}) is None


def test_a_function_that_does_not_parse_is_refused_alone() -> None:
    source = parse("int a(void)\n{\n\treturn 1 +;\n}\nint b(void)\n{\n\treturn 2;\n}\n", "f.c")
    assert list(source.functions) == ["b"]
    assert str(source.refused["a"]) == "3: the function does not parse as C; correct the syntax of this line"


def test_a_function_that_is_defined_twice_is_refused() -> None:
    source = parse("int a(void)\n{\n\treturn 1;\n}\nint a(void)\n{\n\treturn 2;\n}\n", "f.c")
    assert source.functions == {}
    assert source.refused["a"].line == 5
    assert source.refused["a"].what == "it is defined twice in the file"


def test_a_variable_number_of_arguments_is_refused() -> None:
    assert parse("int a(int b, ...)\n{\n\treturn b;\n}\n", "f.c").refused["a"].what == "a variable number of arguments"
