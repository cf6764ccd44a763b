"""What the text of an expression says, and where it is at fault."""

import dataclasses
import pickle
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from odp_loader.errors import InvalidExpression
from odp_loader.expression import Expression, Precedence, parse
from odp_loader.expression.parser import MAXIMUM_DEPTH
from odp_loader.expression.syntax import Literal, Logic, Node


def shape(node: Any) -> Any:
    """A tree as nested tuples without positions, for comparing."""
    if isinstance(node, tuple):
        return tuple(shape(part) for part in node)
    if not dataclasses.is_dataclass(node):
        return node
    fields = (getattr(node, field.name) for field in dataclasses.fields(node) if field.name not in ("position", "text"))
    return (type(node).__name__, *(shape(value) for value in fields))


def column(name: str) -> Any:
    return ("Column", name)


def literal(value: Any) -> Any:
    return ("Literal", value)


def refused(text: str, precedence: Precedence = "strict") -> InvalidExpression:
    with pytest.raises(InvalidExpression) as caught:
        parse(text, precedence=precedence)
    assert caught.value.text == text
    return caught.value


A, B, C, D = (column(name) for name in "abcd")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", A),
        ("a == b", ("Comparison", "==", A, B)),
        ("a = b", ("Comparison", "==", A, B)),
        ("a != b", ("Comparison", "!=", A, B)),
        ("a <= b", ("Comparison", "<=", A, B)),
        ("a >= b", ("Comparison", ">=", A, B)),
        ("a == b < c", ("Comparison", "==", A, ("Comparison", "<", B, C))),
        ("a < b + c * d", ("Comparison", "<", A, ("Arithmetic", "+", B, ("Arithmetic", "*", C, D)))),
        ("a - b - c", ("Arithmetic", "-", ("Arithmetic", "-", A, B), C)),
        ("a / b * c", ("Arithmetic", "*", ("Arithmetic", "/", A, B), C)),
        ("a -1", ("Arithmetic", "-", A, literal(1))),
        ("a - -1", ("Arithmetic", "-", A, literal(-1))),
        ("-a", ("Negate", A)),
        ("-a * b", ("Arithmetic", "*", ("Negate", A), B)),
        ("not a", ("Not", A)),
        ("~a", ("Not", A)),
        ("not not a", ("Not", ("Not", A))),
        ("not (a < b)", ("Not", ("Comparison", "<", A, B))),
        ("a and b and c", ("Logic", "and", (A, B, C))),
        ("a AND b And c", ("Logic", "and", (A, B, C))),
        ("a & b", ("Logic", "and", (A, B))),
        ("a | b or c", ("Logic", "or", (A, B, C))),
        ("(a or b) and c", ("Logic", "and", (("Logic", "or", (A, B)), C))),
        ("a or (b and c)", ("Logic", "or", (A, ("Logic", "and", (B, C))))),
        ("a and (b and c)", ("Logic", "and", (A, ("Logic", "and", (B, C))))),
        ("a is null", ("IsNull", A, False)),
        ("a IS NOT NULL", ("IsNull", A, True)),
        ("a is None", ("IsNull", A, False)),
        ("a + b is null", ("IsNull", ("Arithmetic", "+", A, B), False)),
        ("(a == b) is null", ("IsNull", ("Comparison", "==", A, B), False)),
        ("not (a is null)", ("Not", ("IsNull", A, False))),
        ("a within b", ("Spatial", "within", A, B)),
        ("a contains b", ("Spatial", "contains", A, B)),
        ("a intersect b", ("Spatial", "intersects", A, B)),
        ("a INTERSECTS b", ("Spatial", "intersects", A, B)),
        ("contains(a, b)", ("Call", "contains", (A, B))),
        ("within within contains", ("Spatial", "within", column("within"), column("contains"))),
        ("f()", ("Call", "f", ())),
        ("f(a or b, -1)", ("Call", "f", (("Logic", "or", (A, B)), literal(-1)))),
        ("$a == ?".replace("?", "$b"), ("Comparison", "==", ("Variable", "a"), ("Variable", "b"))),
        ("a > ? and b < ?", ("Logic", "and", (("Comparison", ">", A, ("Variable", 0)), ("Comparison", "<", B, ("Variable", 1))))),
        ("a.b", column("a.b")),
        ("`sea level (m)`", column("sea level (m)")),
        ("`null`", column("null")),
        ("nullable", column("nullable")),
        ("android", column("android")),
        ("_x1", column("_x1")),
        ("température", column("température")),
        ("1", literal(1)),
        ("-1", literal(-1)),
        ("- -1", literal(1)),
        ("1.5", literal(1.5)),
        (".5", literal(0.5)),
        ("5.", literal(5.0)),
        ("1e5", literal(100000.0)),
        ("1E-3", literal(0.001)),
        ("9223372036854775808", literal(2**63)),
        ("true", literal(True)),
        ("False", literal(False)),
        ("null", literal(None)),
        ("None", literal(None)),
        (" \t\r\n a \n", A),
    ],
)
def test_text_becomes_a_tree(text: str, expected: Any) -> None:
    assert shape(parse(text).root) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"plain"', "plain"),
        ("'plain'", "plain"),
        ("''", ""),
        ('"it\'s"', "it's"),
        ("'say \"hi\"'", 'say "hi"'),
        (r'"say \"hi\""', 'say "hi"'),
        (r"'it\'s'", "it's"),
        (r'"a\\b"', r"a\b"),
        (r'"a\\"', "a\\"),
        (r'"\n\t\r\b\f\/"', "\n\t\r\b\f/"),
        (r'"\u00e9\u0041"', "éA"),
        (r'"\ud83d\ude00"', "😀"),
        ('"😀 é 名"', "😀 é 名"),
        ('"a.b $x ? % and or (not)"', "a.b $x ? % and or (not)"),
        ('"two\nlines"', "two\nlines"),
        ('"$since"', "$since"),
    ],
)
def test_strings_hold_any_character(text: str, value: str) -> None:
    assert parse(text).root == Literal(value, text, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a or b and c", ("Logic", "and", (("Logic", "or", (A, B)), C))),
        ("a and b or c", ("Logic", "or", (("Logic", "and", (A, B)), C))),
        ("a or b and c or d", ("Logic", "or", (("Logic", "and", (("Logic", "or", (A, B)), C)), D))),
        ("a or (b and c)", ("Logic", "or", (A, ("Logic", "and", (B, C))))),
        ("not a == b", ("Comparison", "==", ("Not", A), B)),
        ("not a is null", ("IsNull", ("Not", A), False)),
        ("a == b == c", ("Comparison", "==", ("Comparison", "==", A, B), C)),
    ],
)
def test_odp_reads_from_the_left_and_strict_asks_for_parentheses(text: str, expected: Any) -> None:
    assert shape(parse(text, precedence="odp").root) == expected
    if text != "a or (b and c)":
        refused(text)


FAULTS = [
    ("", 0, "the expression is empty"),
    ("   ", 0, "the expression is empty"),
    ("a or b and c", 7, "write `(a or b) and c` or `a or (b and c)`"),
    ("a and b | c", 8, "write `(a and b) or c` or `a and (b or c)`"),
    ("(a or b) and c or d", 15, "mixed without parentheses"),
    ("f(a, b or c and d)", 12, "mixed without parentheses"),
    ("not a > 1", 6, "write `not (a > …)`"),
    ("not a is null", 6, "write `not (a is …)`"),
    ("not a + 1", 6, "`not` belongs to what directly follows it"),
    ("1 < x < 5", 6, "write `a < b and b < c`"),
    ("a == b != c", 7, "comparisons cannot be chained"),
    ("a ==", 4, "ends too early: expected a column, a value"),
    ("a and", 5, "ends too early"),
    ("a b", 2, "unexpected `b`: expected an operator"),
    ("a and and b", 6, "unexpected `and`"),
    ("== a", 0, "unexpected `=`"),
    ("(a", 0, "the `(` here is never closed"),
    ("a == (b + (c)", 5, "the `(` here is never closed"),
    ("f(a, b", 1, "the `(` here is never closed"),
    ("a)", 1, "unexpected `)`"),
    ("f(a b)", 4, "expected an operator such as `and`, `==` or `+` or `,` or `)`"),
    ("f(a,)", 4, "unexpected `)`"),
    ("f(,a)", 2, "unexpected `,`"),
    ("a in (1, 2)", 2, "write `a == 1 or a == 2`"),
    ("a like 'x%'", 2, 'write `contains(a, "text")`'),
    ("a between 1 and 2", 2, "write `a >= 1 and a < 2`"),
    ("a % 2", 2, "there is no remainder operator"),
    ("a ** 2", 3, "there is no power operator"),
    ("a && b", 3, "write `and`"),
    ("a || b", 3, "write `or`"),
    ("a <> b", 3, "write `!=`"),
    ("!a", 0, "write `not a`"),
    ("a;", 1, "one condition or value"),
    ("a > $", 4, "a variable is `$` and a name"),
    ("a > $1", 4, "a variable is `$` and a name"),
    ("a is 3", 5, "expected `null` or `not null`"),
    ("a is not 3", 9, "expected `null`"),
    ("a is", 4, "expected `null` or `not null`"),
    ("a == 'x", 5, "the string that begins here has no closing `'`"),
    ('a == "x\\"', 5, 'the string that begins here has no closing `"`'),
    ("`a b", 0, "the column name that begins here has no closing ```"),
    ("``", 0, "the column name"),
    ('a == "x\\q"', 7, "`\\q` is no escape"),
    ('a == "\\u12g4"', 6, "`\\u` is no escape"),
    ('a == "\\ud800"', 5, "half of a surrogate pair"),
    ("x < 1e-99999999", 4, "an exponent that no number needs"),
    ("0e99999999", 0, "an exponent that no number needs"),
    ("1e999", 0, "an exponent that no number needs"),
    ("1e309", 0, "too large for a float"),
    ("a > 1" + "0" * 500, 4, "a number of more than 400 characters"),
    ("1a", 1, "unexpected `a`"),
    ("a > ? or b < $x", 13, "cannot be mixed"),
    ("a > $x or b < ?", 14, "cannot be mixed"),
    ("a ==\n  b c", 9, "unexpected `c`"),
    ("(" * 4096, 4096, "ends too early"),
    ("(" * 2000 + "1" + ")" * 2000, 1900, f"nested more than {MAXIMUM_DEPTH} levels deep"),
    ("not " * 1000 + "a", 3600, "nested more than"),
    ("-" * 4000 + "a", 3900, "nested more than"),
    ("f(" * 1000 + "a" + ")" * 1000, 1800, "nested more than"),
    ("1" + "+1" * 2000, 199, "nested more than"),
    ("a" + " == a" * 800, 7, "comparisons cannot be chained"),
]


@pytest.mark.parametrize(("text", "position", "words"), FAULTS, ids=[text[:20] or "empty" for text, _, _ in FAULTS])
def test_a_fault_has_a_position_and_says_what_to_write(text: str, position: int, words: str) -> None:
    error = refused(text)
    assert (error.position, words in error.message) == (position, True), error.message
    assert str(error).endswith("^")


def test_a_deep_tree_is_refused_in_odps_reading_as_well() -> None:
    assert "nested more than" in refused(" or ".join(["a and b"] * 500), "odp").message
    assert "nested more than" in refused("a" + " == a" * 800, "odp").message


def test_a_long_list_of_alternatives_is_flat() -> None:
    expression = parse(" or ".join(f"station == {i}" for i in range(1000)))
    assert isinstance(expression.root, Logic)
    assert len(expression.root.operands) == 1000


def test_an_expression_knows_its_columns_and_variables_in_order() -> None:
    expression = parse("(b > $lo and a < $hi) or f(b, c.d) == $lo")
    assert expression.columns == ("b", "a", "c.d")
    assert expression.variables == ("lo", "hi")
    assert parse("a > ? and b < ?").variables == (0, 1)
    assert parse("1 == 1").columns == ()
    assert str(expression) == expression.text


def test_an_expression_is_a_value() -> None:
    expression = parse("a > $x and not (b is null)")
    assert pickle.loads(pickle.dumps(expression)) == expression == parse("a > $x and not (b is null)")
    assert len({expression, parse("a > $x and not (b is null)"), parse("a")}) == 2


def test_every_node_points_into_the_text() -> None:
    text = 'not (round(a, 1) + -b >= $x) and c is null and g within "POINT (0 0)"'
    found: list[str] = []

    def visit(value: Any) -> None:
        if isinstance(value, tuple):
            for part in value:
                visit(part)
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            found.append(text[value.position :].split()[0])
            for field in dataclasses.fields(value):
                visit(getattr(value, field.name))

    visit(parse(text).root)
    assert found == ["and", "not", ">=", "+", "round(a,", "a,", "1)", "-b", "b", "$x)", "is", "c", "within", "g", '"POINT']


@given(st.text(max_size=80))
@example("\x00")
@example("a > '\ud800'")
def test_any_text_parses_or_is_refused(text: str) -> None:
    check_hostile(text)


PIECES = ["a", "1", "1.5", "'x'", '"', "'", "(", ")", ",", "and", "or", "not", "is", "null", "==", "<", "-", "+", "*", "/", "~"]
PIECES += ["$x", "?", "$", "f(", "within", "`b`", "`", "&", "|", "=", "\\", "true", ".", "1e5", "_", "%", "!", "\n"]


@given(
    st.lists(st.sampled_from(PIECES), max_size=25),
    st.sampled_from(["", " "]),
)
def test_any_row_of_tokens_parses_or_is_refused(tokens: list[str], glue: str) -> None:
    check_hostile(glue.join(tokens))


def check_hostile(text: str) -> None:
    readings: dict[Precedence, Node] = {}
    for precedence in ("strict", "odp"):
        try:
            readings[precedence] = parse(text, precedence=precedence).root
        except InvalidExpression as error:
            fault = error
            assert 0 <= fault.position <= len(text)
            assert fault.message
    if "strict" in readings:  # what strict accepts, both read alike
        assert readings["odp"] == readings["strict"]


def test_parsing_needs_no_pyarrow() -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = sys.modules['numpy'] = sys.modules['shapely'] = None\n"
        "from odp_loader.expression import FUNCTIONS, parse\n"
        "print(parse('year(time) == $year').columns, len(FUNCTIONS) > 20)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=False)
    assert (result.stdout.strip(), result.stderr) == ("('time',) True", "")


def test_the_package_offers_what_it_names() -> None:
    from odp_loader import expression

    assert all(getattr(expression, name) is not None for name in expression.__all__)
    with pytest.raises(AttributeError):
        expression.nothing  # noqa: B018
    assert isinstance(parse("a"), Expression)
