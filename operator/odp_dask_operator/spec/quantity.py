"""Amounts as Kubernetes writes them: bytes such as `2Gi`, processor time such as `500m`."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

from odp_loader.spec.model import parse_quantity

_BINARY = ("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)
_CPU = re.compile(r"(?:(?P<milli>[0-9]{1,9})m|(?P<cores>[0-9]{1,9})(?:\.(?P<part>[0-9]{1,3}))?)")


def format_bytes_quantity(size_bytes: int) -> str:
    """The shortest exact quantity: `2147483648` becomes `2Gi`."""
    for unit, factor in _BINARY:
        if size_bytes >= factor and size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return str(size_bytes)


def parse_memory(value: object) -> int:
    """Bytes from `2Gi`, `512Mi` or a whole number. Raises ValueError for anything else."""
    size = parse_quantity(value)
    if not isinstance(size, int) or isinstance(size, bool):
        raise ValueError("is not a quantity of bytes; write 2Gi, 512Mi or a whole number of bytes")
    return size


def parse_cpu(value: object) -> int:
    """Thousandths of a core from `2`, `"1.5"` or `"500m"`: a custom resource holds integers or text. Raises ValueError."""
    if isinstance(value, (int, str)) and not isinstance(value, bool) and (found := _CPU.fullmatch(str(value))):
        if found["milli"]:
            return int(found["milli"])
        return int(found["cores"]) * 1000 + int((found["part"] or "0").ljust(3, "0"))
    raise ValueError('is not an amount of processor time; write 2, 500m or "0.5" in quotes')


def format_cpu(millicores: int) -> str:
    """`2000` becomes `2`, `500` becomes `500m`."""
    return f"{millicores}m" if millicores % 1000 else str(millicores // 1000)


MemoryQuantity = Annotated[int, Field(ge=2**20, le=2**50), BeforeValidator(parse_memory), PlainSerializer(format_bytes_quantity)]
"""Bytes; read from and written as a Kubernetes quantity."""

CpuQuantity = Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(parse_cpu), PlainSerializer(format_cpu)]
"""Thousandths of a core; read from and written as a Kubernetes quantity."""
