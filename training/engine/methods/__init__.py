"""The methods, found by folder: `<name>/config.py` (light: Config and METHOD) and `<name>/train.py` (run(ctx))."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

from ..config import Method, Settings


def names() -> list[str]:
    """Every folder here that brings a config.py, in alphabetical order."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/config.py"))


def _config_module(name: str) -> ModuleType:
    if name not in names():
        raise KeyError(name)
    return import_module(f"{__name__}.{name}.config")


def config_of(name: str) -> type[Settings]:
    """The method's Config. Loads neither torch nor transformers. KeyError when there is no such method."""
    return _config_module(name).Config


def facts_of(name: str) -> Method:
    """The method's title, summary, inputs and result. As light as config_of."""
    return _config_module(name).METHOD


def run_of(name: str) -> Callable:
    """The method's run(ctx). Loads torch."""
    _config_module(name)
    return import_module(f"{__name__}.{name}.train").run
