"""What settings, versions and data cannot do together is said in the form, before anything waits in the queue."""

import html
import json

import numpy as np
import pytest
from django.urls import reverse
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from models_registry.models import Head, Kind, Version
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


def test_the_longest_answer_leaves_room_for_a_prompt():
    base = version("short", context_length=64)
    chosen = {"base": base, "reward_model": version("judge", head=Head.REWARD), "dataset": make.dataset("prompts")}
    said = refused("ppo", {"max_tokens": 64}, **chosen)
    assert said == {
        "config.max_tokens": ["The longest answer (64 tokens) leaves no room for a prompt: the model holds 64 tokens."]
    }
    assert queued("ppo", {"max_tokens": 32}, **chosen)


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
    (problem,) = said["inputs.dataset"]
    assert problem.startswith("None of the 1 rankings of Votes is held out")
    assert "Hold out some prompts: by the share" in problem


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


def words(count: int) -> str:
    return " ".join(["word"] * count)


def short_model() -> Version:
    """A token a word, and room for 64."""
    base = version("short", context_length=64)
    base.folder.mkdir(parents=True)
    made = Tokenizer(models.WordLevel({"word": 0, "?": 1}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(base.folder / "tokenizer.json"))
    return base


def test_a_reward_model_needs_rankings_to_learn_from():
    data = make.dataset("rankings", ranked("A > B", splits=("heldout",)), "Votes")
    said = refused("reward", {}, base=version(), dataset=data)
    assert said == {
        "inputs.dataset": [
            "All 1 rankings of Votes are held out, so there is none to learn from. Hold out fewer prompts."
        ]
    }


@pytest.mark.parametrize(
    ("split", "said"), [("train", "All 2 training rankings of Votes"), ("heldout", "All 2 held-out")]
)
def test_a_split_that_only_ties_teaches_and_judges_nothing(split, said):
    rows = ranked("A > B") + ranked("A = B", "| A = B")
    only_ties = [row for row in rows if row["split"] != split or ">" not in row["ranking"]]
    problems = refused("reward", {}, base=version(), dataset=make.dataset("rankings", only_ties, "Votes"))
    (problem,) = problems["inputs.dataset"]
    assert problem.startswith(said)
    assert "tie everything" in problem
    assert queued("reward", {}, base=version("other"), dataset=make.dataset("rankings", rows))


def test_a_snapshot_says_itself_how_many_pairs_are_strict():
    """And so also of more rankings than are looked at."""
    data = make.dataset("rankings", ranked("A > B"), "Votes")
    data.manifest = {"pairs": {"strict": {"train": 1, "heldout": 0}}}
    data.save()
    assert "All 1 held-out rankings" in refused("reward", {}, base=version(), dataset=data)["inputs.dataset"][0]
    data.manifest = {"pairs": {"strict": {"train": 1, "heldout": 1}}}
    data.save()
    assert queued("reward", {}, base=version("other"), dataset=data)


def test_a_line_that_nobody_drew_cannot_weigh():
    rows = ranked("A > B", splits=("train",)) + ranked("A | B", splits=("heldout",))
    data = make.dataset("rankings", rows, "Votes")
    said = refused("reward", {"line_weight": 1.0}, base=version(), dataset=data)
    assert said["config.line_weight"][0].startswith(
        "None of the 1 training rankings of Votes has an acceptability line"
    )
    assert queued("reward", {}, base=version("other"), dataset=data)
    drawn = make.dataset("rankings", ranked("A > B", "A | B"), "Lines")
    assert queued("reward", {"line_weight": 1.0}, base=version("third"), dataset=drawn)


def test_texts_longer_than_the_model_are_counted_before_anything_is_queued():
    base = short_model()
    rows = ranked("A > B", "B > A")
    rows[0] = rows[0] | {"prompt": words(50), "completions": ["b", words(20)]}
    rows[1] = rows[1] | {"prompt": words(90)}
    data = make.dataset("rankings", rows, "Votes")
    (problem,) = refused("reward", {}, base=base, dataset=data)["config.truncate"]
    # Two tokens may merge where prompt and completion meet, so a few fewer than there are.
    assert problem.startswith("At least 2 of the first 4 rankings have texts longer than the 64 tokens")
    assert "(the longest: 89)" in problem
    assert "would drop 29 tokens" in problem
    in_front = {"tune": {"kind": "soft_prompt", "length": 14}}
    (problem,) = refused("reward", in_front, base=base, dataset=data)["config.truncate"]
    assert "longer than the 50 tokens" in problem
    assert queued("reward", {"truncate": True}, base=base, dataset=data)


def test_nobody_minds_outputs_about_which_a_ranking_says_nothing():
    base = short_model()
    rows = [row | {"completions": ["b", "c", words(90)]} for row in ranked("A > B")]
    assert queued("reward", {}, base=base, dataset=make.dataset("rankings", rows))


def base_with(kind: str = "PreTrainedTokenizerFast", **named: str) -> Version:
    """A base whose tokenizer names these special tokens; of those that stand in no text it knows ? and end."""
    base = version("bare", context_length=64)
    base.folder.mkdir(parents=True)
    Tokenizer(models.WordLevel({"word": 0, "?": 1, "end": 2}, unk_token="?")).save(str(base.folder / "tokenizer.json"))
    (base.folder / "config.json").write_text('{"vocab_size": 3}')
    (base.folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind} | named))
    return base


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"unk_token": "?", "eos_token": "end"}, "The base has no pad token. ? becomes it in what is saved"),
        ({"eos_token": "end"}, "The base has no pad token, and of its special tokens EOS alone could be one"),
        ({"eos_token": "end", "bos_token": "made up"}, "of its special tokens EOS alone could be one"),
        ({"unk_token": "?", "eos_token": "end", "pad_token": "word"}, ""),
        ({"kind": "SomebodysTokenizer", "eos_token": "end"}, ""),  # which may bring tokens of its own: the run says it
    ],
)
def test_the_form_says_what_a_base_without_a_pad_token_gets_for_one(client, named, said):
    client.force_login(factories.admin())
    base = base_with(**named)
    data = make.dataset("rankings", ranked("A > B"), "Votes")
    chosen = {"method": "reward", "inputs.base": base.pk, "inputs.dataset": data.pk}
    page = html.unescape(client.get(reverse("run-new"), chosen).content.decode())
    assert said in page
    assert ("has no pad token" in page) == bool(said)
    assert "has no pad token" not in client.get(reverse("run-new"), chosen | {"method": "dpo"}).content.decode()
    assert queued("reward", {}, base=base, dataset=data)


def test_a_base_with_nothing_that_could_pad_is_refused_beforehand():
    data = make.dataset("rankings", ranked("A > B"), "Votes")
    (problem,) = refused("reward", {}, base=base_with(bos_token="made up"), dataset=data)["inputs.base"]
    assert "no pad token and no other special token that could be one" in problem
