"""How a field is named: `spec.load.source.odp.columns[1]`, the same in messages and in `--set`."""

import re

Path = tuple[str | int, ...]

_WORD = re.compile(r"[A-Za-z_][\w-]*")
_STEP = re.compile(r"""\.(?P<name>[A-Za-z_][\w-]*)|\[(?P<index>\d+)\]|\["(?P<quoted>[^"\]]+)"\]|\[(?P<bare>[^"\]]+)\]""")


def format_path(path: Path) -> str:
    """`("spec", "podLabels", "a.b/c", 0)` becomes `spec.podLabels["a.b/c"][0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _WORD.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


def parse_path(text: str) -> Path:
    """The inverse of `format_path`; the quotes inside brackets may be left out. Raises ValueError."""
    path: list[str | int] = []
    rest = text if text.startswith("[") else f".{text}"
    while rest:
        found = _STEP.match(rest)
        if found is None:
            raise ValueError(f"{text!r} is not the path of a field; write it like spec.load.sink.parquet.url")
        path.append(int(found["index"]) if found["index"] else found["name"] or found["quoted"] or found["bare"])
        rest = rest[found.end() :]
    return tuple(path)
