"""Policies that a run keeps along the way, so that one may go back to where it had not yet gone too far. Light: loads no torch.

They lie evenly along √KL, in which over-optimisation shows as a parabola (Gao et al. 2022, Scaling laws for reward model overoptimization, section
3.2), and are what `output/` would be: an adapter, or a model. RUN_DIR/kept/step-N is the policy after N updates, kept.json what is there.
"""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from ...contract import write_json

FINEST = 0.5  # √nats between two lines at the beginning


@dataclass(frozen=True)
class Policy:
    """After `step` updates. `kl` in nats an answer and the mean `reward`: of what it wrote itself to the prompts of the next update."""

    step: int
    kl: float
    reward: float


def folder_of(run_dir: Path, step: int) -> Path:
    return run_dir / "kept" / f"step-{step}"


def policies(run_dir: Path) -> list[Policy]:
    """What a run has kept so far, the oldest first."""
    return [Policy(**each) for each in _index(run_dir)["policies"]]


def _index(run_dir: Path) -> dict:
    try:
        return json.loads((run_dir / "kept" / "kept.json").read_text())
    except FileNotFoundError:
        return {"spacing": FINEST, "policies": []}


class Kept:
    """Keeps the first policy beyond each of evenly spaced lines along √KL. Whenever there are more than `most`, every second line falls away.

    The lines of a wide spacing are among those of a narrow one, so what is left at the end depends on the run's KLs alone, and not on when
    the run was interrupted; `step` is the checkpoint's that it goes on from.
    """

    def __init__(self, run_dir: Path, *, most: int, step: int) -> None:
        self._run_dir, self._most = run_dir, most
        index = _index(run_dir)
        self._spacing: float = index["spacing"]
        self._policies = [policy for policy in policies(run_dir) if policy.step < step]
        if index["policies"]:
            self._write()

    def look(self, policy: Policy, save: Callable[[Path], None]) -> None:
        """Keep the policy if it is beyond a line where none was yet. `save` writes it into the folder that it is given."""
        if not self._most or not self._first_ones([*self._policies, policy], self._spacing)[len(self._policies) :]:
            return
        found = [*self._policies, policy]
        while len(found) > self._most:
            self._spacing *= 2
            found = self._first_ones(found, self._spacing)
        if policy in found:
            aside = self._run_dir / "kept" / "part"
            shutil.rmtree(aside, ignore_errors=True)
            save(aside)
            final = folder_of(self._run_dir, policy.step)
            shutil.rmtree(final, ignore_errors=True)
            aside.rename(final)
        self._policies = found
        self._write()

    @staticmethod
    def _first_ones(found: list[Policy], spacing: float) -> list[Policy]:
        first, top = [], 0
        for policy in found:
            line = int(math.sqrt(max(policy.kl, 0.0)) / spacing)
            if line > top:
                first.append(policy)
                top = line
        return first

    def _write(self) -> None:
        """The list first: what it does not name is not there, and goes."""
        folder = self._run_dir / "kept"
        folder.mkdir(exist_ok=True)
        write_json(
            folder / "kept.json", {"spacing": self._spacing, "policies": [asdict(each) for each in self._policies]}
        )
        named = {folder_of(self._run_dir, policy.step) for policy in self._policies}
        for path in folder.iterdir():
            if path.is_dir() and path not in named:
                shutil.rmtree(path)
