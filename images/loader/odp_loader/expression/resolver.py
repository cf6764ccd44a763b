"""Fits an expression to a schema: every column found, every type checked, every constant turned into its column's type."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from odp_loader.errors import InvalidExpression
from odp_loader.expression import syntax
from odp_loader.expression.arithmetic import arithmetic, negative
from odp_loader.expression.calls import call
from odp_loader.expression.comparing import comparison, describe, exact_value
from odp_loader.expression.constants import Value, value_of
from odp_loader.expression.fault import Fault
from odp_loader.expression.functions import FUNCTIONS, Function, Kind
from odp_loader.expression.geometry import spatial
from odp_loader.expression.kinds import computed_type, kind_of
from odp_loader.expression.plan import Certain, Constant, Inverse, Junction, Load, Missing, Plan, operands_of, run
from odp_loader.expression.syntax import Expression, Node

Variables = Mapping[str, object] | Sequence[object]
"""Values of the `$name`s, or of the `?`s in their order."""


def plan_of(expression: Expression, schema: pa.Schema, variables: Variables) -> Plan:
    """The steps that compute an expression over record batches of `schema`. Raises InvalidExpression."""
    try:
        return Resolver(schema, variables).plan(expression.root)
    except Fault as fault:
        raise InvalidExpression(fault.message, expression.text, fault.position) from None


@dataclass(frozen=True, slots=True)
class Resolver:
    """Makes steps of nodes; raises Fault."""

    schema: pa.Schema
    variables: Variables

    def plan(self, node: Node) -> Plan:
        """The steps of a node; what depends on no row is computed now."""
        plan = self._plan(node)
        parts = operands_of(plan)
        if not parts or not all(isinstance(part, Constant) for part in parts):
            return plan
        scalar = run(plan, None)
        return Constant(scalar.as_py(), plan.position, exact=scalar)

    def _plan(self, node: Node) -> Plan:
        match node:
            case syntax.Literal():
                number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
                return Constant(node.value, node.position, text=node.text if number else None)
            case syntax.Variable():
                return Constant(self.value(node), node.position, variable=node.key)
            case syntax.Column():
                return self.column(node)
            case syntax.Negate():
                return negative(self.plan(node.operand), node.position)
            case syntax.Arithmetic():
                return arithmetic(node.operator, self.plan(node.left), self.plan(node.right), node.position)
            case syntax.Comparison():
                return comparison(node.operator, self.plan(node.left), self.plan(node.right), node.position)
            case syntax.Spatial():
                return spatial(node.operator, self.plan(node.left), self.plan(node.right), node.position)
            case syntax.Logic():
                return Junction(node.operator, tuple(self._condition(part, node.operator) for part in node.operands), node.position)
            case syntax.Not():
                return Inverse(self._condition(node.operand, "not"), node.position)
            case syntax.IsNull():
                return Missing(self.plan(node.operand), node.negated, node.position)
            case syntax.Call():
                return self._call(node)

    def _condition(self, node: Node, word: str) -> Plan:
        plan = self.plan(node)
        if isinstance(plan, Constant) and plan.variable is not None:
            plan = Constant(exact_value(plan, Kind.BOOLEAN), plan.position)
        match kind_of(plan.type):
            case Kind.BOOLEAN:
                return plan
            case Kind.NULL if isinstance(plan, Constant):
                return Constant(None, plan.position, exact=pa.scalar(None, pa.bool_()))
            case Kind.NULL:
                return Certain(plan, None, plan.position)
        raise Fault(f"`{word}` takes conditions, and {describe(plan)} is none", node.position)

    def column(self, node: syntax.Column) -> Load:
        """A column by its name. Raises Fault when there is none, or several."""
        names = self.schema.names
        match names.count(node.name):
            case 1:
                stored = self.schema.field(node.name).type
                return Load(node.name, stored, computed_type(stored), node.position)
            case 0:
                raise Fault(f"there is no column `{node.name}`{_suggestion(node.name, names)}", node.position)
        raise Fault(f"there are several columns `{node.name}`", node.position)

    def value(self, node: syntax.Variable) -> Value:
        """What a variable was given. Raises Fault when it is missing, null, or nothing that an expression can hold."""
        given, key = self.variables, node.key
        if isinstance(given, Mapping):
            name = f"`${key}`"
            if not isinstance(key, str):
                raise Fault("`?` takes its value from a list, and named variables were given; write `$name`", node.position)
            if key not in given:
                raise Fault(f"there is no value for {name}{_suggestion(key, given, mark='$')}", node.position)
            value = given[key]
        else:
            if isinstance(key, str):
                raise Fault(f"there is no value for `${key}`: the variables are a list; write `?`", node.position)
            name = f"`?` number {key + 1}"
            if key >= len(given):
                raise Fault(f"there is no value for {name}: {len(given)} were given", node.position)
            value = given[key]
        try:
            return value_of(value)
        except (ValueError, TypeError) as error:
            raise Fault(f"{name}: {error}", node.position) from None

    def _call(self, node: syntax.Call) -> Plan:
        function = FUNCTIONS.get(node.name.lower())
        if function is None:
            suggestion = _suggestion(node.name, FUNCTIONS)
            raise Fault(f"there is no function `{node.name}`{suggestion or '; there are ' + ', '.join(FUNCTIONS)}", node.position)
        if len(node.arguments) < function.least or len(node.arguments) > (function.most or len(node.arguments)):
            raise Fault(f"`{function.signature}` has another number of arguments than {len(node.arguments)}", node.position)
        arguments = tuple(self.plan(argument) for argument in node.arguments)
        for index, argument in enumerate(arguments):
            _check_argument(function, index, argument)
        return call(function, arguments, node.position)


def _check_argument(function: Function, index: int, argument: Plan) -> None:
    parameter = function.parameter(index)
    if parameter.constant and (not isinstance(argument, Constant) or argument.value is None):
        raise Fault(
            f"`{parameter.name}` of {function.name} must be the same for all rows: a value or a variable", argument.position
        )
    kind = kind_of(argument.type)
    if kind is not Kind.NULL and kind not in parameter.kinds:
        wanted = ", ".join(parameter.kinds)
        raise Fault(f"`{parameter.name}` of {function.name} is {wanted}, and {describe(argument)} is none", argument.position)


def _suggestion(name: str, known: Iterable[str], mark: str = "") -> str:
    names = list(known)
    by_case = {other.lower(): other for other in names}
    close = difflib.get_close_matches(name.lower(), by_case, n=1)
    if close:
        return f"; did you mean `{mark}{by_case[close[0]]}`?"
    shown = ", ".join(f"{mark}{other}" for other in names[:12])
    return f"; there are {shown}{', …' if len(names) > 12 else ''}" if names else ""
