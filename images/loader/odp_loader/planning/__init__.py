"""How a table is cut into partitions that hold every row exactly once: pure decisions, whoever asks and wherever they run."""

from odp_loader.planning.columns import ColumnStatistics, columns_of
from odp_loader.planning.division import Division, divide, first_questions
from odp_loader.planning.histogram import Buckets
from odp_loader.planning.odp_filter import OdpQuery, odp_buckets, odp_filter
from odp_loader.planning.plan import Plan

__all__ = [
    "Buckets",
    "ColumnStatistics",
    "Division",
    "OdpQuery",
    "Plan",
    "columns_of",
    "divide",
    "first_questions",
    "odp_buckets",
    "odp_filter",
]
