"""Sharing a prompt among its completions changes neither scores nor gradients; where it would, the probe says so."""

import copy
import json

import pytest
import torch
from peft import LoraConfig, get_peft_model

from models_registry.lm.heads import Scale, last_real, read_scale, score_head, to_reward, write_scale
from models_registry.lm.packed import Group, probe, scores

from .tiny import VOCABULARY, causal_lm

SHAPES = ["llama", "gpt2", "qwen2"]


def some_groups(
    seed: int = 0, prompt: tuple[int, int] = (3, 15), completion: tuple[int, int] = (1, 12)
) -> list[Group]:
    """Unequal numbers and lengths; one ends in the pad token of GPT-2, one completion is empty, one prompt is."""
    random = torch.Generator().manual_seed(seed)

    def ids(low: int, high: int) -> list[int]:
        length = int(torch.randint(low, high + 1, (), generator=random))
        return torch.randint(3, VOCABULARY, (length,), generator=random).tolist()

    groups = [Group(ids(*prompt), [ids(*completion) for _ in range(k)]) for k in (4, 2, 9)]
    groups.append(Group(ids(*prompt), [[*ids(*completion), 2, 2], [], [0, 0]]))
    groups.append(Group([], [ids(*completion), ids(*completion)]))
    return groups


@pytest.fixture(params=SHAPES)
def reward_model(request):
    return to_reward(causal_lm(request.param), seed=3)


@pytest.mark.parametrize(("way", "attention"), [("flat", "sdpa"), ("masked", "sdpa"), ("masked", "eager")])
def test_shared_scores_and_gradients_equal_separate_ones(reward_model, way, attention):
    reward_model.set_attn_implementation(attention)
    groups = some_groups()
    completions = sum(len(group.completions) for group in groups)
    direction = torch.randn(completions, generator=torch.Generator().manual_seed(5))
    gradients = []
    found = []
    for each in (way, "separate"):
        reward_model.zero_grad()
        values = scores(reward_model, groups, each)
        (values * direction).sum().backward()
        found.append(values.detach())
        gradients.append({name: p.grad.clone() for name, p in reward_model.named_parameters()})
    assert found[0].std() > 0.1
    assert torch.allclose(found[0], found[1], atol=1e-5, rtol=1e-5)
    for name, gradient in gradients[0].items():
        scale = max(1.0, float(gradients[1][name].abs().max()))
        assert float((gradient - gradients[1][name]).abs().max()) <= 1e-5 * scale, name


def test_a_group_scores_as_it_would_alone(reward_model):
    """Neither its neighbours in the batch nor its own other completions change a completion's score."""
    groups = some_groups()
    together = scores(reward_model, groups, "flat")
    alone = [
        scores(reward_model, [Group(group.prompt, [completion])])
        for group in groups
        for completion in group.completions
    ]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_scores_are_those_of_transformers_at_the_last_real_token(reward_model):
    """Against the model's own forward, one text at a time without padding, so that its guess from the pad id cannot go wrong."""
    groups = some_groups()
    reward_model.config.pad_token_id = None
    expected = [
        reward_model(input_ids=torch.tensor([[*group.prompt, *completion]])).logits.item()
        for group in groups
        for completion in group.completions
    ]
    assert scores(reward_model, groups, "flat").tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_probe_accepts_what_agrees(shape):
    found = probe(to_reward(causal_lm(shape), seed=0), some_groups())
    assert found.way == "flat"
    assert found.difference < 1e-5


def test_a_model_that_wants_a_mask_gets_one():
    model = to_reward(causal_lm("llama"), seed=0)
    forward = model.base_model.forward

    def wants_a_mask(*args, attention_mask, **kwargs):
        return forward(*args, attention_mask=attention_mask.clone(), **kwargs)

    model.base_model.forward = wants_a_mask
    assert probe(model, some_groups()).way == "masked"


def test_scored_without_gradients_first_the_same_rows_can_be_learned_from(reward_model):
    """Nothing that was made in inference mode is used again."""
    groups = some_groups()
    with torch.inference_mode():
        first = scores(reward_model, groups, "flat")
    second = scores(reward_model, groups, "flat")
    second.sum().backward()
    assert torch.allclose(first, second.detach(), atol=1e-6)


def test_the_probe_finds_a_sliding_window_where_it_matters_and_only_there():
    model = to_reward(causal_lm("mistral"), seed=0)  # a window of 8 tokens
    long = probe(model, some_groups(prompt=(10, 15)))
    assert not long.shares
    assert long.difference > 1e-3
    assert probe(model, some_groups(prompt=(1, 3), completion=(1, 4))[:3]).shares


def test_the_probe_reports_a_model_that_refuses_the_mask():
    model = to_reward(causal_lm("llama"), seed=0)
    forward = model.base_model.forward

    def only_flat_masks(*args, attention_mask, **kwargs):
        if attention_mask.ndim != 2:
            raise ValueError("attention_mask must be (batch, T)")
        return forward(*args, attention_mask=attention_mask, **kwargs)

    model.base_model.forward = only_flat_masks
    found = probe(model, some_groups())
    assert not found.shares
    assert found.difference is None
    assert "attention_mask must be (batch, T)" in found.reason


def test_a_reward_model_stands_on_the_same_trunk_and_its_start_is_repeatable():
    model = causal_lm("qwen2")
    weights = copy.deepcopy(model.state_dict())
    reward = to_reward(model, seed=7)
    assert reward.base_model is model.model
    assert torch.equal(reward.score.weight, to_reward(causal_lm("qwen2"), seed=7).score.weight)
    assert not torch.equal(reward.score.weight, to_reward(causal_lm("qwen2"), seed=8).score.weight)
    assert all(torch.equal(weights[name], p) for name, p in model.state_dict().items())


def test_a_reward_model_survives_saving_and_loading(tmp_path, reward_model):
    groups = some_groups()
    reward_model.save_pretrained(tmp_path)
    write_scale(tmp_path, Scale(mean=0.5, std=2.0))
    loaded = type(reward_model).from_pretrained(tmp_path).eval()
    assert torch.allclose(scores(loaded, groups, "flat"), scores(reward_model, groups, "flat"), atol=1e-6)
    assert read_scale(tmp_path).apply(torch.tensor([0.5, 2.5])).tolist() == [0.0, 1.0]
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == [type(reward_model).__name__]


def test_a_folder_without_a_scale_leaves_scores_as_they_are(tmp_path):
    assert read_scale(tmp_path) == Scale(0.0, 1.0)


@pytest.mark.parametrize("shape", SHAPES)
def test_scoring_goes_through_an_adapter_and_its_own_head(shape):
    model = to_reward(causal_lm(shape), seed=0)
    plain = scores(model, some_groups(), "flat").detach()
    targets = ["c_attn"] if shape == "gpt2" else ["q_proj", "v_proj"]
    get_peft_model(
        model, LoraConfig(task_type="SEQ_CLS", r=2, target_modules=targets, fan_in_fan_out=shape == "gpt2")
    ).eval()
    assert torch.allclose(scores(model, some_groups(), "flat"), plain, atol=1e-6)  # LoRA starts without effect
    scores(model, some_groups(), "flat").sum().backward()
    moving = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert any("lora_B" in name for name in moving)
    assert any("score.modules_to_save" in name for name in moving)
    assert score_head(model)(torch.ones(1, 32)).shape == (1, 1)


def test_a_model_without_a_score_head_is_refused():
    with pytest.raises(ValueError, match="no score head"):
        score_head(causal_lm("llama"))


def test_a_group_is_cut_at_the_start_of_its_prompt_and_only_then_at_the_end_of_a_completion():
    group = Group([1, 2, 3, 4, 5], [[6, 7, 8], [9]])
    assert group.cut(8) == group.cut(None) == group
    assert group.cut(5) == Group([4, 5], [[6, 7, 8], [9]])
    assert group.cut(2) == Group([], [[6, 7], [9]])


def test_the_last_real_token_is_found_with_padding_on_either_side():
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 1, 1], [0, 1, 1, 0]])
    assert last_real(mask).tolist() == [1, 3, 3, 2]
