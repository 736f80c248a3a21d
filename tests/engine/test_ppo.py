"""PPO on real tiny models: exact at its start, better at its end, the same whether or not it was interrupted."""

import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from models_registry.lm import inspect
from models_registry.lm.chain import load
from models_registry.lm.generate import generate
from models_registry.lm.score import padded
from models_registry.lm.tuning.apply import apply
from models_registry.lm.tuning.config import TuneAll, TuneLora
from training.engine.methods import config_of
from training.engine.methods.ppo.actors import Actors
from training.engine.methods.ppo.kept import folder_of, policies
from training.engine.methods.ppo.train import taken, train

from . import runs
from .ppo_runs import ALL, LORA, QUICK, metrics, notes, updates
from .tiny import VOCABULARY, causal_lm

pytestmark = pytest.mark.slow  # each trains a model, if a tiny one


def train_here(folder: Path, reward_fn: Callable) -> int:
    """What a Python caller with a reward function of their own does; returns the exit code."""
    return runs.go(folder, method=lambda ctx: train(ctx, reward_fn=reward_fn), without=["reward_model"])


@pytest.mark.parametrize("config", [{"tune": ALL}, {"tune": LORA}, {"tune": LORA, "critic": "separate"}])
def test_at_the_start_ratio_is_one_and_kl_and_clip_fraction_are_zero(config, ppo_run):
    folder = ppo_run(**config, updates=1, micro_batch=3)
    assert runs.go(folder) == 0
    first = updates(folder)[0]
    assert first["ratio_start"] == pytest.approx(1, abs=1e-6)
    assert first["clip_fraction_start"] == 0
    assert first["kl"] == pytest.approx(0, abs=1e-6)
    assert first["explained_variance"] == 0  # the critic starts by expecting 0 everywhere
    assert notes(folder)[0] == "start-agrees"
    assert first["ratio"] != 1  # and then it moved


def test_the_start_is_measured_against_the_chain_and_not_its_root(ppo_run, pretrained, prompts, tmp_path):
    """A base that is itself an adapter: KL is 0 at the start although the chain is far from its root."""
    sft = runs.write_rows(tmp_path / "sft.jsonl", runs.questions())
    tuned = runs.write_run(
        tmp_path / "tuned",
        "finetune",
        {"max_steps": 20, "batch_size": 8, "lr": 1e-2, "tune": LORA},
        {"base": [str(pretrained / "output")], "dataset": str(sft)},
    )
    assert runs.go(tuned) == 0
    folder = ppo_run(base=[tuned / "output"], tune=LORA, updates=2)
    assert runs.go(folder) == 0
    assert updates(folder)[0]["kl"] == pytest.approx(0, abs=1e-6)
    root, start, end = (
        load([pretrained / "output", *more])
        for more in ([], [tuned / "output"], [tuned / "output", folder / "output"])
    )
    samples = [generate(model, ["The cat met"], max_tokens=12, seed=5, samples=4) for model in (root, start, end)]
    assert [o.text for o in samples[0]] != [o.text for o in samples[1]]
    assert inspect.describe(folder / "output").kind == "adapter"
    assert end.adapters == ("link1", "link2")


@pytest.mark.parametrize("shape", ["llama", "gpt2", "qwen2"])
@pytest.mark.parametrize("tune", [TuneAll(), TuneLora(rank=2)])
def test_policy_reference_and_a_plain_forward_agree(shape, tune, tmp_path, pretrained):
    """Left-padded prompts of unequal lengths, answers of unequal lengths, several architectures; then the policy moves alone."""
    loaded = load([pretrained / "output"])
    loaded.model = causal_lm(shape).requires_grad_(False)
    apply(loaded, tune)
    actors = Actors(loaded, separate_critic=False)
    torch.manual_seed(3)
    ids = [torch.randint(3, VOCABULARY, (n,)).tolist() for n in (2, 7, 4, 5, 1, 9)]
    rows = list(zip(ids[:3], ids[3:], strict=True))
    batch = padded([p for p, _c in rows], [c for _p, c in rows], torch.device("cpu"))
    temperature = 0.7
    judged = actors.judge(batch, temperature=temperature)
    before = judged.logprobs.detach()
    reference = actors.reference_logprobs(batch, temperature=temperature)
    for row, (prompt, completion) in enumerate(rows):
        logits = loaded.model(torch.tensor([[*prompt, *completion]])).logits[0, len(prompt) - 1 : -1] / temperature
        expected = torch.log_softmax(logits, -1)
        n = len(completion)
        assert torch.allclose(before[row, :n], expected[torch.arange(n), torch.tensor(completion)], atol=1e-5)
        assert torch.allclose(reference[row, :n], before[row, :n], atol=1e-5)
        entropy = -(expected.exp() * expected).sum(-1)
        assert torch.allclose(judged.entropy[row, :n].detach(), entropy, atol=1e-4)
    assert (judged.values == 0).all()

    (judged.logprobs.sum() + judged.values.sum()).backward()
    with torch.no_grad():
        for parameter in actors.parameters().values():
            parameter.sub_(0.5 * parameter.grad)
    assert torch.allclose(actors.reference_logprobs(batch, temperature=temperature), reference, atol=1e-6)
    moved = actors.judge(batch, temperature=temperature)
    assert not torch.allclose(moved.logprobs, before, atol=1e-3)
    assert not torch.allclose(moved.values, judged.values, atol=1e-3)


def test_values_are_those_of_the_state_before_each_token(pretrained):
    """A separate critic of random weights, against its trunk run over the text up to each token."""
    loaded = load([pretrained / "output"])
    loaded.model = causal_lm("llama").requires_grad_(False)
    apply(loaded, TuneLora(rank=2))
    actors = Actors(loaded, separate_critic=True)
    with torch.no_grad():
        for parameter in actors.critic.parameters():
            if parameter.requires_grad:
                parameter.normal_(generator=torch.Generator().manual_seed(0))
    prompt, completion = [5, 6, 7], [8, 9, 10]
    batch = padded([prompt, [4]], [completion, [11, 12, 13, 14]], torch.device("cpu"))
    values = actors.judge(batch, temperature=1.0).values
    for t in range(3):
        ids = torch.tensor([[*prompt, *completion[:t]]])
        hidden = actors.critic["trunk"](input_ids=ids).last_hidden_state[0, -1]
        assert values[0, t].item() == pytest.approx(actors.critic["head"](hidden).item(), abs=1e-4)
    assert values[0, :3].std() > 0.01


def test_a_separate_critic_with_an_adapter_copies_only_what_moves(pretrained):
    loaded = load([pretrained / "output"])
    apply(loaded, TuneLora(rank=2))
    actors = Actors(loaded, separate_critic=True)
    trunk = dict(actors.critic["trunk"].named_parameters())
    for name, parameter in loaded.model.base_model.named_parameters():
        assert (trunk[name] is parameter) is (not parameter.requires_grad), name


def test_rows_of_a_batch_are_cut_to_what_they_need():
    batch = padded([[1, 2, 3, 4], [5], [6, 7]], [[8], [9, 10, 11], [12, 13]], torch.device("cpu"))
    cut, width = taken(batch, torch.tensor([1, 2]))
    assert width == 3
    assert cut.ids.tolist() == [[0, 5, 9, 10, 11], [6, 7, 12, 13, 0]]
    assert cut.mask.tolist() == [[0, 1, 1, 1, 1], [1, 1, 1, 1, 0]]
    assert cut.completion_mask.tolist() == [[1, 1, 1], [1, 1, 0]]


@pytest.mark.slow
@pytest.mark.parametrize(("tune", "lr"), [(ALL, 2e-3), ({"kind": "lora", "rank": 16, "alpha": 16}, 1e-2)])
def test_it_learns_what_a_python_function_rewards(tune, lr, ppo_run):
    """The letter o, counted by a function: the result writes more of it on prompts it has not seen."""
    folder = ppo_run(tune=tune, updates=20, episodes=32, lr=lr, kl_coef=0.05, heldout_prompts=9)
    calls = []

    def round_letters(asked: Sequence[str], answers: Sequence[str]) -> list[float]:
        calls.append((asked, answers))
        return [answer.count("o") / 2 - 1 for answer in answers]

    assert train_here(folder, round_letters) == 0
    found = metrics(folder)
    assert found["reward"] > found["reward_start"] + 0.3
    assert found["win_rate"] > 0.6
    assert found["win_rate_low"] < found["win_rate"] < found["win_rate_high"] + 1e-9
    assert found["kl"] > 0.1
    assert found["heldout_prompts"] == 9 == found["wins"] + found["ties"] + found["losses"]
    assert all(asked[0].startswith("The ") and len(asked) == len(answers) for asked, answers in calls)
    numbers = updates(folder)
    assert numbers[-1]["reward"] > numbers[0]["reward"]
    assert max(event["explained_variance"] for event in numbers) > 0.05
    assert numbers[-1]["episodes"] == 20 * 32

    pairs = [json.loads(line) for line in (folder / "samples.jsonl").open()]
    assert len(pairs) == 9
    assert all(pair["reward_after"] == pair["after"].count("o") / 2 - 1 for pair in pairs)
    shown = [event for event in runs.events(folder) if event.get("kind") == "sample"]
    assert {event["slot"] for event in shown} == {0, 1, 2, 3}
    assert {event["step"] for event in shown} == {0, *range(2, 21, 2)}


def test_it_runs_from_the_command_line_against_a_reward_model(ppo_run, judge):
    folder = ppo_run(tune=ALL)
    code, said = runs.ended(runs.start(folder))
    assert code == 0, said
    status = runs.status(folder)
    assert status["state"] == "complete"
    assert status["trained_parameters"] == status["total_parameters"] > 0
    assert status["tokens_seen"] > 0
    about = inspect.describe(folder / "output")
    assert (about.kind, about.head) == ("full", "lm")
    assert {"reward", "kl", "win_rate", "loss_under_base", "distinct_across"} <= set(metrics(folder))


def test_untouched_weights_stay_bit_identical_under_an_adapter(ppo_run, pretrained):
    folder = ppo_run(tune=LORA)
    before = load_file(pretrained / "output" / "model.safetensors")
    assert runs.go(folder) == 0
    assert sorted(path.name for path in (folder / "output").glob("*.safetensors")) == ["adapter_model.safetensors"]
    after = load_file(pretrained / "output" / "model.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_an_answer_without_an_end_is_fined(ppo_run):
    """The same run with the penalty: the reward that is shown stays, the returns that are learned from do not."""
    folders = [ppo_run(name, tune=ALL, updates=2, missing_eos_penalty=fine) for name, fine in (("a", 0.0), ("b", 3.0))]
    assert [runs.go(folder) for folder in folders] == [0, 0]
    plain, fined = (updates(folder) for folder in folders)
    assert plain[0]["eos_rate"] < 1
    assert plain[0]["reward"] == fined[0]["reward"]
    assert plain[0]["value_loss"] < fined[0]["value_loss"]


def test_the_adaptive_controller_moves_beta(ppo_run):
    folder = ppo_run(tune=ALL, updates=4, lr=3e-3, kl_coef=0.01, kl_target=0.05, kl_horizon=100)
    assert runs.go(folder) == 0
    betas = [event["beta"] for event in updates(folder)]
    assert betas[0] == 0.01
    assert betas[1] < betas[0]  # KL was 0, below its target
    assert metrics(folder)["beta"] > betas[1]  # and then above it


@pytest.mark.parametrize("bad", [[float("nan")] * 16, [0.0] * 15, ["good"] * 16, None])
def test_a_reward_function_that_gives_something_else_is_caught(bad, ppo_run):
    folder = ppo_run(sample_prompts=0)
    assert train_here(folder, lambda _asked, _answers: bad) == 1
    cause = runs.status(folder)["error"]["cause"]
    assert (cause["id"], cause["params"]["texts"]) == ("bad-scores", 16)
    assert cause["params"]["given"][:5] == repr(bad)[:5]


def test_prompts_that_do_not_fit_are_left_out_and_told(ppo_run, tmp_path, pretrained, judge):
    rows = [{"prompt": "The cat met the dog. " * n} for n in (1, 2, 40)]
    data = runs.write_rows(tmp_path / "prompts.jsonl", rows)
    inputs = {"base": [str(pretrained / "output")], "reward_model": [str(judge)], "dataset": str(data)}
    folder = runs.write_run(tmp_path / "some", "ppo", QUICK | {"updates": 1}, inputs)
    assert runs.go(folder) == 0
    assert {"prompts-too-long", "no-heldout-prompts"} <= set(notes(folder))
    assert "win_rate" not in metrics(folder)

    long_answers = QUICK | {"updates": 1, "max_tokens": 40}
    folder = runs.write_run(tmp_path / "judge", "ppo", long_answers, inputs)
    assert runs.go(folder) == 0
    left_out = [e["message"]["params"] for e in runs.events(folder) if e.get("kind") == "note"]
    assert left_out[0] == {"number": 1, "answer": 40}

    folder = runs.write_run(tmp_path / "none", "ppo", QUICK | {"max_prompt_tokens": 2}, inputs)
    assert runs.go(folder) == 2
    assert [problem["id"] for problem in runs.status(folder)["problems"]] == ["no-prompts"]
    folder = runs.write_run(tmp_path / "no-room", "ppo", QUICK | {"max_tokens": 64}, inputs)
    assert runs.go(folder) == 2
    assert [problem["id"] for problem in runs.status(folder)["problems"]] == ["no-room"]


def test_a_prompt_in_both_splits_is_not_trained_on(tmp_path, pretrained):
    rows = [{"prompt": "The cat met"}, {"prompt": "The dog met"}, {"prompt": "The cat met", "split": "heldout"}]
    data = runs.write_rows(tmp_path / "prompts.jsonl", rows)
    inputs = {"base": [str(pretrained / "output")], "dataset": str(data)}
    folder = runs.write_run(tmp_path / "run", "ppo", QUICK | {"updates": 1}, inputs)
    asked: list[set[str]] = []
    assert train_here(folder, lambda prompts, answers: asked.append(set(prompts)) or [0.0] * len(answers)) == 0
    assert asked == [{"The dog met"}, {"The cat met"}, {"The cat met"}]  # an update, then start and result compared
    assert "prompt-in-both" in notes(folder)


def test_without_a_reward_model_it_is_refused(tmp_path, pretrained, prompts):
    inputs = {"base": [str(pretrained / "output")], "dataset": str(prompts)}
    folder = runs.write_run(tmp_path / "run", "ppo", QUICK, inputs)
    assert runs.go(folder) == 2
    assert [problem["id"] for problem in runs.status(folder)["problems"]] == ["missing-input"]


def test_a_language_model_is_refused_as_the_reward_model(tmp_path, pretrained, prompts):
    model = [str(pretrained / "output")]
    inputs = {"base": model, "reward_model": model, "dataset": str(prompts)}
    folder = runs.write_run(tmp_path / "run", "ppo", QUICK, inputs)
    assert runs.go(folder) == 2
    assert "wrong-head" in [problem["id"] for problem in runs.status(folder)["problems"]]


def test_episodes_must_divide_into_minibatches():
    config = config_of("ppo")(episodes=10, minibatches=4)
    (problem,) = config.problems({"reward_model"})
    assert (problem.id, problem.params["field"]) == ("uneven-minibatches", "minibatches")


def test_smaller_micro_batches_give_the_same_update(ppo_run):
    folders = [
        ppo_run(name, tune=ALL, updates=2, micro_batch=size) for name, size in (("a", None), ("b", 3), ("c", 1))
    ]
    assert [runs.go(folder) for folder in folders] == [0, 0, 0]
    whole, thirds, singles = (load_file(folder / "output" / "model.safetensors") for folder in folders)
    for name, weight in whole.items():
        assert torch.allclose(weight, thirds[name], atol=2e-5), name
        assert torch.allclose(weight, singles[name], atol=2e-5), name


@pytest.mark.slow
@pytest.mark.parametrize(
    "config", [{"tune": ALL, "kl_target": 0.5, "kl_horizon": 200}, {"tune": LORA, "critic": "separate"}]
)
def test_stopped_and_resumed_is_the_same_as_never_stopped(config, ppo_run):
    """Policy, critic, optimizer, KL controller, random numbers and the place among the prompts: bit for bit."""
    config = QUICK | config | {"updates": 12, "lr": 3e-3}
    whole = ppo_run("whole", **config)
    assert runs.go(whole) == 0
    stopped = ppo_run("stopped", **config)
    for step in (2, 6):
        code, said = runs.ended(runs.start_and_signal(signal.SIGTERM, stopped, step, key="ratio"))
        assert code == 75, said
    assert runs.go(stopped) == 0
    assert [event["attempt"] for event in runs.events(stopped) if event.get("kind") == "attempt"] == [1, 2, 3]
    assert runs.weights(stopped) == runs.weights(whole)
    assert runs.curves(stopped) == runs.curves(whole)
    assert notes(stopped) == notes(whole)
    assert metrics(stopped) == metrics(whole)
    assert (stopped / "samples.jsonl").read_bytes() == (whole / "samples.jsonl").read_bytes()


@pytest.mark.parametrize("config", [{"tune": LORA, "lr": 3e-2}, {"tune": ALL, "lr": 1e-2}])
def test_policies_are_kept_that_wrote_what_the_curves_say_and_load_as_models(config, ppo_run, pretrained):
    folder = ppo_run(updates=6, kl_coef=0.0, **config)
    assert runs.go(folder) == 0
    found = policies(folder)
    assert found
    by_step = {numbers["step"]: numbers for numbers in updates(folder)}
    for policy in found:
        numbers = by_step[policy.step + 1]
        assert (policy.kl, policy.reward) == (numbers["kl"], numbers["reward"])
    place = folder_of(folder, found[-1].step)
    chain = [place] if config["tune"] == ALL else [pretrained / "output", place]
    assert inspect.describe(place).problems == []
    asked = ["The cat met the dog"]
    there, then = (
        generate(load(each), asked, max_tokens=8, seed=1)[0].text for each in (chain, [pretrained / "output"])
    )
    assert there != then
