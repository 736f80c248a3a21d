"""Wrong labels in the prompt against training on wrong labels: does a model believe what it is shown, or what it has learned?

    python -m bench.wrong_labels [--json] [--quick]                                the whole experiment, on reviews made from a seed
    python -m bench.wrong_labels --data rows.jsonl                                  … on rows {"text", "label", "split"} of your own
    python -m bench.wrong_labels --data train.tsv valid.tsv                         … on lines of text, tab, label
    python -m bench.wrong_labels --files FOLDER                                     only the data sets, to do it by hand in the browser

A small model is pretrained on the texts and finetuned to answer a template, sometimes with examples in front. Then it is asked about
held-out texts: with no examples, with right ones, with the same ones under wrong labels, and with the wrong label shown for the very text
that is asked. Beside that, the same model is trained on, once on right labels and once on wrong ones. A wrong label is the next in the
alphabet, the last becoming the first. All of it goes through run directories, as it does in the browser.

Demonstrations whose labels hardly matter: Min et al. 2022, Rethinking the Role of Demonstrations.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models_registry.lm.hard_prompt import Example, HardPrompt
from training.engine.__main__ import run as run_engine
from training.engine.evaluation import paired

TEMPLATE = "Review: {input}\nVerdict:"
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Size:
    """How much is done. `words`: longer texts are left out, so that all examples fit into the context."""

    train: int = 4000
    heldout: int = 600
    words: int = 30
    shots: int = 3
    hidden: int = 96
    layers: int = 3
    context: int = 512
    pretrain_epochs: float = 4
    finetune_steps: int = 500
    further_steps: int = 200


QUICK = Size(train=1500, heldout=300, hidden=64, layers=2, pretrain_epochs=4, finetune_steps=400, further_steps=100)

THINGS = (
    "soup rice bread coffee cake tea fish salad noodles curry room bed bath pool view staff waiter driver guide service film song "
    "story book actor ending phone camera screen battery keyboard chair lamp shoe coat bag train bus ferry garden"
).split()
GOOD = "lovely fresh warm kind tasty quick clean bright gentle charming honest superb crisp generous cosy".split()
BAD = "stale cold rude bland slow dirty dim harsh dull greedy broken noisy sour careless shabby".split()
PLAIN = "large small red round old new wooden blue square tall local metal grey short plain".split()


def reviews(train: int, heldout: int, seed: int = 0) -> Rows:
    """Reviews of one to three clauses. “not” turns a clause round; what outweighs gives the label, and what balances is mixed."""
    choose = random.Random(seed)
    found: dict[str, str] = {}
    while len(found) < train + heldout:
        clauses, mood = [], 0
        usual = choose.choice([1, -1, 0])
        for _clause in range(choose.randint(1, 3)):
            # Clauses of a review go together, so that the texts alone teach which words do.
            value = usual if choose.random() < 0.7 else choose.choice([1, -1, 0])
            words = {1: GOOD, -1: BAD, 0: PLAIN}[value]
            turned = bool(value) and choose.random() < 0.15
            mood += -value if turned else value
            clauses.append(f"the {choose.choice(THINGS)} was {'not ' if turned else ''}{choose.choice(words)}")
        label = "good" if mood > 0 else "bad" if mood < 0 else "mixed"
        found.setdefault(" and ".join(clauses) + ".", label)
    return [
        {"text": text, "label": label, "split": "heldout" if number < heldout else "train"}
        for number, (text, label) in enumerate(found.items())
    ]


def read(paths: Sequence[Path], size: Size, seed: int = 0) -> Rows:
    """Labelled rows of people's own: one JSONL with splits, or a TSV to train on and a TSV that is held out."""
    if len(paths) == 1:
        rows = [json.loads(line) for line in paths[0].read_text("utf-8").splitlines() if line.strip()]
    elif len(paths) == 2:
        rows = [
            {"text": text, "label": label, "split": split}
            for path, split in zip(paths, ("train", "heldout"), strict=True)
            for text, _tab, label in (line.rpartition("\t") for line in path.read_text("utf-8").splitlines())
        ]
    else:
        sys.exit("--data takes one JSONL file, or two TSV files.")
    rows = [{"split": "train"} | row for row in rows if len(row["text"].split()) <= size.words]
    unseen = {row["text"] for row in rows if row["split"] == "heldout"}
    choose = random.Random(seed)
    found: Rows = []
    for split, most in (("train", size.train), ("heldout", size.heldout)):
        some = [row for row in rows if row["split"] == split and (split == "heldout" or row["text"] not in unseen)]
        found += choose.sample(some, min(most, len(some)))
    return found


def data_sets(rows: Rows, shots: int, seed: int = 0) -> dict[str, Rows]:
    """The files of the experiment: what is pretrained and finetuned on, and what examples are drawn from and asked about."""
    labels = sorted({row["label"] for row in rows})
    wrong = dict(zip(labels, [*labels[1:], labels[0]], strict=True))
    prompt = HardPrompt(template=TEMPLATE)
    choose = random.Random(seed)
    train = [row for row in rows if row["split"] == "train"]

    def asked(row: dict[str, Any], label: str, examples: int) -> dict[str, Any]:
        others = choose.sample(train, examples)
        shown = tuple(Example(input=other["text"], output=other["label"]) for other in others if other is not row)
        words = prompt.model_copy(update={"examples": shown}).ask(row["text"])
        return {"prompt": words, "completion": prompt.answer(label), "split": row["split"]}

    def swapped(row: dict[str, Any]) -> dict[str, Any]:
        return row | {"label": wrong[row["label"]]}

    return {
        "texts": [{"text": row["text"], "split": row["split"]} for row in rows],
        "answers": [asked(row, row["label"], choose.randint(0, shots)) for row in rows],
        "answers-right": [asked(row, row["label"], 0) for row in rows],
        "answers-wrong": [asked(row, wrong[row["label"]], 0) for row in rows],
        "right": rows,
        "wrong": [row if row["split"] == "heldout" else swapped(row) for row in rows],
        # The template is filled with more than the text: an example of the very text comes before it.
        "told": [
            row | {"text": f"{row['text']}\nVerdict: {wrong[row['label']]}\n\nReview: {row['text']}"}
            for row in rows
            if row["split"] == "heldout"
        ],
    }  # fmt: skip


def write(folder: Path, sets: dict[str, Rows]) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, rows in sets.items():
        found[name] = folder / f"{name}.jsonl"
        found[name].write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return found


class Runs:
    """Run directories below one folder, carried out one after the other."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed

    def __call__(self, name: str, method: str, config: dict[str, Any], chain: Sequence[Path], dataset: Path) -> Path:
        """Does a run, or finds it done. Returns its folder."""
        run = self.folder / name
        run.mkdir(parents=True, exist_ok=True)
        inputs: dict[str, Any] = {"dataset": str(dataset.resolve())}
        if chain:
            inputs["base"] = [str(link.resolve()) for link in chain]
        order = {"method": method, "config": config, "inputs": inputs, "seed": self.seed}
        (run / "run.json").write_text(json.dumps(order, indent=1), "utf-8")
        begin = time.monotonic()
        if run_engine(run):
            sys.exit(f"{run} did not end well; see its status.json.")
        print(f"{name:28} {time.monotonic() - begin:6.1f} s", file=sys.stderr, flush=True)
        return run

    def judged(self, name: str, chain: Sequence[Path], dataset: Path) -> dict[str, Any]:
        run = self(f"judge-{name}", "evaluate", {}, chain, dataset)
        metrics = json.loads((run / "output/metrics.json").read_text("utf-8"))
        rows = [json.loads(line) for line in (run / "output/predictions.jsonl").read_text("utf-8").splitlines()]
        return {"figure": metrics["figures"]["accuracy"], "rows": rows}


def experiment(folder: Path, rows: Rows, size: Size, seed: int = 1) -> dict[str, Any]:
    """All runs, and the table: accuracy on the held-out texts, and the difference to the prompt with right labels."""
    files = write(folder / "data", data_sets(rows, size.shots, seed))
    do = Runs(folder, seed)
    shape = {
        "size": "nano",
        "hidden_size": size.hidden,
        "layers": size.layers,
        "context_length": size.context,
        "vocab_size": 1500,
    }
    base = do(
        "pretrain",
        "pretrain",
        {**shape, "epochs": size.pretrain_epochs, "batch_size": 1, "lr": 2e-3, "eval_rows": 200},
        [],
        files["texts"],
    )
    training = {"tune": {"kind": "all"}, "batch_size": 32, "epochs": 1000, "eval_rows": 100, "sample_tokens": 4}
    answers = do(
        "finetune",
        "finetune",
        training | {"max_steps": size.finetune_steps, "lr": 2e-3},
        [base / "output"],
        files["answers"],
    )
    further = training | {"max_steps": size.further_steps, "lr": 1e-3}
    taught = {
        label: do(f"finetune-{label}", "finetune", further, [answers / "output"], files[f"answers-{label}"])
        for label in ("right", "wrong")
    }
    prompt = {"template": TEMPLATE}

    def prompted(name: str, model: Path, examples: str, shots: int) -> list[Path]:
        run = do(f"prompt-{name}", "prompting", prompt | {"shots": shots}, [model / "output"], files[examples])
        return [model / "output", run / "output"]

    bare = prompted("no-examples", answers, "right", 0)
    right = prompted("right", answers, "right", size.shots)
    wrong = prompted("wrong", answers, "wrong", size.shots)
    told = prompted("wrong-told", answers, "wrong", max(size.shots - 1, 0))
    lines = {
        "asked without examples": do.judged("no-examples", bare, files["right"]),
        "right labels in the prompt": do.judged("right", right, files["right"]),
        "wrong labels in the prompt": do.judged("wrong", wrong, files["right"]),
        "wrong, also for the very text": _renumbered(do.judged("told", told, files["told"]), files["right"]),
        "trained further, right labels": do.judged(
            "taught-right", prompted("taught-right", taught["right"], "right", 0), files["right"]
        ),
        "trained further, wrong labels": do.judged(
            "taught-wrong", prompted("taught-wrong", taught["wrong"], "right", 0), files["right"]
        ),
    }
    parameters = json.loads((answers / "status.json").read_text("utf-8"))["total_parameters"]
    against = lines["right labels in the prompt"]["rows"]
    return {
        "texts": {split: sum(row["split"] == split for row in rows) for split in ("train", "heldout")},
        "labels": len({row["label"] for row in rows}),
        "parameters": parameters,
        "examples": size.shots,
        "lines": {
            name: {
                "accuracy": line["figure"],
                "changed": parameters if name.startswith("trained") else 0,
                "against_right_prompt": paired(line["rows"], against)["accuracy"],
            }
            for name, line in lines.items()
        },
    }


def _renumbered(line: dict[str, Any], right: Path) -> dict[str, Any]:
    """The rows that were told are the held-out rows of the others, in the same order."""
    rows = [json.loads(text) for text in right.read_text("utf-8").splitlines()]
    numbers = [number for number, row in enumerate(rows) if row["split"] == "heldout"]
    return line | {"rows": [row | {"row": number} for row, number in zip(line["rows"], numbers, strict=True)]}


def table(figures: dict[str, Any]) -> str:
    texts = figures["texts"]
    lines = [
        (
            f"{texts['train']} training texts, {texts['heldout']} held-out ones, {figures['labels']} labels; "
            f"a model of {figures['parameters']:,} parameters; {figures['examples']} examples in a prompt"
        ),
        "",
        "| | accuracy | 95 % interval | against right labels in the prompt | p (McNemar) | parameters changed |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, line in figures["lines"].items():
        own, other = line["accuracy"], line["against_right_prompt"]
        same = name == "right labels in the prompt"
        difference = "" if same else f"{other['difference']:+.3f} ({other['low']:+.3f} to {other['high']:+.3f})"
        p = "" if same else f"{other['p']:.2g}"
        lines.append(
            f"| {name} | {own['value']:.3f} | {own['low']:.3f} to {own['high']:.3f} | {difference} | {p} | {line['changed']:,} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.wrong_labels", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        help="rows of your own: one JSONL file, or a TSV to train on and a held-out one",
    )
    parser.add_argument("--out", type=Path, help="folder that keeps data and runs (default: a temporary one)")
    parser.add_argument("--files", type=Path, help="only write the data sets into this folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="within a minute: smaller in everything")
    given = parser.parse_args()
    size = QUICK if given.quick else Size()
    if given.data:
        rows = read(given.data, size, given.seed)
    else:
        rows = reviews(size.train, size.heldout, given.seed)
    if given.files:
        for path in write(given.files, data_sets(rows, size.shots, given.seed)).values():
            print(path)
        return
    with tempfile.TemporaryDirectory() as aside:
        figures = experiment(given.out or Path(aside), rows, size, given.seed)
    print(json.dumps(figures, ensure_ascii=False) if given.json else table(figures))


if __name__ == "__main__":
    main()
