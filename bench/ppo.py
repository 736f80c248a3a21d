"""Episodes a second, memory and learning of PPO against TRL's PPOTrainer, which was removed after 1.12.

    python -m bench.ppo [--quick] [--json] [--threads N] [--rounds N] [--only CASE …] [--peer FOLDER]

Llama-shaped models of 7.3 and 29.3 million random weights, the same on both sides; 32 episodes an update, of 32 prompt and 48 answer tokens, gone
through 4 times in one minibatch, as TRL does by default; fused AdamW, all weights or LoRA (rank 16, every linear layer). The reward is
scripted on both sides, the share of an answer's tokens that are wanted ones, so that no reward model hides what the trainers cost. TRL's critic is a
model of its own, which moves as a whole; ours reads the policy's trunk.

TRL runs in a virtual environment that is made on first use (`--peer`, by default in the user's cache folder): trl 1.12.0 without its
requirements, over the packages of this one, so that both sides compute with the same torch, transformers and peft. Each measurement is a
process of its own, ours and TRL's in turns; a round's ratio compares neighbours. Beside wall time stands the processor time, which other programs
do not take from. Peak memory is that of the process above what it takes once all is imported; static memory is weights, a gradient
of all that moves, and the optimizer's state.

The case `learn` trains a model of half a million weights for 30 updates from three seeds on both sides.
"""

import argparse
import importlib.metadata
import json
import math
import os
import statistics
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.ppo_task import EPISODES, Task

TRL = "1.12.0"
ROOT = Path(__file__).parents[1]
SEEDS = (1, 2, 3)
STUDENT_2 = 4.303  # 97.5 % of Student's t with two degrees of freedom: three seeds
PATIENCE = 4  # a setting of the peer that takes so many times longer than its plain one is not waited for


@dataclass(frozen=True)
class Case:
    """`tried`: settings of the peer among which its best is looked for, beside the plain one."""

    task: Task
    tried: tuple[dict[str, Any], ...] = ()

    @property
    def name(self) -> str:
        return f"{self.task.size}-{self.task.tune}"


OTHERS = ({"at_once": 8}, {"precision": "bf16"}, {"precision": "bf16", "at_once": 8})
CASES = (
    Case(Task("7.3M", "full"), OTHERS),
    Case(Task("7.3M", "lora"), OTHERS),
    Case(Task("29.3M", "full", updates=2)),
    Case(Task("29.3M", "lora", updates=2)),
)
QUICK = Case(Task("0.5M", "lora", updates=2))
LEARNT = Task("0.5M", "lora", updates=30, lr=3e-3)


def is_made(folder: Path) -> bool:
    return (folder / f"trl-{TRL}").exists()


def peer(folder: Path) -> Path:
    """The interpreter of the peer's environment, which is made if it is not there."""
    python = folder / "bin" / "python"
    if not is_made(folder):
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", f"trl=={TRL}"], check=True)
        [site] = folder.glob("lib/python*/site-packages")
        # What trl needs is looked up here, behind what it brings itself.
        (site / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
        (folder / f"trl-{TRL}").touch()
    return python


def measured(python: Path, side: str, task: Task, *, limit: float | None = None) -> dict[str, Any]:
    """What a process of its own tells of a task; {} when it takes longer than `limit` seconds."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(task.threads),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRL_EXPERIMENTAL_SILENCE": "1",
        "PYTHONWARNINGS": "ignore",
    }
    command = [str(python), "-m", f"bench.ppo_{side}", task.as_json()]
    try:
        ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {}
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)}\n{ended.stderr[-3000:]}")
    return json.loads(ended.stdout.splitlines()[-1])


def compare(case: Case, theirs: Path, *, rounds: int, threads: int) -> dict[str, Any]:
    """The peer's other settings once each, then ours, its plain and its best one in turns."""
    task, here = replace(case.task, threads=threads), Path(sys.executable)
    plain = measured(theirs, "peer", task)
    tried = {"plain": plain["cpu"]}
    for setting in case.tried:
        limit = PATIENCE * EPISODES * task.updates / plain["wall"] + 60
        found = measured(theirs, "peer", replace(task, **setting), limit=limit)
        tried[json.dumps(setting)] = found.get("cpu", 0.0)
    fastest = max(tried, key=lambda name: tried[name])
    best = replace(task, **json.loads(fastest)) if fastest != "plain" else None
    turns = []
    for _ in range(rounds):
        turn = {"ours": measured(here, "ours", task), "plain": measured(theirs, "peer", task)}
        turn["best"] = measured(theirs, "peer", best) if best else turn["plain"]
        turns.append(turn)
    told: dict[str, Any] = {"case": case.name, "peer_tried_episodes_per_processor_second": tried, "peer_best": fastest}
    for clock in ("wall", "cpu"):
        told[clock] = {
            side: statistics.median(turn[side][clock] for turn in turns) for side in ("ours", "plain", "best")
        }
        for side in ("plain", "best"):
            each = [turn["ours"][clock] / turn[side][clock] for turn in turns]
            told[clock][f"ratio_{side}"] = {"median": statistics.median(each), "low": min(each), "high": max(each)}
    for memory in ("static", "peak"):
        sides = {side: statistics.median(turn[side][memory] for turn in turns) for side in ("ours", "plain")}
        told[f"{memory}_megabytes"] = {**sides, "ratio": sides["ours"] / sides["plain"]}
    return told


def learnt(theirs: Path, *, threads: int) -> dict[str, Any]:
    """Reward and KL of the last three of 30 updates, mean of three seeds with its 95 % interval, each side."""
    told: dict[str, Any] = {"case": "learn", "updates": LEARNT.updates, "seeds": len(SEEDS)}
    found: dict[str, list[dict[str, Any]]] = {"ours": [], "peer": []}
    for seed in SEEDS:
        for side, python in (("ours", Path(sys.executable)), ("peer", theirs)):
            found[side].append(measured(python, side, replace(LEARNT, seed=seed, threads=threads)))
    for side, runs in found.items():
        for what in ("reward", "kl"):
            ends = [statistics.mean(run[what][-3:]) for run in runs]
            half = STUDENT_2 * statistics.stdev(ends) / math.sqrt(len(ends))
            told[f"{side}_{what}"] = {"mean": statistics.mean(ends), "half": half, "each": ends}
    return told


def spread(ratio: dict[str, float]) -> str:
    within = f"({ratio['low']:.2f} – {ratio['high']:.2f})"
    return f"{ratio['median']:7.2f}  {within:15}"


def table(figures: dict[str, Any]) -> str:
    lines = [
        f"{figures['threads']} thread(s), {figures['rounds']} rounds in turns; TRL {TRL}, the same torch, transformers and peft"
    ]
    speeds = [case for case in figures["cases"] if case["case"] != "learn"]
    if speeds:
        lines += [
            "episodes a second, and the ratio to TRL with the same micro-batch and to its best setting: medians (least to largest)",
            f"{'case':12}{'clock':7}{'ours':>7}{'TRL':>7}{'best':>7}{'ratio':>7}  {'':14}{'to best':>8}  {'':14}TRL's best setting",
        ]
    for case in speeds:
        for clock in ("wall", "cpu"):
            said = case[clock]
            ratios = "".join(spread(said[f"ratio_{side}"]) for side in ("plain", "best"))
            lines.append(
                f"{case['case']:12}{clock:7}{said['ours']:7.2f}{said['plain']:7.2f}{said['best']:7.2f}{ratios}{case['peer_best']}"
            )
    if speeds:
        lines.append("memory, MiB")
    for case in speeds:
        for memory in ("static", "peak"):
            said = case[f"{memory}_megabytes"]
            lines.append(f"{case['case']:12}{memory:7}{said['ours']:7.0f}{said['plain']:7.0f}{said['ratio']:14.2f}")
    for case in figures["cases"]:
        if case["case"] == "learn":
            lines.append(f"after {case['updates']} updates, {case['seeds']} seeds, mean ± half of the 95 % interval")
            for side in ("ours", "peer"):
                reward, kl = case[f"{side}_reward"], case[f"{side}_kl"]
                lines.append(f"{side:12}reward {reward['mean']:.3f} ± {reward['half']:.3f}, KL {kl['mean']:.2f} ± {kl['half']:.2f} nats an answer")  # fmt: skip
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    names = [case.name for case in CASES] + ["learn"]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "peringkat-bench" / "trl"
    parser = argparse.ArgumentParser(prog="python -m bench.ppo", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a model of half a million weights, one round; without TRL where its environment is not there",
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--threads", type=int, default=2, help="of torch, on both sides; default: 2")
    parser.add_argument("--rounds", type=int, help="default: 2, with --quick 1")
    parser.add_argument("--only", nargs="+", choices=names, help="these cases")
    parser.add_argument("--peer", type=Path, default=cache, help=f"folder of TRL's environment; default: {cache}")
    given = parser.parse_args(arguments)
    if given.quick and not is_made(given.peer):
        alone = measured(Path(sys.executable), "ours", replace(QUICK.task, threads=given.threads))
        said = f"Ours alone: {alone['wall']:.2f} episodes/s, peak {alone['peak']:.0f} MiB. TRL's environment is not there; without --quick it is made."  # fmt: skip
        print(json.dumps({"peer": None, "ours": alone}) if given.json else said)
        return
    theirs = peer(given.peer)
    chosen = [QUICK] if given.quick else [case for case in CASES if case.name in (given.only or names)]
    rounds = given.rounds or (1 if given.quick else 2)
    figures: dict[str, Any] = {
        "threads": given.threads,
        "rounds": rounds,
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")}
        | {"trl": TRL},
        "cases": [compare(case, theirs, rounds=rounds, threads=given.threads) for case in chosen],
    }
    if "learn" in (given.only or names) and not given.quick:
        figures["cases"].append(learnt(theirs, threads=given.threads))
    print(json.dumps(figures) if given.json else table(figures))


if __name__ == "__main__":
    main()
