"""From a score to what is learned from: normalized, clipped, less the price of length and of no end. And which settings go together."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from models_registry.lm.generate import Output
from training.engine import contract
from training.engine.messages import Failed
from training.engine.methods import config_of
from training.engine.methods.ppo.ema import Average
from training.engine.methods.ppo.scoring import Earned, Together

Config = config_of("ppo")
SCORES = torch.tensor([1.0, -2.0, 0.5, 4.0])
LENGTHS = [3, 12, 8, 20]


def outputs(*reasons: str) -> list[Output]:
    reasons = reasons or ("eos",) * len(LENGTHS)
    return [Output("", list(range(n)), [], reason, 0, 0) for n, reason in zip(LENGTHS, reasons, strict=True)]


def earned(*updates: torch.Tensor, written: list[Output] | None = None, **config: object) -> list[float]:
    """What the answers of the last of these updates earn."""
    earn = Earned(Config(**config))
    for scores in updates or (SCORES,):
        found = earn(scores, written or outputs())
    return found.tolist()


def test_a_score_is_earned_as_it_is():
    assert earned() == SCORES.tolist()


def test_an_answer_that_was_cut_is_fined_and_one_that_met_a_stop_text_is_not():
    written = outputs("eos", "stop", "length", "length")
    assert earned(written=written, missing_eos_penalty=2.0) == [1.0, -2.0, -1.5, 2.0]


def test_every_token_beyond_the_free_ones_costs():
    assert earned(length_penalty=0.5) == [1 - 1.5, -2 - 6, 0.5 - 4, 4 - 10]
    assert earned(length_penalty=0.5, length_free=10) == [1, -2 - 1, 0.5, 4 - 5]


def test_scores_are_clipped_before_penalties_are_taken():
    assert earned(score_clip=1.5) == [1, -1.5, 0.5, 1.5]
    assert earned(score_clip=1.5, length_penalty=1.0, length_free=19) == [1, -1.5, 0.5, 0.5]


@pytest.mark.parametrize("how", ["scale", "standardize"])
def test_scores_are_normalized_by_all_scores_so_far(how):
    later = SCORES * 3 + 5
    seen = np.concatenate([SCORES.numpy(), later.numpy()]).astype(np.float64)
    mean = seen.mean() if how == "standardize" else 0.0
    expected = (later.numpy() - mean) / seen.std()
    assert earned(SCORES, later, normalize_scores=how) == pytest.approx(expected.tolist(), rel=1e-6)
    clipped = np.clip(expected, -1, 1) - 0.25 * np.array(LENGTHS)
    assert earned(SCORES, later, normalize_scores=how, score_clip=1.0, length_penalty=0.25) == pytest.approx(
        clipped.tolist(), rel=1e-6
    )


def test_scores_that_are_all_the_same_are_no_division_by_zero():
    same = torch.full((4,), 2.0)
    assert earned(same, normalize_scores="scale") == [2.0] * 4
    assert earned(same, normalize_scores="standardize") == [0.0] * 4


def test_what_was_seen_goes_through_a_checkpoint():
    first, second = Earned(Config(normalize_scores="standardize")), Earned(Config(normalize_scores="standardize"))
    first(SCORES, outputs())
    second.restore(first.state())
    assert first(SCORES * 2, outputs()).tolist() == second(SCORES * 2, outputs()).tolist()


def test_several_functions_are_one_and_tell_of_each():
    together = Together([lambda _p, texts: [len(t) for t in texts], lambda _p, texts: [1.0 for _ in texts]], [], 0.5)
    assert together(["", ""], ["abc", "a"]) == [2 - 0.5 * 1, 1.0]
    assert together.told == {"reward_1": 2.0, "reward_2": 1.0, "reward_spread": 0.5}
    with pytest.raises(Failed, match="one finite number for each of 2 answers"):
        Together([lambda _p, _t: [1.0], lambda _p, _t: [1.0, 2.0]], [], 0.0)(["", ""], ["a", "b"])


def test_a_prompt_fits_where_every_judge_can_see_it():
    class Short:
        def __call__(self, prompts, texts):
            return [0.0] * len(texts)

        def fits(self, prompt):
            return len(prompt) < 5

    together = Together([Short(), lambda _p, texts: [0.0] * len(texts)], [], 0.0)
    assert together.fits("four")
    assert not together.fits("much longer")


def test_the_average_is_that_of_its_slow_twin(tmp_path):
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)
    layer.bias.requires_grad_(False)
    moving = {"weight": layer.weight}
    optimizer = torch.optim.AdamW(moving.values(), lr=0.1)
    average = Average(moving, 0.9, optimizer)
    twin = layer.weight.detach().double().clone()
    for _step in range(5):
        layer(torch.randn(4, 3)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        twin = 0.9 * twin + 0.1 * layer.weight.detach().double()
    average.save(tmp_path)
    assert load_file(tmp_path / "average.safetensors").keys() == {"weight"}
    last = layer.weight.detach().clone()
    again = Average(moving, 0.9, optimizer)
    again.load(tmp_path)
    texts = torch.randn(4, 3)
    loss = layer(layer(texts) @ torch.ones(2, 3)).square().sum()
    (expected,) = torch.autograd.grad(loss, layer.weight, retain_graph=True)
    with again.in_place():
        assert torch.allclose(layer.weight.double(), twin, atol=1e-7)
        assert not torch.allclose(layer.weight, last)
    assert torch.equal(layer.weight, last)
    loss.backward()  # of what was computed before, as if nothing had been in between
    assert torch.equal(layer.weight.grad, expected)


def ids(config: dict, *inputs: str) -> list[str]:
    checked, problems = contract.check_config("ppo", config)
    return [problem.id for problem in problems or checked.problems(set(inputs))]


ONE = ("base", "dataset", "reward_model")
TWO = (*ONE, "reward_model_3")


@pytest.mark.parametrize(
    ("config", "inputs", "expected"),
    [
        ({}, ONE, []),
        ({}, TWO, []),
        ({"reward_weights": [2.0, 1.0], "reward_caution": 1.0}, TWO, []),
        ({"reward_weights": [2.0]}, TWO, ["weights-do-not-fit"]),
        ({"reward_weights": [0.0, 0.0]}, TWO, ["weights-all-zero"]),
        ({"reward_caution": 1.0}, ONE, []),  # it may have several heads: the run looks
        ({"reward_caution": 1.0, "reward_weights": [-1.0]}, ONE, ["caution-negative-weight"]),
        ({"reward_caution": 1.0, "reward_function": "rewards.short"}, ONE[:2], ["functions-off", "caution-of-one"]),
        ({"reward_caution": 1.0, "reward_weights": [1.0, -1.0]}, TWO, ["caution-negative-weight"]),
        ({"ptx_coef": 1.0}, ONE, ["no-pretraining"]),
        ({"ptx_coef": 1.0}, (*ONE, "pretraining"), []),
        ({}, (*ONE, "pretraining"), ["pretraining-unused"]),
        ({"reward_function": "os.system"}, ONE, ["functions-off"]),
        ({"reward_function": "os.system; rm"}, ONE, ["string-pattern-mismatch"]),
        ({"dual_clip": 1.0}, ONE, ["greater-than"]),
        ({"ema_decay": 1.0}, ONE, ["less-than"]),
    ],
)
def test_settings_and_inputs_that_do_not_go_together_are_named(config, inputs, expected, monkeypatch):
    monkeypatch.delenv("PERINGKAT_REWARD_FUNCTIONS", raising=False)
    assert ids(config, *inputs) == expected


def test_only_the_functions_that_the_environment_names_can_be_called(monkeypatch):
    monkeypatch.setenv("PERINGKAT_REWARD_FUNCTIONS", "rewards.polite, rewards.short")
    assert ids({"reward_function": "rewards.short"}, "base", "dataset") == []
    assert ids({"reward_function": "rewards"}, *ONE) == ["string-pattern-mismatch"]
    assert ids({"reward_function": "rewards.polite.real"}, *ONE) == ["function-not-allowed"]
    assert ids({"reward_function": "os.system"}, *ONE) == ["function-not-allowed"]
