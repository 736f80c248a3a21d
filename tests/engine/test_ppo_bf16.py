"""PPO where it computes in bf16, as it does by itself on a GPU: exact at its start, and what must not be rounded is not."""

import pytest
import torch

from models_registry.lm.chain import load
from training.engine import context, contract
from training.engine.context import Context
from training.engine.methods.ppo.actors import Actors
from training.engine.methods.ppo.scoring import ByModel, reward_of

from . import rankings, runs
from .ppo_runs import ALL, LORA, notes, updates

pytestmark = pytest.mark.slow  # each trains a model, if a tiny one


@pytest.fixture(autouse=True)
def bf16(monkeypatch):
    """Everywhere: a processor that does not compute in it gives the same numbers, but slowly."""
    monkeypatch.setattr(context, "_supports", lambda *_questions: True)


@pytest.mark.parametrize("config", [{"tune": ALL}, {"tune": LORA, "critic": "separate"}], ids=["all", "lora-separate"])
def test_it_starts_where_it_should_and_values_stay_in_fp32(config, ppo_run, monkeypatch):
    judged = []
    judge_of = Actors.judge
    monkeypatch.setattr(Actors, "judge", lambda *a, **k: judged.append(judge_of(*a, **k)) or judged[-1])
    folder = ppo_run(**config, precision="bf16", updates=2, micro_batch=3, heldout_prompts=4, lr=1e-2)
    assert runs.go(folder) == contract.COMPLETE
    assert runs.status(folder)["dtype"] == "bfloat16"
    first, second = updates(folder)
    assert (first["ratio_start"], first["clip_fraction_start"], first["kl"]) == (1, 0, 0)
    assert notes(folder)[0] == "start-agrees"
    assert second["kl"] > 0.01  # and then it moved
    assert {tensor.dtype for each in judged for tensor in each} == {torch.float32}
    values = torch.cat([each.values.flatten() for each in judged])
    assert not torch.equal(values, values.bfloat16().float())


@pytest.mark.parametrize(("heads", "caution"), [(1, 0.0), (3, 0.5)], ids=["one head", "several heads"])
def test_close_answers_are_told_apart_by_a_reward_model_that_shares_the_base(
    heads, caution, ppo_run, pretrained, tmp_path
):
    """Scores in bf16 would have three digits, and a copy of the base in bf16 would be one more."""
    data = runs.write_rows(tmp_path / "rankings.jsonl", rankings.rows())
    config = {"lr": 3e-3, "max_steps": 10, "batch_size": 8, "tune": LORA, "ensemble": heads}
    inputs = {"base": [str(pretrained / "output")], "dataset": str(data)}
    reward = runs.write_run(tmp_path / "reward", "reward", config, inputs)
    assert runs.go(reward) == contract.COMPLETE
    chain = [str(pretrained / "output"), str(reward / "output")]
    folder = ppo_run(precision="bf16", inputs={"reward_model": chain}, reward_caution=caution)
    pairs = list(dict.fromkeys((row["prompt"], text) for row in rankings.rows() for text in row["completions"]))

    def look(ctx: Context) -> None:
        found = reward_of(ctx)
        assert isinstance(found, ByModel)
        scores = torch.tensor(found(*zip(*pairs, strict=True)))
        exact = torch.tensor(ByModel(found.judge, answer=1, caution=caution)(*zip(*pairs, strict=True)))
        assert not torch.equal(scores, exact)  # it does compute in bf16
        assert torch.allclose(scores, exact, atol=0.2)
        assert len(set(scores.tolist())) > 0.9 * len(set(exact.tolist()))
        own = [p.numel() for name, p in found.judge.model.named_parameters() if ".link" in name or "score" in name]
        assert found.share(load(ctx.inputs["base"]).model) == sum(own)
        ctx.finish({})

    assert runs.go(folder, method=look) == contract.COMPLETE
