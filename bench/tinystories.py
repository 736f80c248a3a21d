"""A pretrained story model on its own ground, and finetuned to a shift of style with each choice of what moves.

    python -m bench.tinystories --model FOLDER --stories FILE [--work FOLDER] [--only KIND …] [--quick] [--json]

FOLDER is a language model in Hugging Face layout (stories260K), FILE holds stories with <|endoftext|> between them. A tenth of the stories is held out, by a
hash of their text as data sets do it. First the model's held-out loss on all stories. Then the shift: stories in which someone speaks (a quotation
mark) are trained on as raw text by `finetune`, as many updates for every kind; held out are other such stories, and what is forgotten shows on held-out stories
without speech. Runs are run directories, every figure comes from the method `evaluate`. A run that is complete in the work folder is not run again.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from labeling.identity import HELDOUT, digest_of, split_of

TUNES: dict[str, dict[str, Any]] = {
    "all": {"tune": {"kind": "all"}, "lr": 1e-3},
    "last_layers": {"tune": {"kind": "last_layers", "n": 1}, "lr": 1e-3},
    "head": {"tune": {"kind": "head"}, "lr": 1e-3},
    "serial": {"tune": {"kind": "serial", "reduction": 4}, "lr": 3e-3},
    "parallel": {"tune": {"kind": "parallel", "reduction": 4}, "lr": 3e-3},
    "lora": {"tune": {"kind": "lora", "rank": 8, "alpha": 16}, "lr": 3e-3},
    "ia3": {"tune": {"kind": "ia3"}, "lr": 1e-2},
    "prefix": {"tune": {"kind": "prefix", "length": 10}, "lr": 1e-2},
    "soft_prompt": {"tune": {"kind": "soft_prompt", "length": 10, "init": "vocabulary"}, "lr": 1e-2},
}
COMMON = {"batch_size": 16, "epochs": 1000.0, "eval_rows": 50, "sample_tokens": 16}
JUDGED = 100  # held-out stories of each side, at most


def write(path: Path, stories: Iterable[str], *, most: dict[str, int]) -> Path:
    """A data set of stories with their splits, at most so many of each."""
    left = dict(most)
    with path.open("w", encoding="utf-8") as file:
        for story in stories:
            split = split_of(digest_of(story), 10)
            if left[split] > 0:
                left[split] -= 1
                file.write(json.dumps({"text": story, "split": split}, ensure_ascii=False) + "\n")
    return path


def carried_out(folder: Path, method: str, config: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
    """The metrics of a run of the engine, in this process, which has its libraries loaded already; with the run's wall time."""
    from training.engine.__main__ import run

    folder.mkdir(parents=True, exist_ok=True)
    order = {"method": method, "config": config, "inputs": inputs, "seed": 1}
    text = json.dumps(order, default=str)
    if not (folder / "run.json").exists() or (folder / "run.json").read_text() != text:
        (folder / "run.json").write_text(text)
    if code := run(folder):
        sys.exit(f"The run in {folder} ended with {code}.")
    status = json.loads((folder / "status.json").read_text())
    return json.loads((folder / "output" / "metrics.json").read_text()) | {"wall_s": status["wall_s"]}


def figure(metrics: dict[str, Any], name: str) -> dict[str, float]:
    return metrics["figures"][name]


def measure(model: Path, stories: Path, work: Path, kinds: list[str], *, quick: bool) -> dict[str, Any]:
    work.mkdir(parents=True, exist_ok=True)
    parts = (part.strip() for part in stories.read_text(encoding="utf-8").split("<|endoftext|>"))
    every = [part for part in parts if part]
    speech = [story for story in every if '"' in story]
    silent = [story for story in every if '"' not in story]
    judged = 10 if quick else JUDGED
    most = {"train": 10**9, HELDOUT: judged}
    everything = write(work / "all.jsonl", every, most={"train": 0, HELDOUT: 10**9 if not quick else judged})
    spoken = write(work / "speech.jsonl", speech, most=most)
    others = write(work / "silent.jsonl", silent, most={"train": 0, HELDOUT: judged})

    def loss(name: str, chain: list[Path], data: Path) -> dict[str, Any]:
        return carried_out(
            work / f"{name}-on-{data.stem}", "evaluate", {"resamples": 200}, {"base": chain, "dataset": data}
        )

    own = loss("base", [model], everything)
    before, before_others = (loss("base", [model], data) for data in (spoken, others))
    found: dict[str, Any] = {
        "stories": {"speech": len(speech), "without": len(silent)},
        "own": {name: figure(own, name) for name in ("loss", "perplexity", "bits_per_byte")},
        "updates": 3 if quick else 40,
        "base": {"speech": figure(before, "loss"), "others": figure(before_others, "loss")},
        "parameters": own["total_parameters"],
        "kinds": {},
    }
    for kind in kinds:
        config = COMMON | TUNES[kind] | {"max_steps": found["updates"]}
        run = work / kind
        made = carried_out(run, "finetune", config, {"base": [model], "dataset": spoken})
        output = run / "output"
        chain = [output] if (output / "model.safetensors").exists() else [model, output]
        after, after_others = (loss(kind, chain, data) for data in (spoken, others))
        kept = [path for path in output.iterdir() if path.suffix == ".safetensors"]
        found["kinds"][kind] = {
            "speech": figure(after, "loss"),
            "others": figure(after_others, "loss"),
            "trained_parameters": made["trained_parameters"],
            "bytes": sum(path.stat().st_size for path in kept),
            "seconds": made["wall_s"],
            "lr": config["lr"],
            "untouched": made.get("untouched"),
        }
    return found


def table(found: dict[str, Any]) -> str:
    own, base = found["own"], found["base"]
    lines = [
        f"held-out loss on {own['loss']['n']} stories of all kinds: {own['loss']['value']:.4f} nats a token, 95 % interval",
        f"{own['loss']['low']:.4f} to {own['loss']['high']:.4f}; {own['bits_per_byte']['value']:.4f} bits a byte",
        "",
        f"{found['updates']} updates of 16 stories with speech; held-out loss in nats a token",
        "",
        "| what moves | stories with speech | stories without | trained parameters | bytes | seconds |",
        "|---|---|---|---|---|---|",
        f"| nothing | {base['speech']['value']:.4f} | {base['others']['value']:.4f} | 0 | 0 | 0 |",
    ]
    for kind, one in found["kinds"].items():
        gain, lost = (one[side]["value"] - base[side]["value"] for side in ("speech", "others"))
        lines.append(
            f"| {kind} | {one['speech']['value']:.4f} ({gain:+.4f}) | {one['others']['value']:.4f} ({lost:+.4f}) | "
            f"{one['trained_parameters']:,} ({one['trained_parameters'] / found['parameters']:.1%}) | {one['bytes']:,} | "
            f"{one['seconds']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.tinystories", description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--stories", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="folder for the runs; default: one that is removed")
    parser.add_argument("--only", nargs="+", choices=list(TUNES), default=list(TUNES), metavar="KIND")
    parser.add_argument("--quick", action="store_true", help="few stories and updates: shows that it works")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = (given.work or Path(folder)).absolute()
        found = measure(given.model.absolute(), given.stories, work, given.only, quick=given.quick)
    print(json.dumps(found) if given.json else table(found))


if __name__ == "__main__":
    main()
