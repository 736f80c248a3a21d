"""How much memory a run of PPO takes: said in the form before it is started, and on its page beside what was measured."""

import inspect
import json

import pytest
from django.urls import reverse

from bench.ppo_task import Size, make_model, make_tokenizer, prompts, write_inputs
from models_registry import actions as registry
from models_registry.lm import roomy, score
from models_registry.models import Kind
from tests import factories
from tests.engine import runs
from tests.engine.tiny import causal_lm
from training import memory
from training.engine import contract, cross_entropy
from training.engine.methods.ppo import memory as sizes
from training.engine.methods.ppo import writing
from training.engine.methods.ppo.config import Config
from training.page import gibibytes
from training.queries import run_file
from training.reading import metrics

from . import make
from .test_actions import version

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

LORA = {"tune": {"kind": "lora", "rank": 4}}
ALL = {"tune": {"kind": "all"}}


@pytest.fixture(autouse=True)
def store_of_its_own(settings, tmp_path):
    settings.ARTIFACTS = tmp_path


@pytest.fixture
def models():
    """A base, a reward model that is an adapter over it, and one with weights of its own."""
    made = causal_lm("llama")
    parameters = sum(p.numel() for p in made.parameters())
    base = version("base", parameters=parameters)
    made.save_pretrained(base.folder)
    over = version("over", kind=Kind.ADAPTER, parent=base, head="reward", parameters=parameters + 500)
    apart = version("apart", head="reward", parameters=parameters)
    return base, over, apart


def needed(config: dict, base, judge, dataset) -> int:
    inputs = {"base": base, "reward_model": judge, "dataset": dataset}
    return memory.needed("ppo", Config(**config), inputs)


def test_it_grows_with_what_moves_with_answers_at_once_and_with_copies(models):
    base, over, apart = models
    prompts = make.dataset("prompts", [{"prompt": "Say something", "split": "train"}])
    least = needed(LORA, base, over, prompts)
    assert (
        needed(ALL, base, over, prompts) - least >= 4 * 4 * 0.9 * base.parameters
    )  # reference, gradients, two moments
    assert needed(LORA, base, apart, prompts) - least == 4 * (base.parameters - 500)
    assert (
        needed(LORA | {"micro_batch": 1}, base, over, prompts)
        < least
        < needed(LORA | {"max_tokens": 128}, base, over, prompts)
    )
    assert needed(LORA | {"processes": 2, "episodes": 128}, base, over, prompts) > 1.9 * least
    assert memory.needed("ppo", Config(**LORA), {}) == 0


def test_the_form_says_it_and_the_page_puts_it_beside_what_was_measured(models, client):
    client.force_login(factories.admin())
    base, over, _apart = models
    prompts = make.dataset("prompts", [{"prompt": "Say something", "split": "train"}])
    chosen = {"method": "ppo", "inputs.base": base.pk, "inputs.reward_model": over.pk, "inputs.dataset": prompts.pk}
    assert "of memory." in client.get(reverse("run-new"), chosen).content.decode()
    assert "of memory." not in client.get(reverse("run-new"), {"method": "pretrain"}).content.decode()
    two = client.get(reverse("run-new"), chosen | {"config.processes": 2}).content.decode()
    assert "of memory in all processes together." in two

    run = make.run(actor=factories.admin())
    status = {"memory_estimate": 3 * 2**30, "memory_of_run": 2**31, "state": "complete"}
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "status.json").write_text(json.dumps(status))
    assert (
        f"{gibibytes(2**31)}, estimated {gibibytes(3 * 2**30)}" in client.get(run.get_absolute_url()).content.decode()
    )


# What is measured --------------------------------------------------------------------------------------------------------------

FACTOR = 1.4  # within which the estimate has to be
SIZE = Size(hidden=256, layers=6, vocabulary=4096)  # 7.3 million parameters
SHORT = {"updates": 2, "episodes": 16, "max_tokens": 48, "minibatches": 1, "epochs": 1, "sample_prompts": 0, "precision": "fp32"}  # fmt: skip
LARGER = {"kind": "lora", "rank": 16, "alpha": 32}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A Llama, and a reward model of its shape that shares nothing with it."""
    from transformers import LlamaForSequenceClassification

    folder = tmp_path_factory.mktemp("sized")
    write_inputs(folder, SIZE)
    judge = make_model(SIZE, kind=LlamaForSequenceClassification, num_labels=1)
    for weight in judge.parameters():
        weight.data.add_(1e-3)
    judge.config.max_position_embeddings = 128
    judge.save_pretrained(folder / "judge")
    make_tokenizer(SIZE).save_pretrained(folder / "judge")
    return folder


@pytest.mark.parametrize(
    "config",
    [
        {"tune": LARGER},
        {"tune": LARGER, "micro_batch": 2},
        {"tune": LARGER, "processes": 2},
        {"tune": {"kind": "all"}, "critic": "separate", "micro_batch": 4, "ema_decay": 0.9},
    ],
    ids=["lora", "two-at-once", "two-processes", "all-separate"],
)
def test_what_a_run_takes_is_what_form_and_run_say(config, folders, settings, tmp_path):
    """Of all processes together, above what they take before there is a model."""
    settings.RUNS = tmp_path / "runs"
    base, judge = (
        registry.import_folder(actor=None, name=name, path=folders / name).version for name in ("model", "judge")
    )
    rows = [{"prompt": " ".join(map(str, ids)), "split": "train"} for ids in prompts(SIZE, 32)]
    inputs = {"base": base, "reward_model": judge, "dataset": make.dataset("prompts", rows)}
    run = make.run(method="ppo", config=SHORT | config, inputs=inputs)
    run.folder.mkdir(parents=True)
    contract.write_json(run.folder / "run.json", run_file(run))
    code, said = runs.ended(runs.start(run.folder))
    assert code == 0, said
    status = contract.read_status(run.folder)
    measured = status["memory_of_run"]
    assert measured / FACTOR < status["memory_estimate"] < measured * FACTOR
    assert measured / FACTOR < memory.needed("ppo", Config(**SHORT | config), inputs) < measured * FACTOR
    assert metrics(run.folder)["memory_estimate"] == status["memory_estimate"]


def test_the_sizes_that_it_goes_by_are_those_of_the_programs_it_speaks_of():
    assert sizes.WRITTEN == writing.AT_ONCE
    assert inspect.signature(score.rewards).parameters["batch_size"].default == sizes.SCORED
    assert sizes.AHEAD == roomy.AHEAD
    assert sizes.CHUNK == cross_entropy.CHUNK
