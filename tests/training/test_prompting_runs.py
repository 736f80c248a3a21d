"""A hard prompt as a version: made by a run, standing on its base, judged by another run, which makes none."""

import json
from pathlib import Path

import pytest
from django.http import QueryDict

from labeling.models import Dataset
from models_registry.actions import import_folder
from models_registry.models import Version
from people.errors import Refusal
from tests import factories
from tests.engine import runs
from tests.lm import tiny
from training import actions, queries
from training.forms import RunForm
from training.models import Run

from . import make

pytestmark = pytest.mark.django_db


def rows() -> list[dict[str, str]]:
    moods = {"cat": "good", "dog": "bad"}
    return [
        {"text": f"{i} {animal}s", "label": mood, "split": "heldout" if i % 5 == 0 else "train"}
        for i in range(20)
        for animal, mood in moods.items()
    ]


@pytest.fixture
def base(tmp_path: Path) -> Version:
    return import_folder(actor=None, name="tiny", path=tiny.folder(tmp_path / "tiny", "llama")).version


def done(method: str, config: dict, inputs: dict[str, Version | Dataset]) -> Run:
    """A run, carried out here as the supervisor has it carried out."""
    run = actions.create_run(actor=factories.admin(), method=method, config=config, inputs=inputs)
    run.folder.mkdir(parents=True)
    (run.folder / "run.json").write_text(json.dumps(queries.run_file(run)))
    assert runs.go(run.folder) == 0
    actions.end(run=run, state=Run.State.COMPLETE)
    return Run.objects.get(pk=run.pk)


@pytest.mark.slow
def test_a_prompt_becomes_a_version_that_stands_on_its_base_and_is_judged(base, client):
    data = make.dataset("labelled", rows())
    run = done("prompting", {"shots": 2, "template": "{input} are"}, {"base": base, "dataset": data})
    version = actions.register_result(actor=run.created_by, run=run)
    assert (version.kind, version.head, version.parent) == ("hard_prompt", "classes", base)
    assert version.chain() == [base, version]
    assert (version.parameters, version.trained_parameters) == (base.parameters, 0)
    assert version.facts["labels"] == ["bad", "good"]
    assert version.size < 2000
    assert version.metrics["base_sha256_before"] == version.metrics["base_sha256_after"]

    client.force_login(run.created_by)
    page = client.get(version.get_absolute_url()).content.decode()
    assert "What the model reads" in page
    assert "{input} stands for the text that is asked" in page
    assert "cats are good" in page
    assert "accuracy" in page

    judge = done("evaluate", {}, {"base": version, "dataset": data})
    metrics = json.loads((judge.folder / "output/metrics.json").read_text())
    assert metrics["figures"]["accuracy"]["value"] == pytest.approx(version.metrics["heldout_accuracy"])
    with pytest.raises(Refusal, match="judges a model"):
        actions.register_result(actor=judge.created_by, run=judge)
    assert Version.objects.count() == 2


def test_weights_cannot_be_trained_over_words(base):
    run = done("prompting", {"shots": 0, "instruction": "Go on."}, {"base": base})
    version = actions.register_result(actor=run.created_by, run=run)
    assert version.head == "lm"
    examples = make.dataset("sft", [{"prompt": "a", "completion": " b"}])
    with pytest.raises(Refusal, match="is a hard prompt, which this method cannot build on"):
        actions.create_run(
            actor=factories.admin(), method="finetune", config={}, inputs={"base": version, "dataset": examples}
        )
    offered = {method: {c.role: c.options for c in RunForm(method).inputs} for method in ("evaluate", "finetune")}
    assert version in offered["evaluate"]["base"]
    assert version not in offered["finetune"]["base"]


def test_the_template_keeps_its_line_breaks_in_the_form():
    data = QueryDict(mutable=True)
    data.update({"config.template": "Text: {input}\r\nLabel:", "config.labels": '{"a": "x", "b": "y"}'})
    config = RunForm("prompting", data).config()
    assert config["template"] == "Text: {input}\nLabel:"
    assert config["labels"] == {"a": "x", "b": "y"}
