"""Runs of the engine in one folder, as experiments need them: carried out once, gone on with when stopped."""

import json
import sys
from pathlib import Path
from typing import Any

from training.engine import __main__ as engine


class Workshop:
    """They can be stopped with Ctrl-C, and the same command goes on with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, name: str, method: str, config: dict[str, Any], inputs: dict[str, Any], seed: int = 1) -> Path:
        """The output folder of a run; carried out unless it is complete already with these very settings."""
        run = self.folder / name
        order = json.dumps({"method": method, "config": config, "inputs": inputs, "seed": seed}, default=str)
        if run.exists() and (run / "run.json").read_text() != order:
            sys.exit(f"{run} holds a run with other settings: remove it, or take another --work folder.")
        run.mkdir(exist_ok=True)
        (run / "run.json").write_text(order)
        if not (run / "output").is_dir():
            print(f"{name} …", file=sys.stderr, flush=True)
            if code := engine.run(run):
                sys.exit(f"{name} ended with {code}: see {run / 'status.json'}")
        return run / "output"

    def judged(self, name: str, chain: list[Path], labelled: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """(metrics, rows) of the method `evaluate` on the held-out texts."""
        output = self.run(
            f"evaluate-{name}", "evaluate", {}, {"base": list(map(str, chain)), "dataset": str(labelled)}
        )
        rows = [json.loads(line) for line in (output / "predictions.jsonl").read_text("utf-8").splitlines()]
        return json.loads((output / "metrics.json").read_text()), rows

    def seconds(self, name: str) -> float:
        return json.loads((self.folder / name / "status.json").read_text())["wall_s"]
