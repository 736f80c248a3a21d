"""Bottleneck adapters: what they compute, where they sit on any decoder, stacked, switched, and loaded where nothing of ours is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM

from models_registry.lm import bottleneck, bottleneck_loader
from models_registry.lm.blocks import blocks, final_norms, part, places
from models_registry.lm.chain import add_adapter, load, using
from models_registry.lm.heads import into_classes
from models_registry.lm.tuning.apply import apply, counts, save, trained_parameters
from models_registry.lm.tuning.config import TuneIA3, TuneLora, TuneParallel, TuneSerial, TuneSoftPrompt

from . import tiny
from .test_tuning import shake

# Decoders that differ in the names and the order of their parts. MoE, parallel residuals, loose layers.
ARCHITECTURES = {
    "mistral": {},
    "gemma2": {"head_dim": 8, "query_pre_attn_scalar": 8},
    "gemma3_text": {"head_dim": 8, "query_pre_attn_scalar": 8},
    "qwen3": {"head_dim": 8},
    "phi3": {"pad_token_id": 0},
    "olmo2": {},
    "gpt_neox": {},
    "falcon": {},
    "bloom": {},
    "gptj": {"rotary_dim": 4},
    "starcoder2": {},
    "mixtral": {"num_local_experts": 2},
    "gpt_bigcode": {},
}
SIZES = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64,
}  # fmt: skip


def some_model(model_type: str):
    own = AutoConfig.for_model(model_type).to_dict()
    sizes = {key: value for key, value in SIZES.items() if key in own}
    if model_type == "bloom":
        sizes |= {"hidden_size": 32, "n_layer": 2, "n_head": 4}
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(
        AutoConfig.for_model(model_type, **sizes | ARCHITECTURES[model_type])
    ).eval()


@pytest.mark.slow
@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_the_parts_of_a_decoder_are_found_without_knowing_it(model_type):
    model = some_model(model_type)
    assert len(blocks(model)) == 2
    for block in blocks(model):
        assert "ttention" in type(part(block, "attention")).__name__
        assert any(word in type(part(block, "mlp")).__name__ for word in ("MLP", "Moe", "MoE"))
    assert len(final_norms(model)) == 1
    ids = torch.arange(6)[None]
    with torch.no_grad():
        before = model(input_ids=ids).logits
    for tune in (TuneSerial(size=4), TuneParallel(size=4)):
        model = some_model(model_type)
        bottleneck.wrap(model, tune, "one")
        bottleneck_loader.use(model, ["one"])
        with torch.no_grad():
            assert torch.equal(model(input_ids=ids).logits, before)
            for module in model.modules():
                if isinstance(module, bottleneck_loader.Bottleneck):
                    module.up["weight"].normal_(std=0.5)
            assert (model(input_ids=ids).logits - before).abs().max() > 1e-3


def naive(adapter: bottleneck_loader.Bottleneck, states: torch.Tensor) -> torch.Tensor:
    """One token at a time, as the papers write it."""
    found = torch.empty_like(states)
    for row in range(states.shape[0]):
        for column in range(states.shape[1]):
            narrow = torch.relu(adapter.down["weight"] @ states[row, column] + adapter.down["bias"])
            found[row, column] = float(adapter.scaling) * (adapter.up["weight"] @ narrow + adapter.up["bias"])
    return found


@pytest.mark.parametrize("shape", tiny.SHAPES)
@pytest.mark.parametrize(
    "tune", [TuneSerial(size=4, scaling=0.5), TuneParallel(size=4, scaling=2.0, learned_scaling=True)]
)
def test_it_computes_what_the_papers_say(shape, tune, folders):
    """Serial reads what the layer gives, parallel what it is given; both add to what it gives."""
    loaded = load([folders[shape]], trainable=tune)
    shake(loaded)
    ids = torch.tensor([loaded.tokenizer("The cat met the fox")["input_ids"]])
    for _name, module in places(loaded.model, "both"):
        calls, outputs = [], []
        hooks = [
            module.register_forward_pre_hook(
                lambda _m, args, kwargs, c=calls: c.append((args, kwargs)), with_kwargs=True
            ),
            module.register_forward_hook(lambda _m, _args, output, o=outputs: o.append(first(output))),
        ]
        with torch.no_grad():
            loaded.model(input_ids=ids)
            for hook in hooks:
                hook.remove()
            [(args, kwargs)], [found] = calls, outputs
            adapter = module.bottlenecks.adapters["trained"]
            module.bottlenecks.active = ()
            alone = first(module(*args, **kwargs))
            module.bottlenecks.active = ("trained",)
            given = args[0] if args else kwargs["hidden_states"]
            expected = alone + naive(adapter, alone if tune.kind == "serial" else given)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def first(output):
    return output[0] if isinstance(output, tuple) else output


def test_where_it_sits_and_how_large_it_is(folders):
    """Per place 2 · hidden · size + size + hidden, and one for a learned scaling."""
    for tune, at, size in [
        (TuneSerial(places="both", reduction=4), {"self_attn", "mlp"}, 8),
        (TuneSerial(places="mlp", size=5), {"mlp"}, 5),
        (TuneParallel(places="attention", size=3, learned_scaling=True), {"self_attn"}, 3),
    ]:
        loaded = load([folders["llama"]], trainable=tune)
        names = trained_parameters(loaded)
        assert {name.split(".bottlenecks.")[0].rsplit(".", 1)[1] for name in names} == at
        each = 2 * 32 * size + size + 32 + int(tune.learned_scaling)
        assert counts(loaded)[0] == 2 * len(at) * each


@pytest.mark.slow
@pytest.mark.parametrize("shape", tiny.SHAPES)
def test_all_kinds_lie_on_one_another(shape, folders, tmp_path):
    """Trained one on the other; the chain loaded again gives the same, and with the upper ones off, what the lower ones gave."""
    chain = [folders[shape]]
    lower = [tiny.logits(load(chain))]
    tunes = [
        TuneSerial(size=3),
        TuneLora(rank=2),
        TuneParallel(size=2),
        TuneIA3(),
        TuneSoftPrompt(length=2),
        TuneSerial(size=2),
        TuneLora(rank=1),
    ]
    for number, tune in enumerate(tunes):
        loaded = load(chain, trainable=tune)
        if tune.kind != "soft_prompt":
            assert torch.equal(tiny.logits(loaded), lower[-1])
        shake(loaded, seed=number, std=0.1)
        lower.append(tiny.logits(loaded))
        chain.append(tmp_path / str(number))
        save(loaded, chain[-1])
    loaded = load(chain)
    for count, expected in enumerate(lower):
        with using(loaded, loaded.adapters[:count]):
            torch.testing.assert_close(tiny.logits(loaded), expected, rtol=0, atol=1e-5)


def test_several_over_one_base_are_switched_without_loading(folders, tmp_path):
    alone = {}
    loaded = load([folders["gpt2"]])
    base = tiny.logits(loaded)
    for number, tune in enumerate(
        [TuneSerial(size=3), TuneParallel(size=4), TuneLora(rank=2), TuneIA3(), TuneSoftPrompt(length=2)]
    ):
        made = load([folders["gpt2"]], trainable=tune)
        shake(made, seed=number)
        save(made, tmp_path / tune.kind)
        alone[tune.kind] = tiny.logits(made)
        add_adapter(loaded, tmp_path / tune.kind, tune.kind)
    assert torch.equal(tiny.logits(loaded), base)
    for kind in [*alone, *reversed(alone)]:
        with using(loaded, [kind]):
            torch.testing.assert_close(tiny.logits(loaded), alone[kind], rtol=0, atol=1e-6)
    assert torch.equal(tiny.logits(loaded), base)


@pytest.mark.slow
@pytest.mark.parametrize(
    "tune", [TuneSerial(size=2), TuneLora(rank=2), TuneSoftPrompt(length=2)], ids=lambda tune: tune.kind
)
def test_classifiers_of_different_classes_stand_over_one_base(tune, folders, tmp_path):
    """Each with its own head, as wide as it has labels, and its own names for them."""
    alone = {}
    for number, (name, labels) in enumerate({"two": ["a", "b"], "three": ["x", "y", "z"]}.items()):
        made = load([folders["llama"]])
        into_classes(made, labels, seed=number)
        apply(made, tune)
        shake(made, seed=number)
        save(made, tmp_path / name)
        alone[name] = (tuple(labels), tiny.logits(made))
    loaded = load([folders["llama"], tmp_path / "two"])
    loaded.model.config.pad_token_id = made.model.config.pad_token_id
    for name in alone:
        add_adapter(loaded, tmp_path / name, name)
    for taken in ("two", "1", "a.b"):
        with pytest.raises(ValueError, match="choose a name"):
            add_adapter(loaded, tmp_path / "two", taken)
    for name in ("two", "three", "two"):
        with using(loaded, [name]):
            labels, logits = alone[name]
            assert loaded.labels == labels
            torch.testing.assert_close(tiny.logits(loaded), logits, rtol=0, atol=1e-6)


ELSEWHERE = """
import importlib.util, json, sys, torch
assert importlib.util.find_spec("models_registry") is None
import bottleneck_loader
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
found = {}
for shape, base, ids in json.loads(sys.argv[1]):
    ids = torch.tensor([ids])
    model = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        before = model(input_ids=ids).logits
        bottleneck_loader.load(model, f"{shape}/serial")
        found[f"{shape} serial"] = model(input_ids=ids).logits
        bottleneck_loader.load(model, f"{shape}/parallel", "second")
        found[f"{shape} both"] = model(input_ids=ids).logits
        bottleneck_loader.use(model, ["second"])
        found[f"{shape} parallel"] = model(input_ids=ids).logits
        bottleneck_loader.use(model, [])
        assert torch.equal(model(input_ids=ids).logits, before)
        classifier = AutoModelForSequenceClassification.from_pretrained(base, num_labels=3)
        classifier.config.pad_token_id = 0
        bottleneck_loader.load(classifier, f"{shape}/classes")
        found[f"{shape} classes"] = classifier(input_ids=ids).logits
torch.save(found, "found.pt")
"""


@pytest.mark.slow
def test_the_loader_alone_gives_the_same_where_nothing_of_ours_is(folders, tmp_path):
    (tmp_path / "bottleneck_loader.py").write_bytes(Path(bottleneck_loader.__file__).read_bytes())
    (tmp_path / "elsewhere.py").write_text(ELSEWHERE)
    expected, given = {}, []
    for shape, base in folders.items():
        one, two, three = (tmp_path / shape / name for name in ("serial", "parallel", "classes"))
        for folder, tune in [
            (one, TuneSerial(size=4, activation="gelu")),
            (two, TuneParallel(size=3, learned_scaling=True)),
        ]:
            loaded = load([base], trainable=tune)
            shake(loaded)
            save(loaded, folder)
        classifier = load([base])
        into_classes(classifier, ["a", "b", "c"], seed=0)
        apply(classifier, TuneSerial(size=2))
        shake(classifier)
        save(classifier, three)
        ids = classifier.tokenizer("The cat met the fox")["input_ids"]
        given.append((shape, str(base), ids))
        expected |= {
            f"{shape} serial": tiny.logits(load([base, one])),
            f"{shape} parallel": tiny.logits(load([base, two])),
            f"{shape} both": tiny.logits(load([base, one, two])),
            f"{shape} classes": classifier.model(input_ids=torch.tensor([ids])).logits[0].detach(),
        }
    command = [sys.executable, "-P", "elsewhere.py", json.dumps(given)]
    subprocess.run(command, cwd=tmp_path, check=True, env={"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"})
    found = torch.load(tmp_path / "found.pt")
    assert found.keys() == expected.keys()
    for name, logits in expected.items():
        torch.testing.assert_close(found[name][0], logits, rtol=0, atol=1e-6)


def test_the_folder_is_as_documented(folders, tmp_path):
    save(load([folders["gpt2"]], trainable=TuneSerial(places="mlp", size=4, learned_scaling=True)), tmp_path / "saved")
    with safe_open(tmp_path / "saved" / "adapter_model.safetensors", "pt") as file:
        shapes = {key: tuple(file.get_tensor(key).shape) for key in file.keys()}  # noqa: SIM118
    assert shapes == {
        f"transformer.h.{block}.mlp.{key}": shape
        for block in (0, 1)
        for key, shape in {
            "down.weight": (4, 32), "down.bias": (4,), "up.weight": (32, 4), "up.bias": (32,), "scaling": (),
        }.items()
    }  # fmt: skip


def test_an_adapter_of_another_shape_is_refused(folders, tmp_path):
    save(load([folders["llama"]], trainable=TuneSerial(size=4)), tmp_path / "saved")
    with pytest.raises(ValueError, match="does not fit"):
        load([folders["gpt2"], tmp_path / "saved"])
    wide = tiny.folder(tmp_path / "wide", "llama", hidden_size=48)
    with pytest.raises(ValueError, match="hidden size of 32"):
        load([wide, tmp_path / "saved"])
    with pytest.raises(ValueError, match="does not fit"):
        bottleneck_loader.load(AutoModelForCausalLM.from_pretrained(folders["gpt2"]), tmp_path / "saved")
