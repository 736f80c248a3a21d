"""What makes PPO cheap computes the same: LoRA folded in, log-probabilities in parts, flat rows; and one base serves all roles."""

import json

import pytest
import torch
from torch import nn

from models_registry.lm.chain import load
from models_registry.lm.generate import generate_ids
from models_registry.lm.score import completion_logprobs, padded
from models_registry.lm.tuning.apply import apply, trained_parameters
from models_registry.lm.tuning.config import TuneAll, TuneLora, TuneSoftPrompt
from models_registry.lm.tuning.lean_lora import lean
from training.engine import chosen as chosen_file
from training.engine.chosen import chosen
from training.engine.methods.ppo.actors import Actors
from training.engine.methods.ppo.flat import flat

from . import runs
from .ppo_runs import ALL, LORA, metrics
from .tiny import VOCABULARY, causal_lm

IDS = torch.arange(30).view(2, 15) * 7 % VOCABULARY


def a_tuned(pretrained, tune, shape="llama"):
    loaded = load([pretrained / "output"])
    loaded.model = causal_lm(shape).requires_grad_(False)
    torch.manual_seed(1)
    apply(loaded, tune)
    with torch.no_grad():
        for parameter in trained_parameters(loaded).values():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return loaded.model.eval(), trained_parameters(loaded)


def gradients(model, parameters):
    found = torch.autograd.grad(model(IDS).logits.logsumexp(-1).square().sum(), list(parameters.values()))
    return dict(zip(parameters, found, strict=True))


@pytest.mark.parametrize("shape", ["llama", "qwen2"])
def test_lean_lora_computes_what_peft_computes(shape, pretrained):
    model, parameters = a_tuned(pretrained, TuneLora(rank=3, alpha=5.0), shape)
    expected, slopes = model(IDS).logits, gradients(model, parameters)
    lean(model)
    assert torch.allclose(model(IDS).logits, expected, atol=1e-5)
    with torch.no_grad():
        assert torch.allclose(model(IDS).logits, expected, atol=1e-5)
        assert torch.allclose(model(IDS[:1, :1]).logits, expected[:1, :1], atol=1e-5)
    for name, slope in gradients(model, parameters).items():
        assert torch.allclose(slope, slopes[name], rtol=1e-3, atol=1e-4 * float(slope.abs().max())), name
    projection = model.get_submodule("model.layers.0.self_attn.q_proj")
    assert "_forward" in projection.forward.__name__  # and it was our way that did so


def test_lean_lora_leaves_variants_to_peft(pretrained):
    model, _parameters = a_tuned(pretrained, TuneLora(rank=3, variant="dora"))
    expected = model(IDS).logits
    lean(model)
    assert torch.equal(model(IDS).logits, expected)


@pytest.mark.parametrize("moves", [True, False])
def test_log_probabilities_in_parts_equal_those_of_all_logits(moves, monkeypatch):
    monkeypatch.setattr(chosen_file, "CHUNK", 4)
    torch.manual_seed(0)
    head = nn.Linear(6, 11).requires_grad_(moves)
    states = torch.randn(10, 6, requires_grad=True)
    ids, weights = torch.randint(11, (10,)), torch.randn(10)
    logprobs, entropy = chosen(states, head, ids, temperature=0.7)
    plain = torch.log_softmax(head(states) / 0.7, -1)
    expected = plain[torch.arange(10), ids]
    assert torch.allclose(logprobs, expected, atol=1e-6)
    assert torch.allclose(entropy, -(plain.exp() * plain).sum(-1), atol=1e-6)
    wanted = [states, *head.parameters()] if moves else [states]
    slopes = torch.autograd.grad((logprobs * weights).sum(), wanted)
    for found, right in zip(slopes, torch.autograd.grad((expected * weights).sum(), wanted), strict=True):
        assert torch.allclose(found, right, atol=1e-6)


def test_a_flat_row_holds_each_text_once_and_nothing_between_them():
    given = padded([[1, 2, 3, 4], [5], [6, 7]], [[8], [9, 10, 11], [12, 13]], torch.device("cpu"))
    row = flat(given)
    assert row.ids.tolist() == [8, 9, 10, 11, 12, 13]
    assert row.batch.ids[row.places].tolist() == [4, 5, 9, 10, 7, 12]  # what each was drawn after
    assert row.batch.tokens == 4 + 3 + 3
    assert row.batch.positions.tolist()[:4] == [0, 1, 2, 3]


@pytest.mark.parametrize("tune", [TuneLora(rank=2), TuneAll(), TuneSoftPrompt(length=3)])
def test_padding_changes_nothing(tune, pretrained):
    """Texts of very unequal lengths together and each alone, in every way that the model can be gone through."""
    loaded = load([pretrained / "output"])
    apply(loaded, tune)
    actors = Actors(loaded, separate_critic=False)
    texts = [([3, 4, 5], [6, 7]), ([8], list(range(3, 33))), (list(range(5, 25)), [9])]
    together = actors.judge(padded(*map(list, zip(*texts, strict=True)), torch.device("cpu")), temperature=1.0)
    assert actors.way.together is not loaded.leads
    for number, (prompt, answer) in enumerate(texts):
        alone = completion_logprobs(loaded.model, padded([prompt], [answer], torch.device("cpu")))
        assert torch.allclose(together.logprobs[number, : len(answer)], alone[0], atol=1e-5)
        assert (together.logprobs[number, len(answer) :] == 0).all()


def test_what_was_written_has_the_log_probabilities_that_it_is_judged_by(pretrained):
    loaded = load([pretrained / "output"])
    apply(loaded, TuneLora(rank=2))
    actors = Actors(loaded, separate_critic=False)
    asked = [[5, 6, 7], [8], [9, 10, 11, 12, 13]]
    outputs = generate_ids(loaded, asked, max_tokens=20, seed=3)
    judged = actors.judge(padded(asked, [o.token_ids for o in outputs], torch.device("cpu")), temperature=1.0)
    for row, output in zip(judged.logprobs, outputs, strict=True):
        assert row[: len(output.logprobs)].tolist() == pytest.approx(output.logprobs, abs=1e-4)


def storages(model) -> dict[int, int]:
    return {p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in model.parameters()}


@pytest.mark.slow
@pytest.mark.parametrize("tune", [LORA, {"kind": "serial", "size": 4}, {"kind": "soft_prompt", "length": 2}, ALL])
def test_one_copy_of_the_base_serves_every_role(tune, ppo_run, pretrained, tmp_path, monkeypatch):
    """A reward model that is an adapter over the same root: beside the base there are only what moves, the heads and that adapter."""
    from training.engine.methods.ppo import scoring
    from training.engine.methods.ppo import train as ppo

    from . import rankings

    data = runs.write_rows(tmp_path / "rankings.jsonl", rankings.rows()[:40])
    config = {"lr": 3e-3, "epochs": 1, "batch_size": 8, "tune": LORA}
    inputs = {"base": [str(pretrained / "output")], "dataset": str(data)}
    judge_run = runs.write_run(tmp_path / "judge", "reward", config, inputs)
    assert runs.go(judge_run) == 0

    folder = ppo_run(tune=tune, updates=1)
    order = json.loads((folder / "run.json").read_text())
    order["inputs"]["reward_model"] = [str(pretrained / "output"), str(judge_run / "output")]
    (folder / "run.json").write_text(json.dumps(order))
    seen = []
    learn = ppo.learn

    def watching(ctx, actors, *others):
        seen.append(actors)
        return learn(ctx, actors, *others)

    judges = []
    by_model = scoring.ByModel

    def kept(judge, **options):
        judges.append(judge)
        return by_model(judge, **options)

    monkeypatch.setattr(ppo, "learn", watching)
    monkeypatch.setattr(scoring, "ByModel", kept)
    assert runs.go(folder) == 0
    [actors], [reward] = seen, judges
    base = {name: p.untyped_storage().data_ptr() for name, p in actors.unmoved.named_parameters()}
    trunk = [p for name, p in reward.model.named_parameters() if ".link" not in name and "score" not in name]
    assert trunk
    assert {p.untyped_storage().data_ptr() for p in trunk} <= set(base.values())

    models = [actors.model, reward.model, actors.critic, *([actors.frozen] if actors.frozen else [])]
    held = sum({key: size for model in models for key, size in storages(model).items()}.values())
    whole = 4 * sum(p.numel() for p in load([pretrained / "output"]).model.parameters())
    copies = 2 if tune == ALL else 1
    moving = 0 if tune == ALL else 4 * sum(p.numel() for p in trained_parameters(actors.loaded).values())
    own = 4 * sum(p.numel() for name, p in reward.model.named_parameters() if ".link" in name or "score" in name)
    critic = 4 * sum(p.numel() for p in actors.critic.parameters())
    assert held <= copies * whole + moving + own + critic
    assert metrics(folder)["memory_estimate"] == runs.status(folder)["memory_estimate"] > copies * whole


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "forwards"), [({"minibatches": 1}, 2), ({"minibatches": 2, "micro_batch": 4}, 4 + 7)]
)
def test_what_was_judged_of_the_first_part_is_not_computed_again(config, forwards, ppo_run, monkeypatch):
    """Of 16 answers in 2 passes: the parts of one pass before learning, the first of them with its gradients."""
    calls = []
    judge_of = Actors.judge
    monkeypatch.setattr(Actors, "judge", lambda *a, **k: calls.append(torch.is_grad_enabled()) or judge_of(*a, **k))
    folder = ppo_run(tune=LORA, updates=1, heldout_prompts=0, **config)
    assert runs.go(folder) == 0
    assert (len(calls), sum(calls)) == (forwards, 2 if forwards == 2 else 8)
    [numbers] = [event for event in runs.events(folder) if "ratio" in event]
    assert numbers["ratio_start"] == pytest.approx(1, abs=1e-7)
    assert (numbers["clip_fraction_start"], numbers["kl"]) == (0, pytest.approx(0, abs=1e-6))
    assert numbers["policy_loss_start"] == pytest.approx(0, abs=1e-6 if config["minibatches"] == 1 else 1)


@pytest.mark.slow
def test_no_forward_pass_takes_more_answers_than_the_run_says(ppo_run, monkeypatch):
    """Nor does the comparison at the end: memory would run out when all is done."""
    sizes = []
    judge_of = Actors.judge
    monkeypatch.setattr(
        Actors, "judge", lambda me, batch, **k: sizes.append(len(batch.ids)) or judge_of(me, batch, **k)
    )
    folder = ppo_run(tune=LORA, updates=1, micro_batch=3)
    assert runs.go(folder) == 0
    assert max(sizes) == 3
    assert sum(sizes) == 16 + 2 * 16 - 3 + 2 * metrics(folder)["heldout_prompts"]
