"""Our side of bench.ppo: the method `ppo`, on a run directory of its own. Takes a Task as JSON."""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bench.ppo_task import (
    ALPHA,
    ANSWER,
    EPISODES,
    EPOCHS,
    EPSILON,
    KL_COEF,
    RANK,
    SIZES,
    Meter,
    Task,
    static_megabytes,
    write_inputs,
)


def main() -> None:
    task = Task.read(sys.argv[1])
    torch.set_num_threads(task.threads)
    from training.engine.__main__ import run
    from training.engine.methods.ppo import train as ppo
    from training.engine.methods.ppo.actors import Actors

    meter = Meter(task.warm)
    size = SIZES[task.size]
    made: list[Any] = []

    def scripted(_prompts: Sequence[Any], answers: Sequence[str]) -> list[float]:
        rows = [list(map(int, answer.split())) for answer in answers]
        return [sum(token < size.wanted for token in row) / len(row) for row in rows]

    def method(ctx: Any) -> None:
        tell, learn = ctx.event, ppo.learn

        def event(step: int, **numbers: Any) -> None:
            tell(step, **numbers)
            meter.mark()

        def learn_and_weigh(ctx: Any, actors: Actors, optimizer: torch.optim.Optimizer, *others: Any) -> Any:
            found = learn(ctx, actors, optimizer, *others)
            modules = [actors.model, actors.critic, *filter(None, [actors.frozen])]
            weights = [one for module in modules for one in [*module.parameters(), *module.buffers()]]
            made.append(static_megabytes(weights, optimizer))
            return found

        ctx.event, ppo.learn = event, learn_and_weigh
        ppo.train(ctx, scripted)

    config = {
        "tune": {"kind": "all"} if task.tune == "full" else {"kind": "lora", "rank": RANK, "alpha": ALPHA},
        "precision": {"no": "fp32", "bf16": "bf16"}[task.precision],
        "updates": task.updates,
        "episodes": EPISODES,
        "max_tokens": ANSWER,
        "epochs": EPOCHS,
        "minibatches": task.minibatches,
        "micro_batch": task.at_once,
        "kl_coef": KL_COEF,
        "lr": task.lr,
        "schedule": "constant",
        "epsilon": EPSILON,
        "sample_prompts": 0,
        "heldout_prompts": 0,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, size)
        inputs = {"base": [str(folder / "model")], "dataset": str(folder / "prompts.jsonl")}
        order = {"method": "ppo", "config": config, "inputs": inputs, "seed": task.seed}
        (folder / "run").mkdir()
        (folder / "run" / "run.json").write_text(json.dumps(order))
        if run(folder / "run", method=method, without=["reward_model"]):
            raise SystemExit((folder / "run" / "status.json").read_text())
        told = [json.loads(line) for line in (folder / "run" / "events.jsonl").open()]
    told = [event for event in told if "reward" in event]
    meter.report(static=made[0], reward=[event["reward"] for event in told], kl=[event["kl"] for event in told])


if __name__ == "__main__":
    main()
