"""What a run is called that nobody has named: its method, what moves in it, and what it starts from."""

from collections.abc import Mapping
from typing import Any

from .engine import methods
from .fields import fields_of


def default_name(method: str, config: Mapping[str, Any], origin: str) -> str:
    """ "adapter serial · stories:v1"; that everything moves, or what always does in this method, is not said."""
    union = next((each for each in fields_of(methods.config_of(method)) if each.path == "tune"), None)
    kind = (config.get("tune") or {}).get("kind", "all")
    moves = "" if kind == "all" or union is None or len(union.variants) < 2 else kind
    words = f"{method} {moves}".strip().replace("_", " ")
    return " · ".join(filter(None, [words, origin]))
