"""What settings, versions and data cannot do together is said in the form, before anything waits in the queue."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from models_registry.models import Head, Kind
from tests import factories
from training import actions
from training.models import Run

from . import make
from .test_actions import version

pytestmark = pytest.mark.django_db

BOTH = ("train", "heldout")


@pytest.fixture(autouse=True)
def store_of_its_own(settings, tmp_path):
    settings.ARTIFACTS = tmp_path  # what a version's folder holds is looked at here


def ranked(*rankings: str, splits: tuple[str, ...] = BOTH) -> list[dict]:
    return [
        {"prompt": "a", "completions": ["b", "c"], "ranking": ranking, "split": split}
        for ranking in rankings
        for split in splits
    ]


def refused(method: str, config: dict, **inputs: object) -> dict[str, list[str]]:
    """What is said, by field; nothing is queued."""
    with pytest.raises(actions.RunRefusal) as refusal:
        actions.create_run(actor=factories.admin(), method=method, config=config, inputs=inputs)
    assert not Run.objects.exists()
    return refusal.value.by_field


def queued(method: str, config: dict, **inputs: object) -> Run:
    return actions.create_run(actor=factories.admin(), method=method, config=config, inputs=inputs)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["all", "last_layers", "head"])
def test_weights_do_not_move_under_what_cannot_be_folded_into_them(kind):
    root = version("root")
    prompt = version("soft", kind=Kind.SOFT_PROMPT, parent=root, architecture="PROMPT_TUNING")
    on_it = version("low", kind=Kind.ADAPTER, parent=prompt, architecture="LORA")
    said = refused("finetune", {"tune": {"kind": kind}}, base=on_it, dataset=make.dataset())
    assert "soft:v1 is a soft prompt" in said["config.tune"][0]
    assert queued("finetune", {"tune": {"kind": kind}}, base=root, dataset=make.dataset())


@pytest.mark.parametrize("kind", ["prefix", "soft_prompt"])
def test_what_stands_in_front_leaves_room_for_the_text(kind):
    base = version("short", context_length=64)
    said = refused("finetune", {"tune": {"kind": kind, "length": 64}}, base=base, dataset=make.dataset())
    assert said == {
        "config.tune.length": ["short:v1 holds 64 tokens: 64 in front of every text leave no room for any."]
    }
    assert queued("finetune", {"tune": {"kind": kind, "length": 63}}, base=base, dataset=make.dataset())


def test_no_more_blocks_move_than_there_are():
    base = version("two")
    base.folder.mkdir(parents=True)
    (base.folder / "config.json").write_text('{"model_type": "gpt2", "n_layer": 2}')
    said = refused("finetune", {"tune": {"kind": "last_layers", "n": 3}}, base=base, dataset=make.dataset())
    assert said == {"config.tune.n": ["two:v1 has 2 blocks, so no 3 can move."]}
    assert queued("finetune", {"tune": {"kind": "last_layers", "n": 2}}, base=base, dataset=make.dataset())


@pytest.mark.parametrize("kind", ["lokr", "oft"])
def test_what_peft_cannot_put_on_gpt2_is_said_beforehand(kind):
    base = version("two")
    base.folder.mkdir(parents=True)
    (base.folder / "config.json").write_text('{"model_type": "gpt2", "n_layer": 2}')
    said = refused("finetune", {"tune": {"kind": kind}}, base=base, dataset=make.dataset())
    assert f"PEFT cannot put {kind} on this model's layers" in said["config.tune"][0]
    (base.folder / "config.json").write_text('{"model_type": "llama", "num_hidden_layers": 2}')
    assert queued("finetune", {"tune": {"kind": kind}}, base=base, dataset=make.dataset())


def test_no_more_waves_than_the_smallest_layer_has_weights():
    base = version("small")
    base.folder.mkdir(parents=True)
    shapes = {
        "model.embed_tokens": (5, 4),
        "model.layers.0.self_attn.k_proj": (4, 8),
        "model.layers.0.mlp.up_proj": (9, 8),
    }
    tensors = {f"{name}.weight": np.zeros(shape, dtype="float32") for name, shape in shapes.items()}
    save_file(tensors, base.folder / "model.safetensors")
    tune = {"kind": "fourier", "frequencies": 33}
    said = refused("finetune", {"tune": tune}, base=base, dataset=make.dataset())
    assert said == {
        "config.tune.frequencies": ["The smallest of these layers has 32 weights, so it cannot have 33 frequencies."]
    }
    assert queued("finetune", {"tune": tune | {"target": "mlp"}}, base=base, dataset=make.dataset())


def test_a_reward_model_needs_held_out_rankings():
    data = make.dataset("rankings", ranked("A > B", splits=("train",)), "Votes")
    said = refused("reward", {}, base=version(), dataset=data)
    assert "No ranking of Votes is held out" in said["inputs.dataset"][0]


def test_kto_says_beforehand_that_a_line_is_missing():
    data = make.dataset("rankings", ranked("A | B", "A > B"), "Votes")
    said = refused("kto", {}, base=version(), dataset=data)
    assert "Votes has rankings without an acceptability line" in said["config.without_line"][0]
    assert queued("kto", {"without_line": "leave_out"}, base=version(), dataset=data)


def test_what_a_version_cannot_be_judged_on_is_said_beforehand():
    classifier, questions = version("c", head=Head.CLASSES), [{"prompt": "a", "completion": "b", "split": "heldout"}]
    said = refused("evaluate", {}, base=classifier, dataset=make.dataset("sft", questions))
    assert "Only a version that writes text can be judged on language" in said["inputs.dataset"][0]
    labelled = make.dataset("labelled", [{"text": "a", "label": "b", "split": "train"}], "Moods")
    said = refused("evaluate", {}, base=classifier, dataset=labelled)
    assert "Moods has no held-out rows" in said["inputs.dataset"][0]
    assert queued("evaluate", {"split": "train"}, base=classifier, dataset=labelled)


def test_a_hard_prompt_with_labels_is_judged_on_labelled_texts():
    asks = version("asks", head=Head.CLASSES, kind=Kind.HARD_PROMPT, parent=version("root"))
    rows = [{"text": "a", "label": "b", "split": "heldout"}]
    assert queued("evaluate", {}, base=asks, dataset=make.dataset("labelled", rows))
