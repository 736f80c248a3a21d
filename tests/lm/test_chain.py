"""Chains: adapters on adapters, what moves and what does not, what is saved."""

import json

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from models_registry.lm.chain import adapter_off, add_adapter, load, using
from models_registry.lm.forget import forget
from models_registry.lm.tuning.apply import apply, counts, save, trained_parameters
from models_registry.lm.tuning.config import TuneAll, TuneLora, TuneVera

from . import tiny


@pytest.mark.slow
@pytest.mark.parametrize("shape", tiny.SHAPES)
def test_two_stacked_adapters_saved_and_loaded_give_the_same_numbers(shape, folders, tmp_path):
    base = folders[shape]
    first = tiny.adapter([base], tmp_path / "first", seed=1, rank=4)
    lower = tiny.logits(load([base, first]))
    loaded = load([base, first], trainable=TuneLora(rank=2, target="attention"))
    torch.testing.assert_close(tiny.logits(loaded), lower, rtol=0, atol=0)  # zero effect at step 0
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in trained_parameters(loaded).values():
            parameter.normal_(std=0.2)
    both = tiny.logits(loaded)
    assert (both - lower).abs().max() > 0.01
    with adapter_off(loaded):
        torch.testing.assert_close(tiny.logits(loaded), lower, rtol=0, atol=0)
    with using(loaded, ()):
        torch.testing.assert_close(tiny.logits(loaded), tiny.logits(load([base])), rtol=0, atol=0)
    save(loaded, tmp_path / "second")
    torch.testing.assert_close(tiny.logits(load([base, first, tmp_path / "second"])), both, rtol=0, atol=0)


def test_an_adapter_folder_is_one_that_peft_loads_itself(folders, tmp_path):
    saved = tiny.adapter([folders["llama"]], tmp_path / "adapter", seed=1)
    ours = tiny.logits(load([folders["llama"], saved]))
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folders["llama"]), saved)
    ids = torch.tensor([load([folders["llama"]]).tokenizer("The cat met the fox")["input_ids"]])
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=ids).logits[0], ours)


def test_an_adapter_folder_tells_nothing_of_this_machine(folders, tmp_path):
    saved = tiny.adapter([folders["llama"]], tmp_path / "adapter", seed=1)
    assert str(tmp_path.parent) not in (saved / "adapter_config.json").read_text()
    assert json.loads((saved / "adapter_config.json").read_text())["base_model_name_or_path"] is None


@pytest.mark.parametrize("shape", tiny.SHAPES)
def test_with_lora_only_the_new_adapter_moves(shape, folders, tmp_path):
    first = tiny.adapter([folders[shape]], tmp_path / "first", seed=1)
    loaded = load([folders[shape], first], trainable=TuneLora(rank=4))
    names = trained_parameters(loaded)
    assert names
    assert all("lora_" in name and ".trained." in name for name in names)
    trained, total = counts(loaded)
    assert trained == sum(p.numel() for p in names.values()) < total


def test_where_an_adapter_goes(folders):
    def layers(target: str) -> set[str]:
        loaded = load([folders["llama"]], trainable=TuneLora(target=target))
        return {name.split(".lora_")[0].rsplit(".", 1)[1] for name in trained_parameters(loaded)}

    attention, mlp = {"q_proj", "k_proj", "v_proj", "o_proj"}, {"gate_proj", "up_proj", "down_proj"}
    assert layers("attention") == attention
    assert layers("mlp") == mlp
    assert layers("all_linear") == attention | mlp


def test_moving_everything_folds_the_adapters_of_the_chain_in(folders, tmp_path):
    chain = [folders["llama"], tiny.adapter([folders["llama"]], tmp_path / "first", seed=1)]
    before = tiny.logits(load(chain))
    loaded = load(chain, trainable=TuneAll())
    torch.testing.assert_close(tiny.logits(loaded), before, rtol=1e-4, atol=1e-4)
    trained, total = counts(loaded)
    assert trained == total
    save(loaded, tmp_path / "whole")
    torch.testing.assert_close(tiny.logits(load([tmp_path / "whole"])), before, rtol=1e-4, atol=1e-4)


def test_a_loaded_chain_is_frozen(folders, tmp_path):
    loaded = load([folders["qwen2"], tiny.adapter([folders["qwen2"]], tmp_path / "first", seed=1)])
    assert not trained_parameters(loaded)
    assert not loaded.model.training
    with pytest.raises(ValueError, match="frozen copy"), adapter_off(loaded):
        pass


def test_an_adapter_for_another_model_is_refused(folders, tmp_path):
    saved = tiny.adapter([folders["llama"]], tmp_path / "adapter", seed=1)
    with pytest.raises(ValueError, match=r"target_modules|not fit|not found"):
        load([folders["gpt2"], saved])


def test_a_vera_that_is_forgotten_leaves_nothing_behind_and_what_lies_over_it_stays(folders, tmp_path):
    saved = {}
    for rank in (4, 8):
        loaded = load([folders["llama"]], trainable=TuneVera(rank=rank))
        with torch.no_grad():
            for parameter in trained_parameters(loaded).values():
                parameter.add_(0.1)
        save(loaded, saved.setdefault(rank, tmp_path / f"vera{rank}"))
    loaded = load([folders["llama"]])
    names = {id(module): name for name, module in loaded.model.named_modules()}
    for rank, folder in saved.items():
        add_adapter(loaded, folder, f"v{rank}")
    for rank, folder in saved.items():
        with using(loaded, [f"v{rank}"]):
            torch.testing.assert_close(tiny.logits(loaded), tiny.logits(load([folders["llama"], folder])))
    forget(loaded, "v4")
    with using(loaded, ["v8"]):
        torch.testing.assert_close(tiny.logits(loaded), tiny.logits(load([folders["llama"], saved[8]])))
    forget(loaded, "v8")
    assert {id(module): name for name, module in loaded.model.named_modules()} == names


def test_a_chain_must_begin_with_a_model(folders, tmp_path):
    saved = tiny.adapter([folders["llama"]], tmp_path / "adapter", seed=1)
    for chain in ([saved], [folders["llama"], folders["llama"]]):
        with pytest.raises(ValueError, match="full model"):
            load(chain)


def test_applying_twice_the_same_seed_gives_the_same_adapter(folders):
    def start() -> dict[str, torch.Tensor]:
        torch.manual_seed(5)
        loaded = load([folders["llama"]])
        apply(loaded, TuneLora())
        return {name: p.detach() for name, p in trained_parameters(loaded).items()}

    first, second = start(), start()
    assert all(torch.equal(first[name], second[name]) for name in first)
