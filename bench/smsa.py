"""Sentiment of Indonesian texts (SmSA of IndoNLU): a model pretrained on the training texts alone, made a classifier in many ways, beside TF-IDF.

    python -m bench.smsa --data FOLDER [--work FOLDER] [--only METHOD …] [--quick] [--json]

FOLDER holds train_preprocess.tsv and valid_preprocess.tsv (text, tab, label). Everything goes through the engine, as run directories in
the work folder: `pretrain` on the 11,000 training texts, then `classify` with each choice of what moves, and `prompting` with a few examples; each
result is judged on `valid` by the method `evaluate`. `average` makes one classifier of several that are pretrained and trained with other seeds. A run that is complete is not run again, so a long measurement can be stopped and gone on with.

Beside them: TF-IDF over words (1–2) and letters within words (2–5), sublinear, with logistic regression, its C chosen by cross-validation on
the training texts. Figures and intervals of both sides come from one function, differences from a paired test on the same rows.

--quick: 200 texts and a tiny model, to see that everything works; its figures say nothing.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.workshop import Workshop
from training.engine.evaluation import figures_of, paired

TUNES: dict[str, dict[str, Any]] = {
    "head": {"tune": {"kind": "head"}, "lr": 1e-2},
    "last_layers": {"tune": {"kind": "last_layers", "n": 1}, "lr": 1e-3},
    "serial": {"tune": {"kind": "serial", "reduction": 4}, "lr": 3e-3},
    "parallel": {"tune": {"kind": "parallel", "reduction": 4}, "lr": 3e-3},
    "lora": {"tune": {"kind": "lora", "rank": 16, "alpha": 32}, "lr": 3e-3},
    "soft_prompt": {"tune": {"kind": "soft_prompt", "length": 20}, "lr": 1e-2},
    # What may learn the texts by heart is held back, and goes on learning their language beside their sentiment.
    "all": {
        "tune": {"kind": "all"},
        "lr": 2e-3,
        "epochs": 5,
        "batch_size": 32,
        "final_lr": 0.0,
        "weight_decay": 0.1,
        "dropout": 0.3,
        "drop_tokens": 0.3,
        "lm_weight": 1.0,
        "label_smoothing": 0.05,
        "class_weights": "balanced",
        "consistency": 1.0,
    },
}
PROMPTED = "few_shot"
AVERAGED = "average"
METHODS = [*TUNES, PROMPTED, AVERAGED]


# 0.9 million parameters: 11,000 short texts teach no more.
MODEL = {"vocab_size": 4096, "hidden_size": 128, "layers": 2, "heads": 4, "context_length": 256}


@dataclass(frozen=True)
class Plan:
    """How large a measurement is. `texts`: of each split, at most."""

    texts: int | None
    pretrain: dict[str, Any]
    classify: dict[str, Any]
    prompting: dict[str, Any]
    average: tuple[int, dict[str, Any], dict[str, Any]]  # models, and what differs from `pretrain` and from `all`
    folds: int
    strengths: tuple[float, ...]  # C of the logistic regression


FULL = Plan(
    texts=None,
    pretrain={**MODEL, "epochs": 20, "lr": 3e-3, "batch_size": 8, "dropout": 0.1},
    classify={"epochs": 3, "weight_decay": 0.05, "dropout": 0.1, "drop_tokens": 0.1, "final_lr": 0.02},
    prompting={"template": "{input}\nsentimen:", "shots": 6, "calibration": "contextual"},
    average=(4, {"weight_decay": 0.5}, {"epochs": 4}),
    folds=5,
    strengths=(3.0, 10.0, 30.0),
)
QUICK = Plan(
    texts=200,
    pretrain={"size": "nano", "layers": 2, "max_steps": 10},
    classify={"max_steps": 10, "batch_size": 16, "eval_every": 10},
    prompting={"template": "{input}\nsentimen:", "shots": 3},
    average=(2, {}, {}),
    folds=2,
    strengths=(3.0, 10.0),
)


def rows_of(data: Path, texts: int | None) -> list[dict[str, str]]:
    """Rows of the engine: `train` to learn from, `valid` held out."""
    rows = []
    for name, split in (("train", "train"), ("valid", "heldout")):
        with open(data / f"{name}_preprocess.tsv", encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                if texts is None or number < texts:
                    text, _tab, label = line.rstrip("\n").rpartition("\t")
                    rows.append({"text": text, "label": label, "split": split})
    return rows


def tfidf(rows: list[dict[str, str]], plan: Plan) -> tuple[float, list[str], float]:
    """(C, the labels of the held-out texts as it gives them, seconds)."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline, make_union

    began = time.monotonic()
    train, heldout = ([row for row in rows if row["split"] == split] for split in ("train", "heldout"))
    model = make_pipeline(
        make_union(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
        ),
        LogisticRegression(max_iter=1000),
    )
    search = GridSearchCV(
        model,
        {"logisticregression__C": list(plan.strengths)},
        scoring="f1_macro",
        cv=StratifiedKFold(plan.folds, shuffle=True, random_state=1),
    )
    search.fit([row["text"] for row in train], [row["label"] for row in train])
    said = search.predict([row["text"] for row in heldout])
    return search.best_params_["logisticregression__C"], list(map(str, said)), time.monotonic() - began


def averaged(shop: Workshop, plan: Plan, labelled: Path, texts: Path) -> tuple[Path, list[str]]:
    """(the average of classifiers that differ in their seed, all runs that it took)"""
    models, pretrain, classify = plan.average
    members, runs = [], []
    for seed in range(1, models + 1):
        base = shop.run(f"pretrain-{seed}", "pretrain", plan.pretrain | pretrain, {"dataset": str(texts)}, seed)
        inputs = {"base": [str(base)], "dataset": str(labelled)}
        members.append(shop.run(f"all-{seed}", "classify", plan.classify | TUNES["all"] | classify, inputs, seed))
        runs += [f"pretrain-{seed}", f"all-{seed}"]
    roles = ["base", *(f"base_{number}" for number in range(2, models + 1))]
    inputs = {role: [str(member)] for role, member in zip(roles, members, strict=True)}
    return shop.run(AVERAGED, "average", {}, inputs), [*runs, AVERAGED]


def measure(data: Path, work: Path, plan: Plan, only: list[str]) -> dict[str, Any]:
    rows = rows_of(data, plan.texts)
    labelled, texts = work / "labelled.jsonl", work / "texts.jsonl"
    labelled.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    texts.write_text(
        "".join(json.dumps({"text": row["text"], "split": row["split"]}, ensure_ascii=False) + "\n" for row in rows),
        "utf-8",
    )
    shop = Workshop(work)
    base = shop.run("pretrain", "pretrain", plan.pretrain, {"dataset": str(texts)})
    pretrained = json.loads((base / "metrics.json").read_text())
    found: dict[str, dict[str, Any]] = {}
    predictions: dict[str, list[dict[str, Any]]] = {}
    for name in only:
        runs = [name]
        if name == AVERAGED:
            output, runs = averaged(shop, plan, labelled, texts)
            moved = json.loads((output / "metrics.json").read_text())["total_parameters"]
        elif name == PROMPTED:
            inputs = {"base": [str(base)], "dataset": str(labelled)}
            output = shop.run(name, "prompting", plan.prompting, inputs)
            moved = 0
        else:
            inputs = {"base": [str(base)], "dataset": str(labelled)}
            output = shop.run(name, "classify", plan.classify | TUNES[name], inputs)
            moved = json.loads((output / "metrics.json").read_text())["trained_parameters"]
        full = (output / "config.json").exists()
        metrics, predictions[name] = shop.judged(name, [output] if full else [base, output], labelled)
        found[name] = {
            "trained_parameters": moved,
            "bytes": sum(path.stat().st_size for path in output.glob("*.safetensors")),
            "seconds": sum(map(shop.seconds, runs)),
            **metrics["figures"],
        }
    strength, said, seconds = tfidf(rows, plan)
    heldout = [row for row in rows if row["split"] == "heldout"]
    order = predictions[only[0]]
    baseline = [
        {"row": row["row"], "label": row["label"], "prediction": answer}
        for row, answer in zip(sorted(order, key=lambda row: row["row"]), said, strict=True)
    ]
    assert [row["label"] for row in baseline] == [row["label"] for row in heldout]
    for name, own in predictions.items():
        found[name]["over_tfidf"] = paired(own, baseline)["macro_f1"]
    reference = {"C": strength, "seconds": seconds, **figures_of("classification", baseline)}
    best = max(found, key=lambda name: found[name]["macro_f1"]["value"])
    return {
        "texts": {"train": len(rows) - len(heldout), "valid": len(heldout)},
        "model": {
            "parameters": pretrained["total_parameters"],
            "heldout_bits_per_byte": pretrained.get("heldout_bits_per_byte"),
            "seconds": shop.seconds("pretrain"),
        },
        "methods": found,
        "tfidf": reference,
        "best": best,
        "best_at_least_equals_tfidf": found[best]["macro_f1"]["value"] >= reference["macro_f1"]["value"],
    }


def table(report: dict[str, Any]) -> str:
    lines = [
        "{train} training texts, {valid} held out.".format(**report["texts"]),
        "Pretrained on the training texts: {parameters:,} parameters, {heldout_bits_per_byte:.3f} bits per byte on valid, {seconds:.0f} s.".format(
            **report["model"]
        ),
        "",
        f"{'method':<14}{'moves':>10}{'kB':>8}{'seconds':>9}{'accuracy':>10}{'macro-F1':>10}{'95 %':>18}{'over TF-IDF':>14}{'p':>8}",
    ]
    ordered = sorted(report["methods"].items(), key=lambda item: -item[1]["macro_f1"]["value"])
    for name, one in ordered:
        f1, over = one["macro_f1"], one["over_tfidf"]
        lines.append(
            f"{name:<14}{one['trained_parameters']:>10,}{one['bytes'] / 1000:>8,.0f}{one['seconds']:>9.0f}{one['accuracy']['value']:>10.3f}"
            f"{f1['value']:>10.3f}{'{low:.3f} to {high:.3f}'.format(**f1):>18}{over['difference']:>+14.3f}{over['p']:>8.3f}"
        )
    base = report["tfidf"]
    name = f"TF-IDF, C={base['C']:g}"
    interval = "{low:.3f} to {high:.3f}".format(**base["macro_f1"])
    lines.append(
        f"{name:<14}{'':>10}{'':>8}{base['seconds']:>9.0f}{base['accuracy']['value']:>10.3f}{base['macro_f1']['value']:>10.3f}{interval:>18}"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="run directories; default: a new temporary folder, kept")
    parser.add_argument("--only", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="smsa-"))
    work.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    report = measure(options.data, work.resolve(), QUICK if options.quick else FULL, options.only)
    print(json.dumps(report) if options.json else table(report))


if __name__ == "__main__":
    main()
