"""Writes a run's curves and samples as TensorBoard events: `python -m training.tfevents RUN_DIR FOLDER`. Knows no Django."""

import json
import sys
from pathlib import Path

from training import reading


def main(run_dir: Path, folder: Path) -> None:
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder))
    for point in reading.points(run_dir):
        for name, value in point.numbers.items():
            if value is not None:
                # "train/loss" and "heldout/loss" lie beside each other there.
                group, _, rest = name.partition("_") if name.startswith("heldout_") else ("train", "", name)
                writer.add_scalar(f"{group}/{rest}", value, point.step, walltime=point.t)
    for sample in reading.events(run_dir).samples:
        text = f"{sample.get('prompt', '')}\n\n{sample.get('text', '')}"
        writer.add_text(f"samples/{sample.get('slot', 0)}", text, sample.get("step", 0), walltime=sample.get("t"))
    if (run_dir / "run.json").is_file():
        order = json.loads((run_dir / "run.json").read_text("utf-8"))
        writer.add_text("config", f"```json\n{json.dumps(order['config'], indent=1)}\n```", 0)
    writer.close()
    for path in folder.glob("events.out.tfevents.*"):  # its name holds the machine's
        path.rename(path.with_name(".".join([*path.name.split(".")[:4], "peringkat"])))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
