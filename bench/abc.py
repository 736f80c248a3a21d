"""A language model from scratch on folk tunes: does it predict held-out tunes better than a compressor and than n-grams, and write tunes that parse?

    python -m bench.abc --data FOLDER [--json] [--quick] [--out RUN_DIR] [--set name=value …]

FOLDER holds *.abc files, cut into tunes at each `X:`; any other small text files are taken whole. A tenth of the documents is held out, by a hash of
their text as data sets do it. The model is pretrained by the engine in a run directory, as the product does it. Beside its held-out bits a byte stand

* xz that has read the training documents: the size of both less the size of the training documents, with the best of several settings;
* the best byte-level interpolated modified Kneser–Ney model of order 1 to 8 (bench/kneser_ney.py), chosen on the held-out documents themselves.

Each but xz also pays for saying where a document ends. Then the model writes tunes from nothing, and bench/abc_notation.py says which share parses.
"""

import argparse
import json
import lzma
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.abc_notation import check
from bench.kneser_ney import best_order
from labeling.identity import HELDOUT, digest_of, split_of

HELDOUT_PERCENT = 10
RECIPE: dict[str, Any] = {
    "architecture": "llama",
    "hidden_size": 128,
    "layers": 4,
    "heads": 4,
    "context_length": 512,
    "vocab_size": 512,
    "merges": "within_lines",
    "dropout": 0.2,
    "lr": 3e-3,
    "warmup": 0.05,
    "batch_size": 4,
    "epochs": 24.0,
}
QUICK = {"hidden_size": 64, "layers": 2, "max_steps": 60, "sample_tokens": 8}


def documents(folder: Path) -> list[str]:
    """The tunes of *.abc files, and other files whole, each with one line break at its end; in the order of the files' names."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
        parts = re.split(r"(?m)^(?=X:)", text) if path.suffix == ".abc" else [text]
        found += [part.strip() + "\n" for part in parts if part.strip()]
    return found


def primed_xz(train: bytes, heldout: bytes) -> float:
    """Bits a byte of the held-out bytes for xz behind the training bytes, with the best of several settings."""

    def size(data: bytes, **options: int) -> int:
        chain = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "nice_len": 273, **options}]
        return len(lzma.compress(data, format=lzma.FORMAT_XZ, filters=chain))

    ways = [{"lc": lc, "pb": pb, "dict_size": 1 << 26} for lc in (0, 2, 3, 4) for pb in (0, 2)]
    return min(8 * (size(train + heldout, **way) - size(train, **way)) / len(heldout) for way in ways)


def pretrain(
    run: Path, texts: Sequence[str], splits: Sequence[str], config: dict[str, Any], seed: int
) -> dict[str, Any]:
    """The engine's run in `run`; its metrics and status. An interrupted one goes on."""
    run.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps({"text": text, "split": split}) for text, split in zip(texts, splits, strict=True)]
    (run / "data.jsonl").write_text("".join(f"{row}\n" for row in rows))
    order = {"method": "pretrain", "config": config, "inputs": {"dataset": "data.jsonl"}, "seed": seed}
    (run / "run.json").write_text(json.dumps(order, indent=1))
    done = subprocess.run([sys.executable, "-m", "training.engine", str(run)], stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        sys.exit(f"The run in {run} ended with {done.returncode}.")
    status = json.loads((run / "status.json").read_text())
    return json.loads((run / "output" / "metrics.json").read_text()) | {"wall_s": status["wall_s"]}


def written(run: Path, count: int, temperature: float, seed: int) -> dict[str, float]:
    """What the model writes from nothing: shares of tunes that end by themselves, parse, and whose bars fit their metre; how many are new."""
    from models_registry.lm.chain import load
    from models_registry.lm.generate import generate

    loaded = load([run / "output"])
    outputs = generate(
        loaded, [""], samples=count, max_tokens=loaded.context_length or 512, temperature=temperature, seed=seed
    )
    reports = [check(output.text) for output in outputs]
    known = {json.loads(line)["text"] for line in (run / "data.jsonl").open()}
    return {
        "temperature": temperature,
        "tunes": count,
        "ended": sum(output.finish_reason == "eos" for output in outputs) / count,
        "parse": sum(report.parses for report in reports) / count,
        "bars_fit": sum(report.bars_fit for report in reports) / count,
        "copies": sum(output.text in known for output in outputs) / count,
        "distinct": len({output.text for output in outputs}) / count,
    }


def measure(folder: Path, run: Path, config: dict[str, Any], *, samples: int, seed: int) -> dict[str, Any]:
    texts = documents(folder)
    splits = [split_of(digest_of(text), HELDOUT_PERCENT) for text in texts]
    parts: dict[str, list[bytes]] = {"train": [], HELDOUT: []}
    for text, split in zip(texts, splits, strict=True):
        parts[split].append(text.encode())
    train, heldout = parts["train"], parts[HELDOUT]
    if not train or not heldout:
        sys.exit(f"{folder} has too few documents: {len(train)} to train on, {len(heldout)} held out.")
    began = time.monotonic()
    order, ngrams = best_order(train, heldout)
    xz = primed_xz(b"".join(train), b"".join(heldout))
    peers = time.monotonic() - began
    ours = pretrain(run, texts, splits, config, seed)
    figures = {
        "documents": {"train": len(train), "heldout": len(heldout)},
        "bytes": {"train": sum(map(len, train)), "heldout": sum(map(len, heldout))},
        "bits_per_byte": {
            "model": ours["heldout_bits_per_byte"],
            "primed_xz": xz,
            "kneser_ney": ngrams,
        },
        "kneser_ney_order": order,
        "parameters": ours["total_parameters"],
        "updates": ours["steps"],
        "tokens_seen": ours["tokens_seen"],
        "seconds": {"model": ours["wall_s"], "peers": peers},
        "config": config,
    }
    if any(path.suffix == ".abc" for path in folder.rglob("*")):
        real = [check(text.decode()) for text in heldout]
        figures["heldout_tunes"] = {
            "parse": sum(report.parses for report in real) / len(real),
            "bars_fit": sum(report.bars_fit for report in real) / len(real),
        }
        figures["written"] = [written(run, samples, temperature, seed) for temperature in (1.0, 0.8)]
    return figures


def table(figures: dict[str, Any]) -> str:
    sizes, bits = figures["documents"], figures["bits_per_byte"]
    lines = [
        f"{sizes['train']} documents to train on, {figures['bytes']['train']:,} bytes",
        f"{sizes['heldout']} held out, {figures['bytes']['heldout']:,} bytes",
        f"model: {figures['parameters']:,} parameters, {figures['updates']} updates, {figures['tokens_seen']:,} tokens",
        f"{figures['seconds']['model']:.0f} s",
        "",
        "held-out bits a byte",
        f"  model                       {bits['model']:.3f}",
        f"  xz behind the training      {bits['primed_xz']:.3f}",
        f"  Kneser–Ney, order {figures['kneser_ney_order']}         {bits['kneser_ney']:.3f}",
    ]
    if "written" in figures:
        real = figures["heldout_tunes"]
        lines += ["", f"held-out tunes: {real['parse']:.0%} parse, the bars of {real['bars_fit']:.0%} fit the metre"]
        for said in figures["written"]:
            lines.append(
                f"{said['tunes']} written at temperature {said['temperature']}: {said['parse']:.1%} parse, bars of "
                f"{said['bars_fit']:.1%} fit, {said['ended']:.0%} end by themselves, {said['distinct']:.0%} distinct, "
                f"{said['copies']:.1%} copies of a tune in the data"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.abc", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the files")
    parser.add_argument(
        "--out", type=Path, help="the run directory to make or go on with; default: one that is removed"
    )
    parser.add_argument("--samples", type=int, default=200, help="tunes to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another setting of pretrain")
    parser.add_argument("--quick", action="store_true", help="a small model and few updates: shows that it works")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    config = RECIPE | (QUICK if given.quick else {})
    for each in given.set:
        name, _, value = each.partition("=")
        try:
            config[name] = json.loads(value)
        except ValueError:
            config[name] = value
    samples = min(given.samples, 20) if given.quick else given.samples
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(given.data, given.out or Path(folder) / "run", config, samples=samples, seed=given.seed)
    print(json.dumps(figures) if given.json else table(figures))


if __name__ == "__main__":
    main()
