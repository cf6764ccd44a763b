"""What each function computes: the type of its result and the kernel, for arguments of the kinds that the table allows."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from odp_loader.expression.arithmetic import converted
from odp_loader.expression.choosing import bucket, coalesce
from odp_loader.expression.fault import Fault
from odp_loader.expression.functions import Function, Kind
from odp_loader.expression.geometry import h3_cell
from odp_loader.expression.kinds import kind_of
from odp_loader.expression.plan import Apply, Constant, Data, Plan

Builder = Callable[[tuple[Plan, ...], int], Plan]
"""Makes a step of checked arguments, and of the position of the call."""

_TYPE_OF_NULL = {
    Kind.BOOLEAN: pa.bool_(),
    Kind.INTEGER: pa.int64(),
    Kind.STRING: pa.string(),
    Kind.TIMESTAMP: pa.timestamp("us"),
}
_DATE_UNITS = ("year", "quarter", "month", "week", "day")
_CLOCK_UNITS = ("hour", "minute", "second")
_MOST_DIGITS = 15


def call(function: Function, arguments: tuple[Plan, ...], position: int) -> Plan:
    """The function of these arguments, whose number and kinds are right. Raises Fault for a constant out of its range."""
    if function.name not in ("coalesce", "bucket"):
        arguments = tuple(
            converted(argument, _TYPE_OF_NULL[function.parameter(i).kinds[0]]) if kind_of(argument.type) is Kind.NULL else argument
            for i, argument in enumerate(arguments)
        )
    return IMPLEMENTATIONS[function.name](arguments, position)


def _simple(kernel: Callable[[Data], Data], type_: pa.DataType | None = None) -> Builder:
    """A kernel of one argument; without a type, the result has the argument's."""

    def build(arguments: tuple[Plan, ...], position: int) -> Plan:
        return Apply(kernel, arguments, type_ or arguments[0].type, position)

    return build


def _part(kernel: Callable[[Data], Data]) -> Builder:
    """A part of a time, as the clock of the column's zone shows it."""
    return _simple(lambda times: kernel(_wall_clock(times)), pa.int64())


def _of_float(kernel: Callable[[Data], Data], type_: pa.DataType) -> Builder:
    """A kernel that computes in float64."""

    def build(arguments: tuple[Plan, ...], position: int) -> Plan:
        return Apply(kernel, (converted(arguments[0], pa.float64()),), type_, position)

    return build


def _whole(kernel: Callable[[Data], Data]) -> Builder:
    """A kernel that rounds: integers are whole already, and a decimal may need a digit more."""

    def build(arguments: tuple[Plan, ...], position: int) -> Plan:
        number = arguments[0]
        match kind_of(number.type):
            case Kind.INTEGER:
                return converted(number, pa.int64())
            case Kind.DECIMAL:
                make = pa.decimal256 if number.type.precision > 37 else pa.decimal128
                type_ = make(min(number.type.precision + 1, 76), number.type.scale)
            case _:
                type_ = pa.float64()
        return Apply(kernel, (converted(number, type_),), type_, position)

    return build


def _absolute(arguments: tuple[Plan, ...], position: int) -> Plan:
    number = arguments[0]
    match kind_of(number.type):
        case Kind.INTEGER:
            return Apply(pc.abs_checked, (converted(number, pa.int64()),), pa.int64(), position)
        case Kind.DECIMAL:
            return Apply(pc.abs, (number,), number.type, position)
    return Apply(pc.abs, (converted(number, pa.float64()),), pa.float64(), position)


def _round(arguments: tuple[Plan, ...], position: int) -> Plan:
    number, *rest = arguments
    digits = _constant(rest[0]) if rest else 0
    if not isinstance(digits, int) or not 0 <= digits <= _MOST_DIGITS:
        raise Fault(f"round takes 0 to {_MOST_DIGITS} digits", rest[0].position)
    return _whole(lambda values: pc.round(values, ndigits=digits, round_mode="half_to_even"))((number,), position)


def _integer(arguments: tuple[Plan, ...], position: int) -> Plan:
    whole = pc.trunc if kind_of(arguments[0].type) in (Kind.FLOAT, Kind.DECIMAL) else lambda values: values
    return Apply(lambda values: pc.cast(whole(values), pa.int64()), arguments, pa.int64(), position)


def _text(kernel: Callable[..., Data]) -> Builder:
    """A kernel that looks for a constant text."""

    def build(arguments: tuple[Plan, ...], position: int) -> Plan:
        pattern = _constant(arguments[1])
        return Apply(lambda texts: kernel(texts, pattern=pattern), (arguments[0],), pa.bool_(), position)

    return build


def _truncated(arguments: tuple[Plan, ...], position: int) -> Plan:
    unit, time = _constant(arguments[0]), arguments[1]
    units = _DATE_UNITS if kind_of(time.type) is Kind.DATE else (*_DATE_UNITS, *_CLOCK_UNITS)
    if unit not in units:
        raise Fault(f"date_trunc knows {', '.join(units)} for a {kind_of(time.type)}, not {unit!r}", arguments[0].position)
    return Apply(lambda times: pc.floor_temporal(_wall_clock(times), unit=unit).cast(time.type), (time,), time.type, position)


def _wall_clock(times: Data) -> Data:
    """UTC is its own wall clock; for another zone Arrow's kernels look into the machine's time zone database."""
    utc = pa.types.is_timestamp(times.type) and times.type.tz in ("UTC", "Etc/UTC", "Z", "+00:00")
    return times.cast(pa.timestamp(times.type.unit)) if utc else times


def _constant(argument: Plan) -> object:
    assert isinstance(argument, Constant)
    return argument.value


IMPLEMENTATIONS: dict[str, Builder] = {
    "year": _part(pc.year),
    "month": _part(pc.month),
    "day": _part(pc.day),
    "dayofyear": _part(pc.day_of_year),
    "weekday": _part(pc.day_of_week),
    "hour": _part(pc.hour),
    "minute": _part(pc.minute),
    "second": _part(pc.second),
    "date": _simple(lambda times: pc.cast(_wall_clock(times), pa.date32()), pa.date32()),
    "date_trunc": _truncated,
    "abs": _absolute,
    "floor": _whole(pc.floor),
    "ceil": _whole(pc.ceil),
    "round": _round,
    "sqrt": _of_float(pc.sqrt, pa.float64()),
    "exp": _of_float(pc.exp, pa.float64()),
    "log": _of_float(pc.ln, pa.float64()),
    "is_nan": _of_float(pc.is_nan, pa.bool_()),
    "lower": _simple(pc.utf8_lower),
    "upper": _simple(pc.utf8_upper),
    "length": _simple(lambda texts: pc.cast(pc.utf8_length(texts), pa.int64()), pa.int64()),
    "startswith": _text(pc.starts_with),
    "endswith": _text(pc.ends_with),
    "contains": _text(pc.match_substring),
    "coalesce": coalesce,
    "int": _integer,
    "float": _simple(lambda values: pc.cast(values, pa.float64(), safe=False), pa.float64()),
    "string": _simple(lambda values: pc.cast(values, pa.string()), pa.string()),
    "bucket": bucket,
    "h3": h3_cell,
}
"""By the names of `FUNCTIONS`."""
