"""Lets no exception leave a Dask task but an error of ours, with nothing hanging on it."""

from collections.abc import Callable
from typing import TypeVar

from odp_loader.errors import LoadError, Throttled, Transient, UserCodeFailed
from odp_loader.key import without_key

Outcome = TypeVar("Outcome")


def alone(partition: int, work: Callable[[], Outcome]) -> Outcome:
    """Do the work of a partition.

    Raises LoadError or one of its subclasses, without cause and context: Dask pickles an exception with all that hangs on it,
    and a request that does holds the key.
    """
    failure: LoadError
    try:
        return work()
    except Throttled as error:
        failure = Throttled(f"partition {partition}: {error}", error.retry_after_s)
    except (Transient, UserCodeFailed) as error:
        failure = type(error)(f"partition {partition}: {error}")
    except LoadError as error:
        failure = error
    except Exception as error:  # the outermost line of a task
        failure = LoadError(without_key(f"partition {partition} failed: {type(error).__name__}: {error}"))
    failure.__cause__ = failure.__context__ = None
    raise failure
