"""Says in words what is wrong with the text of an expression, where, and what to write instead."""

import re
from collections.abc import Set

from lark import Token, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from odp_loader.expression.fault import Fault

_INSTEAD = {
    "in": "write `a == 1 or a == 2`",
    "like": 'write `contains(a, "text")` or `startswith(a, "text")`',
    "between": "write `a >= 1 and a < 2`",
    "%": "there is no remainder operator",
    "*": "there is no power operator; write `a * a`",
    "!": "write `not a`, or `!=`",
    "&": "write `and`",
    "|": "write `or`",
    ">": "write `!=` for `<>`",
    ";": "an expression is one condition or value",
    "$": "a variable is `$` and a name, such as `$since`",
}


def mixed_junction(first: str, second: str) -> str:
    """The message for `a or b and c`."""
    return (
        f"`{first}` and `{second}` are mixed without parentheses, and ODP reads them from the left as equals; "
        f"write `(a {first} b) {second} c` or `a {first} (b {second} c)`"
    )


def explain(unexpected: UnexpectedInput, text: str) -> Fault:
    """The words for what Lark did not expect in `text`."""
    match unexpected:
        case UnexpectedToken() if unexpected.token.type == "$END":
            return _unfinished(unexpected, text)
        case UnexpectedToken():
            position = unexpected.token.start_pos or 0
            expectation = _expectation(unexpected.accepts or unexpected.expected)
        case UnexpectedCharacters():
            position = unexpected.pos_in_stream or 0
            if text[position] in "\"'`":
                kind = "column name" if text[position] == "`" else "string"
                return Fault(f"the {kind} that begins here has no closing `{text[position]}`", position)
            # what the lexer allows is more than what the parser would accept: say no more than whether an operand may stand here
            expectation = _expectation((unexpected.allowed or set()) - {"COMMA", "RPAR", "$END"})
        case _:
            raise unexpected
    found = re.compile(r"\w+|.", re.DOTALL).match(text, position)
    assert found is not None
    instead = _INSTEAD.get(found[0].lower())
    return Fault(f"unexpected `{found[0]}`: expected {expectation}{f'; {instead}' if instead else ''}", position)


def _unfinished(unexpected: UnexpectedToken, text: str) -> Fault:
    if not text.strip():
        return Fault("the expression is empty", 0)
    expected = unexpected.accepts or unexpected.expected
    if "RPAR" in expected and unexpected.interactive_parser:
        stack = unexpected.interactive_parser.parser_state.value_stack
        opened = [value for value in stack if isinstance(value, Token) and value.type == "LPAR"]
        return Fault("the `(` here is never closed", opened[-1].start_pos or 0)
    return Fault(f"the expression ends too early: expected {_expectation(expected)}", len(text))


def _expectation(expected: Set[str]) -> str:
    if "NUMBER" in expected:
        return "a column, a value, a variable, a function or `(`"
    if "NULL" in expected:
        return "`null` or `not null`" if "NOT" in expected else "`null`"
    others = {"COMMA": "`,`", "RPAR": "`)`", "$END": "the end"}
    choices = ["an operator such as `and`, `==` or `+`", *(word for name, word in others.items() if name in expected)]
    return " or ".join(choices)
