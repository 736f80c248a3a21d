"""`manage.py demo` in miniature: every step for real, with models that have barely begun to learn."""

import json
import shutil
from functools import partial
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from labeling.models import Assignment, Completion, Project, Ranking
from labeling.queries import labels_behind
from models_registry.models import Version
from people.models import User
from training.demo.annotators import ANNOTATORS
from training.demo.corpus import BY_TEXT
from training.demo.evaluate import compare
from training.demo.loop import PROJECT, run_loop
from training.demo.recipe import FINETUNE, PPO, PRETRAIN, REWARD, Recipe
from training.models import Run

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

MINIATURE = Recipe(
    tales=200,
    dialogues=400,
    answers=1,
    questions=30,
    max_tokens=12,
    pretrain=PRETRAIN | {"hidden_size": 32, "max_steps": 8, "eval_every": 8},
    finetune=FINETUNE | {"batch_size": 8, "max_steps": 3, "eval_every": 3},
    reward=REWARD | {"batch_size": 8, "max_steps": 3, "eval_every": 3},
    ppo=PPO | {"updates": 2, "episodes": 8, "max_tokens": 12, "heldout_prompts": 10},
)


def test_two_rounds_on_an_empty_data_folder(monkeypatch):
    monkeypatch.setattr("training.management.commands.demo.run_loop", partial(run_loop, recipe=MINIATURE))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    said = StringIO()
    call_command("demo", "--json", stdout=said)
    lines = said.getvalue().splitlines()
    figures = json.loads(lines[-1])
    assert set(figures) == {"win_rate", "reward", "taste", "kl", "seconds"}
    assert 0 <= figures["win_rate"] <= 1
    assert any("Sign in as  admin" in line for line in lines)

    project = Project.objects.get()
    assert project.name == PROJECT
    _every_task_is_ranked_by_two_simulated_annotators(project)
    _the_result_can_be_followed_back_to_the_rankings(project)
    _the_figures_are_those_of_the_run(figures)

    call_command("demo", stdout=StringIO())
    assert Project.objects.filter(name__startswith=PROJECT).count() == 2
    assert Version.objects.get(model__name="demo-loop-ppo", number=2).digest != _policy().digest


def _every_task_is_ranked_by_two_simulated_annotators(project):
    assert project.is_demo
    assert project.tasks.count() == MINIATURE.questions
    turns = Assignment.objects.filter(project=project)
    assert turns.count() == turns.filter(state="submitted", annotator__is_simulated=True).count() == 60
    people = User.objects.filter(is_simulated=True)
    assert people.count() == len(ANNOTATORS)
    assert all(str(person).startswith("Simulated annotator") for person in people)
    assert Ranking.objects.filter(notation__contains="=").exists()
    base = Version.objects.get(model__name="demo-loop-answers")
    assert Completion.objects.filter(prompt__project=project, version=base).count() == 4 * MINIATURE.questions


def _the_result_can_be_followed_back_to_the_rankings(project):
    assert set(labels_behind(_policy())) == set(project.snapshots.all())
    assert Run.objects.filter(state=Run.State.COMPLETE).count() == 4
    split = {prompt.content: prompt.split for prompt in project.prompts.all()}
    assert all((split[text] == "heldout") == BY_TEXT[text].heldout for text in split)


def _the_figures_are_those_of_the_run(figures):
    run = Run.objects.get(method="ppo")
    found = compare(run.folder)
    assert found.wins + found.ties + found.losses == len(found.pairs) == 10
    assert all(BY_TEXT[pair["prompt"]].heldout for pair in found.pairs)
    assert figures["reward"] == pytest.approx(found.after.reward, abs=1e-3)
    assert figures["kl"] == pytest.approx(run.produced.metrics["kl"], abs=1e-3)


def _policy() -> Version:
    return Version.objects.get(model__name="demo-loop-ppo", number=1)


def test_a_step_that_fails_ends_the_command_with_the_reason(monkeypatch):
    monkeypatch.setattr("sys.executable", shutil.which("false"))  # what the supervisor starts trainings with
    with pytest.raises(CommandError, match="Pretraining: the run is failed"):
        call_command("demo", stdout=StringIO())
    assert not Project.objects.exists()
