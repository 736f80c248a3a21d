"""Reward models of real rankings: how often they are right beside chance, length alone, people themselves, and TRL on the same pairs.

    python -m bench.real_rankings --data FOLDER --model FOLDER [--work FOLDER] [--sets NAME …] [--no-peer] [--quick] [--json]

--data holds finegrained-qa, pandalm and wmt12-rankings (bench/rankings.py says what is taken from each), --model a small pretrained language
model. A fifth of the prompts is held out. Each set is learned twice by the method `reward`: from that model, and from one that is
pretrained on the set's own training texts; everything is a run directory in the work folder, and what is complete is not run again.

Beside each: taking the longer output, or the shorter, whichever was right more often in training; where several people ranked the same
outputs, what another person, or all others together, get right (the human ceiling); and TRL's RewardTrainer on the strict pairs of the same
rankings, from the model of the set's own texts, with the same learning rate, schedule and passes, its scores judged by the same code.

--quick: few rankings and updates, to see that everything works; its figures say nothing.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.peer import quiet, trl_arguments
from bench.rankings import READERS, Row
from bench.workshop import Workshop
from labeling.ranking import WeakOrder

SMALL = {"vocab_size": 4096, "hidden_size": 128, "layers": 2, "heads": 4, "context_length": 512}
PRETRAIN = {**SMALL, "epochs": 10, "lr": 3e-3, "batch_size": 8, "dropout": 0.1}
REWARD = {"lr": 1e-3, "epochs": 3, "batch_size": 8, "truncate": True}
QUICK_PRETRAIN = {**SMALL, "max_steps": 5}
QUICK_REWARD = {**REWARD, "max_steps": 5}
QUICK_ROWS = 60


def write(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def texts_of(rows: Sequence[Row]) -> list[Row]:
    """What a language model of the set may read: each prompt with each output once, of the training rankings; held-out ones to measure on."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        for completion in row["completions"]:
            found.setdefault(
                (row["prompt"], completion), {"text": f"{row['prompt']}\n{completion}", "split": row["split"]}
            )
    return list(found.values())


def by_length(rows: Sequence[Row]) -> dict[str, Any]:
    """One who takes the longer output, or the shorter, by what was right more often in training."""
    right: dict[str, list[float]] = {"train": [], "heldout": []}
    for row in rows:
        lengths = [len(text) for text in row["completions"]]
        pairs = WeakOrder.parse(row["ranking"], items=len(lengths)).strict_pairs()
        right[row["split"]] += [(np.sign(lengths[a] - lengths[b]) + 1) / 2 for a, b in pairs]
    longer = float(np.mean(right["train"])) >= 0.5
    share = float(np.mean(right["heldout"]))
    return {"takes": "longer" if longer else "shorter", "accuracy": share if longer else 1 - share}


def by_trl(base: Path, dataset: Path, folder: Path, settings: dict[str, Any], seed: int = 1) -> dict[str, Any]:
    """TRL's RewardTrainer on the strict pairs of the rankings that ours learns from, judged on the same held-out ones."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification
    from trl import RewardConfig, RewardTrainer

    from models_registry.lm.chain import load
    from models_registry.lm.heads import can_pad
    from models_registry.lm.packed import probe, scores
    from training.engine.data import rows
    from training.engine.methods.reward.rankings import batches, tokenized
    from training.engine.methods.reward.report import Pairs
    from training.engine.methods.reward.train import scored

    began = time.monotonic()
    language = load([base])
    limit = language.context_length
    found: dict[str, list] = {"train": [], "heldout": []}
    for row in rows(dataset, ("rankings",)):
        ranking = tokenized(language, row)
        if ranking is not None:
            found[row.split].append(ranking)
    held = {tuple(r.group.prompt) for r in found["heldout"]}
    train = [r for r in found["train"] if tuple(r.group.prompt) not in held and r.order.strict_pairs()]

    def group(ranking: Any) -> Any:
        return ranking.group.cut(limit) if limit is not None else ranking.group

    pairs = []
    for ranking in train:
        own = group(ranking)
        # A cut may differ from output to output: each pair keeps what both of its texts have.
        for a, b in ranking.order.strict_pairs():
            pairs.append(
                {"chosen_ids": [*own.prompt, *own.completions[a]], "rejected_ids": [*own.prompt, *own.completions[b]]}
            )
    torch.manual_seed(seed)
    tokenizer = language.tokenizer
    assert can_pad(tokenizer)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.bos_token
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, dtype=torch.float32)
    model.config.pad_token_id = tokenizer.pad_token_id
    at_once = 8
    per_update = max(1, round(settings["batch_size"] * len(pairs) / len(train) / at_once))
    with quiet():
        trainer = RewardTrainer(
            model=model,
            args=trl_arguments(
                RewardConfig,
                folder,
                per_device_train_batch_size=at_once,
                gradient_accumulation_steps=per_update,
                num_train_epochs=settings["epochs"],
                max_steps=settings.get("max_steps", -1),
                learning_rate=settings["lr"],
                lr_scheduler_type="cosine",
                warmup_steps=0.03,
                max_length=None,
                seed=seed,
            ),
            train_dataset=Dataset.from_list(pairs),
            processing_class=tokenizer,
        )
        trainer.train()
    model.eval()
    way = probe(model, [group(r) for r in found["heldout"][:4]]).way
    judged = []
    with torch.no_grad():
        for part in batches(found["heldout"], 16):
            values = scores(model, [group(r) for r in part], way).double().numpy()
            ends = np.cumsum([r.order.items for r in part])[:-1]
            judged += [scored(r, own[:, None]) for r, own in zip(part, np.split(values, ends), strict=True)]
    table = Pairs.of(judged)
    share = table.share(table.direction, ~table.tied)
    assert share is not None
    names = ("accuracy", "accuracy_low", "accuracy_high")
    return dict(zip(names, share, strict=True)) | {"pairs": len(pairs), "seconds": time.monotonic() - began}


def measure(data: Path, model: Path, work: Path, sets: Sequence[str], *, peer: bool, small: bool) -> dict[str, Any]:
    shop, report = Workshop(work), {}
    settings = QUICK_REWARD if small else REWARD
    for name in sets:
        rows = list(READERS[name](data))
        rows = rows[:: len(rows) // QUICK_ROWS] if small else rows
        dataset = write(work / f"{name}.jsonl", rows)
        texts = write(work / f"{name}.texts.jsonl", texts_of(rows))
        own = shop.run(f"{name}-pretrain", "pretrain", QUICK_PRETRAIN if small else PRETRAIN, {"dataset": str(texts)})
        found = {}
        for base, folder in ((model.name, model), ("own texts", own)):
            place = f"{name}-{base.replace(' ', '-')}"
            inputs = {"base": [str(folder)], "dataset": str(dataset)}
            figures = {
                loss: json.loads(
                    (
                        shop.run(f"{place}-{loss}", "reward", settings | {"loss": loss}, inputs) / "metrics.json"
                    ).read_text()
                )
                for loss in ("rao_kupper", "bradley_terry")
            }
            found[base] = {
                loss: {
                    key: value
                    for key, value in metrics.items()
                    if key.startswith(("accuracy", "tie_aware", "log_loss", "heldout_", "length_slope"))
                }
                | {"seconds": shop.seconds(f"{place}-{loss}"), "people": metrics["judged"]["people"]}
                for loss, metrics in figures.items()
            }
            if peer and folder == own:
                known = work / f"{place}-trl.json"
                if not known.exists():
                    with tempfile.TemporaryDirectory() as scratch:
                        known.write_text(json.dumps(by_trl(folder, dataset, Path(scratch), settings)))
                found[base]["trl"] = json.loads(known.read_text())
        report[name] = {"rankings": len(rows), "length": by_length(rows), "bases": found}
    return report


def table(report: dict[str, Any]) -> str:
    def share(value: float | None, low: float | None = None, high: float | None = None) -> str:
        if value is None:
            return "-"
        return f"{value:.3f}" + (f" ({low:.3f} to {high:.3f})" if low is not None and high is not None else "")

    lines = []
    for name, one in report.items():
        first = next(iter(one["bases"].values()))["rao_kupper"]
        people = first["people"]
        ceiling = f"another person {share(people['person']['value'])}, all others {share(people['others']['value'])}"
        lines += [
            f"{name}: {one['rankings']} rankings; held out {first['heldout_rankings']} with {first['heldout_strict_pairs']} strict and {first['heldout_tied_pairs']} tied pairs",
            f"  chance 0.500, the {one['length']['takes']} {one['length']['accuracy']:.3f}; on {people['tasks']} tasks that several ranked: {ceiling}",
            f"  {'base':16}{'':16}{'pair accuracy':26}{'tie-aware':26}{'three-way log-loss':20}{'against people':16}{'seconds':>8}",
        ]  # fmt: skip
        for base, by in one["bases"].items():
            for loss, figures in by.items():
                accuracy = share(*(figures[f"accuracy{end}"] for end in ("", "_low", "_high")))
                if loss == "trl":
                    lines.append(f"  {base:16}{'TRL':16}{accuracy:26}{'':62}{figures['seconds']:8.0f}")
                    continue
                aware = share(*(figures[f"tie_aware_accuracy{end}"] for end in ("", "_low", "_high")))
                log_loss = f"{figures['log_loss_three_way']:.3f} ({figures['log_loss_chance']:.3f})"
                model = figures["people"]["model"]
                lines.append(
                    f"  {base:16}{loss:16}{accuracy:26}{aware:26}{log_loss:20}{share(model and model['value']):16}{figures['seconds']:8.0f}"
                )
    lines.append(
        "In brackets: intervals of 95 % over prompts; of the log-loss, that of one who only knows how often people tie."
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.real_rankings", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="run directories; default: a new temporary folder, kept")
    parser.add_argument("--sets", nargs="+", choices=list(READERS), default=list(READERS))
    parser.add_argument("--no-peer", action="store_true", help="without TRL")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    work = given.work or Path(tempfile.mkdtemp(prefix="real-rankings-"))
    work.mkdir(parents=True, exist_ok=True)
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    report = measure(
        given.data.resolve(),
        given.model.resolve(),
        work.resolve(),
        given.sets,
        peer=not given.no_peer,
        small=given.quick,
    )
    print(json.dumps(report) if given.json else table(report))


if __name__ == "__main__":
    main()
