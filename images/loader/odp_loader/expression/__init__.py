"""The expression language of filters and derived columns: one grammar, one evaluator, for the loader and the server alike.

Importing and parsing need neither pyarrow nor anything of the extra `runtime`; fitting an expression to a schema does.
"""

from typing import TYPE_CHECKING, Any

from odp_loader.expression.functions import FUNCTIONS, Function, Kind, Parameter
from odp_loader.expression.parser import parse
from odp_loader.expression.syntax import Expression, Precedence

if TYPE_CHECKING:
    from odp_loader.expression.binding import bind
    from odp_loader.expression.evaluation import Resolved, evaluate, filter_batch, infer, resolve, verdict
    from odp_loader.expression.resolver import Variables
    from odp_loader.expression.verdicts import ColumnRange, Verdict

__all__ = [
    "FUNCTIONS",
    "ColumnRange",
    "Expression",
    "Function",
    "Kind",
    "Parameter",
    "Precedence",
    "Resolved",
    "Variables",
    "Verdict",
    "bind",
    "evaluate",
    "filter_batch",
    "infer",
    "parse",
    "resolve",
    "verdict",
]

_LAZY = {"bind": "binding", "ColumnRange": "verdicts", "Verdict": "verdicts", "Variables": "resolver"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_LAZY.get(name, 'evaluation')}"), name)
