"""The table of functions, which the reference is generated from, says what the functions do."""

import datetime
import re
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from odp_loader.expression import FUNCTIONS, Function, Kind, evaluate, infer, parse
from odp_loader.expression.calls import IMPLEMENTATIONS
from odp_loader.expression.kinds import kind_of

COLUMNS = {
    Kind.BOOLEAN: pa.bool_(),
    Kind.INTEGER: pa.int32(),
    Kind.FLOAT: pa.float64(),
    Kind.DECIMAL: pa.decimal128(10, 2),
    Kind.STRING: pa.string(),
    Kind.BINARY: pa.binary(),
    Kind.TIMESTAMP: pa.timestamp("us"),
    Kind.DATE: pa.date32(),
    Kind.TIME: pa.time64("us"),
}
SCHEMA = pa.schema({kind.value: type_ for kind, type_ in COLUMNS.items()})
CONSTANTS = {Kind.STRING: "'month'", Kind.INTEGER: "2", Kind.FLOAT: "0.5", Kind.DECIMAL: "0.5"}
CONSTANTS |= {Kind.TIMESTAMP: "'2024-01-01'", Kind.DATE: "'2024-01-01'", Kind.TIME: "'12:00'"}
WITHOUT_H3 = [function for function in FUNCTIONS.values() if function.name != "h3"]


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_every_function_is_described(function: Function) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", function.name)
    assert function.parameters
    assert function.meaning.endswith(".")
    assert function.result
    assert function.signature.startswith(f"{function.name}(")
    assert function.least <= (function.most or function.least)


def test_every_function_of_the_table_is_there_and_no_other() -> None:
    assert set(FUNCTIONS) == set(IMPLEMENTATIONS)
    assert FUNCTIONS["round"].signature == "round(x, [digits])"
    assert FUNCTIONS["bucket"].signature == "bucket(x, edge, …)"


@pytest.mark.parametrize("function", WITHOUT_H3, ids=lambda function: function.name)
def test_a_function_takes_each_kind_it_names_and_gives_the_type_it_says(function: Function) -> None:
    for kind in function.parameters[-1 if function.name == "date_trunc" else 0].kinds:
        written = []
        for parameter in function.parameters:
            at_home = kind if kind in parameter.kinds else parameter.kinds[0]
            written.append(CONSTANTS[at_home] if parameter.constant else at_home.value)
        unit = [CONSTANTS[Kind.STRING]] if function.name == "date_trunc" else []
        found = infer(parse(f"{function.name}({', '.join([*unit, *written[len(unit) :]])})"), SCHEMA)
        match function.result:
            case "the type of time" | "the type of text":
                assert found == COLUMNS[kind]
            case result if "share" in result:
                assert found == COLUMNS[kind]
            case result if "else float64" in result:
                decimal = kind is Kind.DECIMAL
                assert kind_of(found) is Kind.DECIMAL if decimal else found == {Kind.INTEGER: pa.int64()}.get(kind, pa.float64())
            case "date32":
                assert found == pa.date32()
            case result:
                assert found == pa.type_for_alias(result)


VALUES: dict[Kind, Any] = {
    Kind.BOOLEAN: True,
    Kind.INTEGER: 5,
    Kind.FLOAT: 2.5,
    Kind.DECIMAL: Decimal("1.25"),
    Kind.STRING: "12",
    Kind.TIMESTAMP: datetime.datetime(2024, 2, 29, 12, 30),
    Kind.DATE: datetime.date(2024, 2, 29),
    Kind.TIME: datetime.time(12, 30),
}


@pytest.mark.parametrize("function", WITHOUT_H3, ids=lambda function: function.name)
def test_a_constant_gives_what_a_column_of_it_gives(function: Function) -> None:
    place = 1 if function.name == "date_trunc" else 0
    for kind in function.parameters[place].kinds:
        constants = {"startswith": "'1'", "endswith": "'1'", "contains": "'1'", "bucket": "$x", "coalesce": "$x"}
        arguments = {0: ["{}", constants.get(function.name, "")], 1: ["'month'", "{}"]}[place]
        text = f"{function.name}({', '.join(filter(None, arguments))})"
        batch = pa.record_batch({"x": pa.array([VALUES[kind]])})
        of_column = evaluate(parse(text.format("x")), batch, {"x": VALUES[kind]})
        of_constant = evaluate(parse(text.format("$x")), batch, {"x": VALUES[kind]})
        assert (of_constant.type, of_constant.to_pylist()) == (of_column.type, of_column.to_pylist())
        assert of_column.null_count == 0
