"""Quick PPO runs for the tests, and what they told."""

import json
from pathlib import Path
from typing import Any

from . import runs

QUICK = {"updates": 3, "episodes": 16, "max_tokens": 12, "minibatches": 2, "epochs": 2, "heldout_prompts": 8}
LORA = {"kind": "lora", "rank": 4}
ALL = {"kind": "all"}


def updates(folder: Path) -> list[dict[str, Any]]:
    return [event for event in runs.events(folder) if "ratio" in event]


def notes(folder: Path) -> list[str]:
    return [event["message"]["id"] for event in runs.events(folder) if event.get("kind") == "note"]


def metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "output" / "metrics.json").read_text())
