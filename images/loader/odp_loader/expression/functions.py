"""The functions of the expression language, as one table: what each takes, gives and means. The reference is generated from it."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a value is, whatever its width or unit."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    FLOAT = "float"
    DECIMAL = "decimal"
    STRING = "string"
    BINARY = "binary"
    TIMESTAMP = "timestamp"
    DATE = "date"
    TIME = "time"
    NULL = "null"
    OTHER = "other"


NUMBERS = (Kind.INTEGER, Kind.FLOAT, Kind.DECIMAL)
ORDERED = (*NUMBERS, Kind.STRING, Kind.TIMESTAMP, Kind.DATE, Kind.TIME)
_SIMPLE = (Kind.BOOLEAN, *ORDERED)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument: its name, the kinds it may have, and whether it must be the same for all rows."""

    name: str
    kinds: tuple[Kind, ...]
    constant: bool = False
    optional: bool = False
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """One function. A null argument gives null, unless `meaning` says otherwise."""

    name: str
    parameters: tuple[Parameter, ...]
    result: str
    """Its type: an Arrow type, or a rule in words."""
    meaning: str

    @property
    def signature(self) -> str:
        """As it is written, such as `round(x, [digits])`."""
        names = (f"[{p.name}]" if p.optional else f"{p.name}, …" if p.repeated else p.name for p in self.parameters)
        return f"{self.name}({', '.join(names)})"

    @property
    def least(self) -> int:
        """How many arguments it needs."""
        return sum(not parameter.optional for parameter in self.parameters)

    @property
    def most(self) -> int | None:
        """How many it takes; None without a limit."""
        return None if any(parameter.repeated for parameter in self.parameters) else len(self.parameters)

    def parameter(self, index: int) -> Parameter:
        """The parameter that the argument `index` is for."""
        return self.parameters[min(index, len(self.parameters) - 1)]


_DAYS = Parameter("time", (Kind.TIMESTAMP, Kind.DATE))
_CLOCK = Parameter("time", (Kind.TIMESTAMP, Kind.TIME))
_NUMBER = Parameter("x", NUMBERS)
_TEXT = Parameter("text", (Kind.STRING,))
_IN_ZONE = "in the column's own time zone"
_AS_NUMBER = "int64 of an integer, a decimal of a decimal, else float64"


def _constant_text(name: str) -> Parameter:
    return Parameter(name, (Kind.STRING,), constant=True)


_TABLE = (
    Function("year", (_DAYS,), "int64", f"The year, {_IN_ZONE}."),
    Function("month", (_DAYS,), "int64", f"The month, 1 to 12, {_IN_ZONE}."),
    Function("day", (_DAYS,), "int64", f"The day of the month, 1 to 31, {_IN_ZONE}."),
    Function("dayofyear", (_DAYS,), "int64", f"The day of the year, 1 to 366, {_IN_ZONE}."),
    Function("weekday", (_DAYS,), "int64", f"The day of the week, Monday 0 to Sunday 6, {_IN_ZONE}."),
    Function("hour", (_CLOCK,), "int64", f"The hour, 0 to 23, {_IN_ZONE}."),
    Function("minute", (_CLOCK,), "int64", f"The minute, 0 to 59, {_IN_ZONE}."),
    Function("second", (_CLOCK,), "int64", "The whole second, 0 to 59."),
    Function("date", (_DAYS,), "date32", f"The day without its time, {_IN_ZONE}."),
    Function(
        "date_trunc",
        (_constant_text("unit"), _DAYS),
        "the type of time",
        "The start of the year, quarter, month, week (Monday), day, hour, minute or second that time lies in, "
        f"{_IN_ZONE}; a date knows no hour, minute or second.",
    ),
    Function("abs", (_NUMBER,), _AS_NUMBER, "The absolute value."),
    Function("floor", (_NUMBER,), _AS_NUMBER, "The greatest whole number that is not above x."),
    Function("ceil", (_NUMBER,), _AS_NUMBER, "The least whole number that is not below x."),
    Function(
        "round",
        (_NUMBER, Parameter("digits", (Kind.INTEGER,), constant=True, optional=True)),
        _AS_NUMBER,
        "x to so many digits after the point, 0 (the default) to 15; a half goes to the even neighbour, as in Python and pandas.",
    ),
    Function("sqrt", (_NUMBER,), "float64", "The square root; NaN of a negative number."),
    Function("exp", (_NUMBER,), "float64", "e to the power x."),
    Function("log", (_NUMBER,), "float64", "The natural logarithm; -inf of 0, NaN of a negative number."),
    Function("is_nan", (_NUMBER,), "bool", "Whether x is NaN."),
    Function("lower", (_TEXT,), "the type of text", "In lower case."),
    Function("upper", (_TEXT,), "the type of text", "In upper case."),
    Function("length", (_TEXT,), "int64", "The number of characters."),
    Function("startswith", (_TEXT, _constant_text("start")), "bool", "Whether text begins with start; case matters."),
    Function("endswith", (_TEXT, _constant_text("end")), "bool", "Whether text ends with end; case matters."),
    Function("contains", (_TEXT, _constant_text("part")), "bool", "Whether part stands anywhere in text; case matters."),
    Function(
        "coalesce",
        (Parameter("a", _SIMPLE), Parameter("b", _SIMPLE, repeated=True)),
        "the type all arguments share; of different numbers that of their sum",
        "The first argument that is not null; null when all are.",
    ),
    Function(
        "int",
        (Parameter("x", (*NUMBERS, Kind.STRING, Kind.BOOLEAN)),),
        "int64",
        "As an integer: a number loses what follows the point, a string is read. What does not fit, NaN too, stops the load.",
    ),
    Function(
        "float",
        (Parameter("x", (*NUMBERS, Kind.STRING, Kind.BOOLEAN)),),
        "float64",
        "As a float: a string is read. What is no number stops the load.",
    ),
    Function("string", (Parameter("x", _SIMPLE),), "string", "As text, written as Arrow writes it: 1.5, true, 2024-01-31."),
    Function(
        "bucket",
        (Parameter("x", ORDERED), Parameter("edge", ORDERED, constant=True, repeated=True)),
        "int64",
        "The number of the bucket that x lies in: how many of the ascending edges are not above x, so 0 is below the first edge "
        "and the last edge begins the last bucket. Null for NaN.",
    ),
    Function(
        "h3",
        (Parameter("geometry", (Kind.STRING, Kind.BINARY)), Parameter("resolution", (Kind.INTEGER,), constant=True)),
        "string",
        "The H3 cell, 0 to 15 fine, of a point or of the centroid of any other geometry. Needs the h3 package.",
    ),
)

FUNCTIONS = {function.name: function for function in _TABLE}
"""All functions by name."""
