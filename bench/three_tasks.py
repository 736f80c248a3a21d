"""Three tasks by three soft prompts on one model, and by three finetuned models: the worked example of the guide.

    python -m bench.three_tasks [--quick] [--json]

A small model is pretrained on the demo's corpus (training/demo/corpus.py), in which questions are followed by an answer, by the answer in the other
language, or by the name of what is asked about, and nothing says which. Each of the three is then a task: prompts with completions, learned once by a
soft prompt (`prompt_tuning`) and once by all weights (`finetune`), from the same base, with the same examples, updates and seed. The
method `evaluate` judges all of them, and the untouched base, on questions that no step has trained on. Every step is a run of the engine, in this process.

training/three_tasks.json, which the guide shows, is the output of this command with --json.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from training.demo.corpus import LANGUAGES, QUESTIONS, Question, statement, text_rows
from training.engine.__main__ import run as engine

METRIC = "loss"
SEED = 0
PRETRAIN = {
    "size": "nano",
    "vocab_size": 2048,
    "context_length": 128,
    "hidden_size": 128,
    "layers": 2,
    "heads": 4,
    "lr": 5e-3,
    "batch_size": 16,
    "epochs": 1000.0,
    "max_steps": 700,
    "eval_every": 350,
}
TRAIN = {"batch_size": 32, "epochs": 1000.0, "max_steps": 150, "eval_every": 75}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "soft_prompt": (
        "prompt_tuning",
        {"tune": {"kind": "soft_prompt", "length": 10, "init": "vocabulary"}, "lr": 0.03},
    ),
    "full": ("finetune", {"tune": {"kind": "all"}, "lr": 5e-4}),
}


def other(language: str) -> str:
    return next(each for each in LANGUAGES if each != language)


TASKS: dict[str, Callable[[Question, random.Random], str]] = {
    "answer": lambda question, rng: statement(question.fact, question.language, rng),
    "translate": lambda question, rng: statement(question.fact, other(question.language), rng),
    "topic": lambda question, rng: question.fact.topic[question.language],
}


def split(question: Question) -> str:
    return "heldout" if question.heldout else "train"


def examples(task: str) -> Iterator[dict[str, str]]:
    rng = random.Random(f"{task} {SEED}")
    for question in QUESTIONS:
        yield {"prompt": question.text, "completion": " " + TASKS[task](question, rng), "split": split(question)}


def corpus() -> list[dict[str, str]]:
    """Tales, and every training question followed by what each of the three tasks wants."""
    rows = list(text_rows(SEED, tales=1500, dialogues=0))
    for task in TASKS:
        rows += [
            {"text": row["prompt"] + row["completion"], "split": "train"}
            for row in examples(task)
            if row["split"] == "train"
        ]
    random.Random(SEED).shuffle(rows)
    return rows


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def run(folder: Path, method: str, config: dict[str, Any], **inputs: Any) -> dict[str, Any]:
    """One run of the engine; its status.json."""
    folder.mkdir()
    order = {"method": method, "config": config, "inputs": inputs, "seed": SEED}
    (folder / "run.json").write_text(json.dumps(order))
    if code := engine(folder):
        sys.exit(f"{folder.name} ended with exit code {code}; see above.")
    print(f"{folder.name}: done", file=sys.stderr)
    return json.loads((folder / "status.json").read_text())


def judged(folder: Path, chain: list[str], data: Path) -> dict[str, float]:
    run(folder, "evaluate", {"task": "language"}, base=chain, dataset=str(data))
    figure = json.loads((folder / "output" / "metrics.json").read_text())["figures"][METRIC]
    return {name: round(figure[name], 4) for name in ("value", "low", "high")}


def size(folder: Path) -> int:
    """Bytes of what is stored as a version: the result without its report."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != "metrics.json")


def measure(work: Path, *, quick: bool) -> dict[str, Any]:
    pretrain = PRETRAIN | ({"max_steps": 40} if quick else {})
    train = TRAIN | ({"max_steps": 10} if quick else {})
    status = run(work / "base", "pretrain", pretrain, dataset=str(write(work / "corpus.jsonl", corpus())))
    base = work / "base" / "output"
    found: dict[str, Any] = {
        "metric": METRIC,
        "base": {
            "parameters": status["total_parameters"],
            "bytes": size(base),
            "seconds": round(status["wall_s"], 1),
        },
        "updates": train["max_steps"],
        "tasks": [],
    }
    for task in TASKS:
        rows = list(examples(task))
        data = write(work / f"{task}.jsonl", rows)
        ways = [
            {"kind": "base", "trained": 0, "bytes": 0, "seconds": 0.0}
            | judged(work / f"{task}-base-judged", [str(base)], data)
        ]
        for kind, (method, config) in WAYS.items():
            folder = work / f"{task}-{kind}"
            status = run(folder, method, train | config, base=[str(base)], dataset=str(data))
            chain = [str(base), str(folder / "output")] if kind == "soft_prompt" else [str(folder / "output")]
            ways.append(
                {
                    "kind": kind,
                    "trained": status["trained_parameters"],
                    "bytes": size(folder / "output"),
                    "seconds": round(status["wall_s"], 1),
                    **judged(work / f"{task}-{kind}-judged", chain, data),
                }
            )
        heldout = sum(row["split"] == "heldout" for row in rows)
        found["tasks"].append({"name": task, "examples": len(rows) - heldout, "heldout": heldout, "ways": ways})
    stored = {
        kind: sum(way["bytes"] for task in found["tasks"] for way in task["ways"] if way["kind"] == kind)
        for kind in WAYS
    }
    found["serving"] = {
        "soft_prompt": {"bases": 1, "bytes": found["base"]["bytes"] + stored["soft_prompt"]},
        "full": {"bases": len(TASKS), "bytes": stored["full"]},
    }
    return found


def table(found: dict[str, Any]) -> Iterator[str]:
    yield f"base: {found['base']['parameters']:,} parameters, {found['base']['bytes']:,} bytes; {found['updates']} updates a task"
    yield f"{'task':<12}{'made by':<14}{'loss':>8}{'95 % interval':>19}{'trained':>10}{'bytes':>12}{'seconds':>9}"
    for task in found["tasks"]:
        for way in task["ways"]:
            interval = f"{way['low']:.3f} – {way['high']:.3f}"
            yield f"{task['name']:<12}{way['kind']:<14}{way['value']:>8.3f}{interval:>19}{way['trained']:>10,}{way['bytes']:>12,}{way['seconds']:>9.1f}"
    for kind, cost in found["serving"].items():
        yield f"all three by {kind}: {cost['bases']} base(s) loaded, {cost['bytes']:,} bytes"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.three_tasks", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few updates: does it run at all?")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as work:
        found = measure(Path(work), quick=given.quick)
    found["seconds"] = round(time.monotonic() - began, 1)
    print(json.dumps(found, ensure_ascii=False) if given.json else "\n".join(table(found)))


if __name__ == "__main__":
    main()
