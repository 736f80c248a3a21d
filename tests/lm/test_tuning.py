"""What moves, kind by kind and architecture by architecture: no effect at first, gradients only where they belong, saved alone, back again."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from models_registry.lm import inspect
from models_registry.lm.chain import adapter_off, load, using
from models_registry.lm.generate import generate
from models_registry.lm.heads import into_classes, into_reward
from models_registry.lm.score import logprobs
from models_registry.lm.tuning.apply import apply, counts, save, trained_parameters
from models_registry.lm.tuning.config import (
    Tune,
    TuneAll,
    TuneFourier,
    TuneHead,
    TuneIA3,
    TuneLastLayers,
    TuneLokr,
    TuneLora,
    TuneOft,
    TuneParallel,
    TunePrefix,
    TuneSerial,
    TuneSoftPrompt,
    TuneVera,
    result_kind,
)
from models_registry.lm.tuning.size import moving_parameters
from training.engine.loop import adamw
from training.engine.methods.finetune.config import Config

from . import tiny

LAYERED: list[Tune] = [
    TuneSerial(size=4),
    TuneParallel(size=4, scaling=4.0),
    TuneLora(rank=2),
    TuneIA3(),
    TuneVera(rank=16),
    TuneFourier(frequencies=20),
]
LINEAR_ONLY: list[Tune] = [TuneLokr(rank=4), TuneOft(block_size=8)]  # PEFT does not know them on GPT-2's layers
VARIANTS: list[Tune] = [
    TuneSerial(places="mlp", reduction=8, activation="gelu", learned_scaling=True, scaling=0.5),
    TuneParallel(places="attention", size=3, activation="tanh"),
    TuneLora(rank=4, variant="rslora"),
    TuneLora(rank=2, variant="dora"),
    TuneLora(rank=2, target="mlp"),
]
LEADING: list[Tune] = [TunePrefix(length=3), TuneSoftPrompt(length=5)]
FULL: list[Tune] = [TuneLastLayers(n=1), TuneHead()]


def name(tune: Tune) -> str:
    return "-".join([tune.kind, *(str(value) for key, value in tune if key in ("places", "variant"))])


def small(*groups: list[Tune]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("tune", [tune for group in groups for tune in group], ids=name)


def cases(*groups: list[Tune]) -> pytest.MarkDecorator:
    """Each kind on each architecture that can take it; variants of a kind on one."""
    found = []
    for group in groups:
        shapes = ["llama"] if group is VARIANTS else ["llama", "qwen2"] if group is LINEAR_ONLY else tiny.SHAPES
        found += [pytest.param(shape, tune, id=f"{shape}-{name(tune)}") for tune in group for shape in shapes]
    return pytest.mark.parametrize(("shape", "tune"), found)


def shake(loaded, seed: int = 0, std: float = 0.2) -> None:
    """What training does to what moves: anything."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in trained_parameters(loaded).values():
            parameter.add_(torch.randn_like(parameter) * std)


@pytest.mark.slow
@cases(LAYERED, LINEAR_ONLY, VARIANTS, FULL)
def test_nothing_changes_before_the_first_step(shape, tune, folders):
    before = tiny.logits(load([folders[shape]]))
    now = tiny.logits(load([folders[shape]], trainable=tune))
    exact = not (tune.kind == "lora" and tune.variant == "dora")  # DoRA divides by a norm and multiplies by it again
    torch.testing.assert_close(now, before, rtol=0, atol=0 if exact else 1e-5)


@pytest.mark.slow
@cases(LAYERED, LINEAR_ONLY, VARIANTS, LEADING)
def test_saved_and_loaded_it_gives_the_same_numbers_and_switched_off_the_bases(shape, tune, folders, tmp_path):
    base = tiny.logits(load([folders[shape]]))
    loaded = load([folders[shape]], trainable=tune)
    shake(loaded)
    tuned = tiny.logits(loaded)
    assert (tuned - base).abs().max() > 0.01
    with adapter_off(loaded):
        assert torch.equal(tiny.logits(loaded), base)
    assert torch.equal(tiny.logits(loaded), tuned)
    save(loaded, tmp_path / "saved")
    again = load([folders[shape], tmp_path / "saved"])
    torch.testing.assert_close(tiny.logits(again), tuned, rtol=0, atol=1e-6)
    assert not trained_parameters(again)
    with using(again, ()):
        assert torch.equal(tiny.logits(again), base)


@pytest.mark.slow
@cases(LAYERED, LINEAR_ONLY, VARIANTS, LEADING)
def test_only_what_is_trained_has_gradients_state_and_a_place_in_the_folder(shape, tune, folders, tmp_path):
    loaded = load([folders[shape]], trainable=tune)
    shake(loaded)
    moving = trained_parameters(loaded)
    assert moving
    ids = torch.tensor([loaded.tokenizer("The cat met the fox")["input_ids"]])
    loaded.model(input_ids=ids, labels=ids).loss.backward()
    with_gradients = {name for name, p in loaded.model.named_parameters() if p.grad is not None}
    assert with_gradients == set(moving)
    optimizer = adamw(Config(), moving)
    optimizer.step()
    assert sum(state["exp_avg"].numel() for state in optimizer.state.values()) == counts(loaded)[0]
    save(loaded, tmp_path / "saved")
    about = inspect.describe(tmp_path / "saved")
    assert (about.kind, about.problems, about.files_refused) == (result_kind(tune), [], [])
    assert about.parameters == counts(loaded)[0] == sum(p.numel() for p in moving.values())
    assert {path.name for path in (tmp_path / "saved").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    assert str(tmp_path.parent) not in (tmp_path / "saved" / "adapter_config.json").read_text()


@pytest.mark.slow
@cases(LAYERED[2:], LINEAR_ONLY, VARIANTS[2:4])
def test_folded_into_the_weights_it_gives_the_same(shape, tune, folders, tmp_path):
    loaded = load([folders[shape]], trainable=tune)
    shake(loaded)
    tuned = tiny.logits(loaded)
    save(loaded, tmp_path / "saved")
    chain = [folders[shape], tmp_path / "saved"]
    save(load(chain, trainable=TuneAll()), tmp_path / "whole")
    torch.testing.assert_close(tiny.logits(load([tmp_path / "whole"])), tuned, rtol=1e-4, atol=1e-4)


@small(LINEAR_ONLY)
def test_what_peft_cannot_put_on_a_layer_is_told(tune, folders):
    with pytest.raises(ValueError, match=f"cannot put {tune.kind}"):
        load([folders["gpt2"]], trainable=tune)


@cases(FULL)
def test_what_does_not_move_is_saved_bit_for_bit(shape, tune, folders, tmp_path):
    base = load([folders[shape]])
    loaded = load([folders[shape]], trainable=tune)
    shake(loaded)
    tuned = tiny.logits(loaded)
    save(loaded, tmp_path / "saved")
    assert inspect.describe(tmp_path / "saved").kind == result_kind(tune) == "full"
    torch.testing.assert_close(tiny.logits(load([tmp_path / "saved"])), tuned, rtol=0, atol=0)
    before = {**base.model.state_dict()}  # with the output layer, also where it is tied and not in the file
    after = load_file(tmp_path / "saved" / "model.safetensors")
    changed = {key for key, tensor in after.items() if not torch.equal(tensor, before[key])}
    assert changed == set(trained_parameters(loaded))
    assert "lm_head.weight" in changed
    assert not any("embed_tokens" in key or "wte" in key for key in changed)
    if tune.kind == "head":
        assert changed == {"lm_head.weight"}
    else:
        assert not any(f"{part}.0." in key for key in changed for part in ("layers", "h"))
        assert any(f"{part}.1." in key for key in changed for part in ("layers", "h"))
        assert any(key.endswith(("model.norm.weight", "ln_f.weight")) for key in changed)


def test_a_full_result_is_one_that_transformers_loads_itself(folders, tmp_path):
    loaded = load([folders["qwen2"]], trainable=TuneHead())  # tied before, apart now
    shake(loaded)
    save(loaded, tmp_path / "saved")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    assert not model.config.tie_word_embeddings
    ids = torch.tensor([loaded.tokenizer("The cat met the fox")["input_ids"]])
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=ids).logits[0], tiny.logits(loaded))


@small(FULL)
@pytest.mark.parametrize(
    "make", [lambda m: into_reward(m, seed=0), lambda m: into_classes(m, ["a", "b", "c"], seed=0)]
)
def test_with_a_score_head_that_head_moves(tune, make, folders):
    loaded = load([folders["llama"]])
    make(loaded)
    apply(loaded, tune)
    names = set(trained_parameters(loaded))
    assert "score.weight" in names
    assert not any("embed" in name for name in names)
    if tune.kind == "head":
        assert names == {"score.weight"}


def test_more_layers_than_there_are_is_refused(folders):
    with pytest.raises(ValueError, match="2 blocks"):
        load([folders["llama"]], trainable=TuneLastLayers(n=3))


@pytest.mark.slow
@cases(LAYERED[2:], LINEAR_ONLY, VARIANTS[2:], LEADING)
def test_peft_loads_the_folder_and_gives_the_same_numbers(shape, tune, folders, tmp_path):
    loaded = load([folders[shape]], trainable=tune)
    shake(loaded)
    save(loaded, tmp_path / "saved")
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folders[shape]), tmp_path / "saved").eval()
    ids = torch.tensor([loaded.tokenizer("The cat met the fox")["input_ids"]])
    with torch.no_grad():
        theirs = model(input_ids=ids).logits[0, -ids.shape[1] :]
    torch.testing.assert_close(theirs, tiny.logits(loaded), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Unexpected keyword arguments")  # PEFT does not know `labels`, and says so
@pytest.mark.parametrize("tune", [TuneSerial(size=4), TuneLora(rank=2), TuneIA3(), *LEADING], ids=name)
@pytest.mark.parametrize("shape", tiny.SHAPES)
def test_a_head_is_saved_with_what_was_trained_and_its_labels_with_it(shape, tune, folders, tmp_path):
    loaded = load([folders[shape]])
    into_classes(loaded, ["bad", "so-so", "good"], seed=1)
    apply(loaded, tune)
    shake(loaded)
    ids = torch.tensor([loaded.tokenizer("The cat met the fox")["input_ids"]])

    def classes(model) -> torch.Tensor:
        with torch.no_grad():
            return model(input_ids=ids).logits[0]

    ours = classes(loaded.model)
    save(loaded, tmp_path / "saved")
    about = inspect.describe(tmp_path / "saved")
    assert (about.kind, about.head, about.outputs) == (result_kind(tune), "classes", 3)
    assert about.labels == ("bad", "so-so", "good")
    again = load([folders[shape], tmp_path / "saved"])
    assert (again.head, again.labels) == ("classes", ("bad", "so-so", "good"))
    again.model.config.pad_token_id = loaded.model.config.pad_token_id
    torch.testing.assert_close(classes(again.model), ours, rtol=0, atol=1e-6)
    if tune.kind != "serial":
        base = AutoModelForSequenceClassification.from_pretrained(folders[shape], num_labels=3)
        base.config.pad_token_id = loaded.model.config.pad_token_id
        theirs = PeftModel.from_pretrained(base, tmp_path / "saved").eval()
        torch.testing.assert_close(classes(theirs), ours, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("shape", tiny.SHAPES)
@small([TuneSerial(size=4), TuneIA3()], LEADING)
def test_writing_and_scoring_are_those_of_each_text_alone(shape, tune, folders):
    """Greedy text with a cache and a padded batch against whole forwards of one text; log-probabilities likewise."""
    loaded = load([folders[shape]], trainable=tune)
    shake(loaded)
    prompts = ["The", "Where is the fox? It sleeps", "Kucing itu bertemu"]
    outputs = generate(loaded, prompts, max_tokens=12, temperature=0)
    for prompt, output in zip(prompts, outputs, strict=True):
        ids = loaded.tokenizer(prompt)["input_ids"]
        for place, token in enumerate(output.token_ids):
            with torch.no_grad():
                found = loaded.model(input_ids=torch.tensor([ids + output.token_ids[:place]])).logits[0, -1]
            assert int(found.argmax()) == token
            assert found.log_softmax(-1)[token].item() == pytest.approx(output.logprobs[place], abs=1e-4)
    pairs = list(zip(prompts, [" met", " it", " anjing dan kucing"], strict=True))
    together = logprobs(loaded, pairs)
    for row, pair in zip(together, pairs, strict=True):
        assert row == pytest.approx(logprobs(loaded, [pair])[0], abs=1e-4)


DORA = TuneLora(rank=2, variant="dora")
# Each on top of those before it; what one does may hang on what lies below.
STACKS: list[list[Tune]] = [
    [TuneLora(rank=2), TuneIA3(), TuneLora(rank=3, target="mlp")],
    [TuneLora(rank=2), DORA, TuneLora(rank=3)],
    [TuneIA3(), DORA],
    [DORA, TuneOft(block_size=8)],
    [TuneOft(block_size=8), TuneOft(block_size=4)],
    [TuneLora(rank=2, target="mlp"), TuneVera(rank=8), TuneVera(rank=16)],
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "stack"),
    [
        pytest.param(shape, stack, id="-".join([shape, *map(name, stack)]))
        for stack in STACKS
        for shape in ("llama", "gpt2")
        if shape != "gpt2" or not any(tune.kind == "oft" for tune in stack)  # PEFT does not know it on GPT-2's layers
    ],
)
def test_a_stack_of_adapters_gives_the_same_saved_and_loaded_and_folded_into_the_weights(
    shape, stack, folders, tmp_path
):
    """In the very order in which they lie on one another."""
    chain = [folders[shape]]
    for number, tune in enumerate(stack):
        below = tiny.logits(load(chain))
        loaded = load(chain, trainable=tune)
        torch.testing.assert_close(tiny.logits(loaded), below, rtol=0, atol=1e-5)
        shake(loaded, seed=number)
        with adapter_off(loaded):
            assert torch.equal(tiny.logits(loaded), below)
        save(loaded, tmp_path / f"link{number}")
        chain.append(tmp_path / f"link{number}")
        torch.testing.assert_close(tiny.logits(load(chain)), tiny.logits(loaded), rtol=0, atol=1e-5)
    stacked = tiny.logits(load(chain))
    loaded = load(chain, trainable=TuneLastLayers(n=1))
    torch.testing.assert_close(tiny.logits(loaded), stacked, rtol=1e-4, atol=1e-4)
    save(loaded, tmp_path / "whole")
    torch.testing.assert_close(tiny.logits(load([tmp_path / "whole"])), stacked, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("below", "reason"), [(TuneSerial(size=4), "not linear"), (LEADING[0], "prefix"), (LEADING[1], "soft prompt")]
)
@small([TuneAll()], FULL[:1])
def test_what_cannot_be_folded_in_is_told(tune, below, reason, folders, tmp_path):
    save(load([folders["llama"]], trainable=below), tmp_path / "below")
    loaded = load([folders["llama"], tmp_path / "below"])
    before = tiny.logits(loaded)
    with pytest.raises(ValueError, match=f"{reason}.*cannot be merged"):
        apply(loaded, tune)
    assert torch.equal(tiny.logits(loaded), before)


@pytest.mark.slow
@small(LAYERED, LINEAR_ONLY, LEADING)
def test_the_base_folder_is_not_touched(tune, folders, tmp_path):
    def digest(folder: Path) -> dict[str, str]:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}

    before = digest(folders["llama"])
    loaded = load([folders["llama"]], trainable=tune)
    still = {key: p.detach().clone() for key, p in loaded.model.named_parameters() if not p.requires_grad}
    ids = torch.tensor([loaded.tokenizer("The cat met the fox")["input_ids"]])
    optimizer = adamw(Config(), trained_parameters(loaded))
    for _ in range(3):
        loaded.model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    now = dict(loaded.model.named_parameters())
    assert all(torch.equal(now[key], tensor) for key, tensor in still.items())
    save(loaded, tmp_path / "saved")
    assert digest(folders["llama"]) == before


@pytest.mark.slow
@small(LAYERED, LINEAR_ONLY, LEADING)
def test_it_is_computed_in_bf16_too(tune, folders):
    loaded = load([folders["llama"]], trainable=tune)
    shake(loaded, std=0.05)
    expected = tiny.logits(loaded)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = tiny.logits(loaded)
    assert found.float().isfinite().all()
    assert (found.float() - expected).norm() < 0.1 * expected.norm()
    half = load([folders["llama"]], dtype=torch.bfloat16, trainable=tune)
    assert tiny.logits(half).float().isfinite().all()


# Per block of the tiny Llama: hidden 32, keys and values 16, MLP 48. As docs/adapters.md tells it.
LINEARS = [(32, 32), (32, 16), (32, 16), (32, 32), (32, 48), (32, 48), (48, 32)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tune", "count"),
    [
        (TuneSerial(size=4), 2 * 2 * (2 * 32 * 4 + 4 + 32)),
        (TuneParallel(places="mlp", size=4, learned_scaling=True), 2 * (2 * 32 * 4 + 4 + 32 + 1)),
        (TuneLora(rank=3), 2 * sum(3 * (i + o) for i, o in LINEARS)),
        (TuneLora(rank=3, variant="dora"), 2 * sum(3 * (i + o) + o for i, o in LINEARS)),
        (TuneIA3(), 2 * (16 + 16 + 48)),
        (TuneVera(rank=8), 2 * sum(8 + o for _i, o in LINEARS)),
        (TuneOft(block_size=8), 2 * sum(i * (8 - 1) // 2 for i, _o in LINEARS)),
        (TuneFourier(frequencies=20), 2 * len(LINEARS) * 20),
        (TunePrefix(length=3), 3 * 2 * 2 * 16),
        (TuneSoftPrompt(length=5), 5 * 32),
        (TuneHead(), 300 * 32),
    ],
    ids=lambda value: name(value) if not isinstance(value, int) else "",
)
def test_how_many_parameters_move(tune, count, folders):
    assert counts(load([folders["llama"]], trainable=tune))[0] == count


@pytest.mark.slow
@cases(LAYERED, LINEAR_ONLY, VARIANTS, LEADING, FULL, [TuneAll()])
def test_how_many_would_move_is_told_without_loading_any_weights(shape, tune, folders):
    moved = counts(load([folders[shape]], trainable=tune))[0]
    told = moving_parameters(folders[shape], tune)
    if tune.kind in ("all", "head", "lora", "fourier", "soft_prompt") and getattr(tune, "variant", "") != "dora":
        assert told == moved
    else:  # some hang on more than the sizes of the layers
        assert moved * 0.9 <= told <= 10 * moved


def test_kinds_and_their_results():
    assert {tune.kind: result_kind(tune) for tune in [TuneAll(), *FULL, *LAYERED, *LINEAR_ONLY, *LEADING]} == {
        "all": "full", "last_layers": "full", "head": "full", "serial": "adapter", "parallel": "adapter", "lora": "adapter",
        "ia3": "adapter", "vera": "adapter", "fourier": "adapter", "lokr": "adapter", "oft": "adapter", "prefix": "adapter", "soft_prompt": "soft_prompt",
    }  # fmt: skip


@pytest.mark.slow
def test_the_config_of_an_adapter_is_the_same_bytes_every_time(folders, tmp_path):
    for tune in [*LAYERED, *LINEAR_ONLY, *LEADING]:
        texts = []
        for number in (1, 2):
            torch.manual_seed(0)
            save(load([folders["llama"]], trainable=tune), tmp_path / f"{tune.kind}{number}")
            folder = tmp_path / f"{tune.kind}{number}"
            texts.append(
                (folder / "adapter_config.json").read_bytes() + (folder / "adapter_model.safetensors").read_bytes()
            )
        assert texts[0] == texts[1]
        assert (
            json.loads((tmp_path / f"{tune.kind}1" / "adapter_config.json").read_text())["base_model_name_or_path"]
            is None
        )
