"""The policies of a run where people act at once, a worker dies, the run lets go of one or is deleted; and what their page costs."""

import json
import shutil
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from jobs.actions import enqueue, reap
from jobs.models import Job
from jobs.worker import run_all_waiting
from labeling import sampling
from labeling.actions import claim_task, close_task
from labeling.identity import digest_of
from labeling.models import Batch, Completion, Dataset
from models_registry import actions as registry
from models_registry.models import Head, Kind, Model, Version
from people.errors import Refusal
from people.models import AuditEntry, Role
from tests import factories
from tests.labeling.test_concurrency import at_once
from tests.labeling.test_head_to_head import pair
from tests.registry.conftest import reward, scorer, tiny, tiny_model  # noqa: F401
from training.actions import delete_run, register_checkpoint
from training.models import Run
from training.policies import actions
from training.policies.models import FreshPairs, Verdict
from training.policies.panel import Panel
from training.policies.queries import Policies

from . import make
from .test_policies import say

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

CONFIG = {"updates": 400, "episodes": 8, "max_tokens": 6, "minibatches": 2, "epochs": 2, "keep_along_kl": 100}
PROMPTS = 6


@pytest.fixture
def admin(db):
    return factories.admin()


@pytest.fixture
def going(admin, tiny, reward, settings, tmp_path, tiny_model):  # noqa: F811
    """A run that was stopped on its way and has kept three policies."""
    settings.RUNS = tmp_path / "runs"
    rows = [{"prompt": f"There was {n}", "split": "train"} for n in range(PROMPTS)]
    rows += [{"prompt": f"Once there was {n}", "split": "heldout"} for n in range(PROMPTS)]
    inputs = {"base": tiny, "reward_model": reward, "dataset": make.dataset("prompts", rows)}
    run = make.run(actor=admin, config=CONFIG, inputs=inputs, method="ppo", name="Far", output_name="policy")
    keep(run, tiny_model, 4, 9, 16)
    Run.objects.update(state=Run.State.STOPPED)
    run.refresh_from_db()
    return run


def keep(run: Run, model, *steps: int) -> None:
    """As the engine leaves it: these policies, and no others."""
    kept = run.folder / "kept"
    shutil.rmtree(kept, ignore_errors=True)
    for step in steps:
        folder = shutil.copytree(model, kept / f"step-{step}")
        generation = json.loads((folder / "generation_config.json").read_text())
        (folder / "generation_config.json").write_text(json.dumps(generation | {"max_length": step}))  # no two alike
    told = [{"step": step, "kl": step / 4, "reward": step / 10} for step in steps]
    (kept / "kept.json").write_text(json.dumps({"spacing": 0.5, "policies": told}))


@pytest.fixture
def second(scorer, tmp_path) -> Version:  # noqa: F811
    """Another reward model than that of the run."""
    folder = shutil.copytree(scorer, tmp_path / "second")
    (folder / "reward.json").write_text(json.dumps({"mean": 0.5, "std": 7.0}))
    return registry.import_folder(actor=None, name="second", path=folder).version


def sent(run: Run, admin, step: int, number: int = 1) -> FreshPairs:
    """Pairs that came to people: a task each, of a prompt of its own."""
    version = actions.register_policy(actor=admin, run=run, step=step)
    project = factories.project(actor=admin)
    batch = Batch.objects.create(project=project, name="Round 1")
    for each in range(number):
        pair(project, batch, f"Prompt {each}", run.inputs.get(role="base").version, version)
    return FreshPairs.objects.create(
        run=run, step=step, batch=batch, number=number, seed=1, version=version, created_by=admin
    )


@pytest.mark.django_db(transaction=True)
def test_of_many_clicks_at_once_one_sends_pairs_and_the_others_are_told(going, admin):
    project, told = factories.project(actor=admin), []

    def click():
        try:
            actions.send_pairs(actor=admin, run=going, project=project, number=4)
        except Refusal as refusal:
            told.extend(refusal.problems)

    at_once(*[click] * 8)
    assert (FreshPairs.objects.count(), Job.objects.filter(what="fresh-pairs").count()) == (1, 1)
    assert AuditEntry.objects.filter(verb="run.send_pairs").count() == 1
    assert [problem for problem in told if "already" in problem] == told
    assert len(told) == 7


def test_a_run_whose_policies_are_judged_is_not_deleted_whatever_else_was_asked_of_it_since(going, admin, second):
    actions.ask_judge(actor=admin, run=going, judge=second)
    later = enqueue(actor=admin, what="register-checkpoint", subject=f"training.run:{going.pk}", arguments={})
    Job.objects.filter(pk=later.pk).update(state=Job.State.DONE)
    with pytest.raises(Refusal, match="at work on it: Judge the policies"):
        delete_run(actor=admin, run=going)
    Job.objects.update(state=Job.State.DONE)
    delete_run(actor=admin, run=going)
    with pytest.raises(Refusal) as refusal:
        actions._busy(going)
    assert refusal.value.status == 404


def test_where_no_prompt_is_held_out_nobody_can_be_asked(going, admin, second, client):
    client.force_login(admin)
    address = reverse("run-judge", args=[going.pk])
    assert address in client.get(going.get_absolute_url()).content.decode()
    Dataset.objects.update(splits={"train": PROMPTS})
    with pytest.raises(Refusal, match="holds no prompt out"):
        actions.send_pairs(actor=admin, run=going, project=factories.project(actor=admin), number=4)
    with pytest.raises(Refusal, match="holds no prompt out"):
        actions.ask_judge(actor=admin, run=going, judge=second)
    assert address not in client.get(going.get_absolute_url()).content.decode()


def test_pairs_do_not_come_into_the_batch_of_a_run_that_was_deleted(going, admin):
    pairs = sent(going, admin, step=9)
    Batch.objects.update(name="Fresh pairs 1", paused=True)
    pairs.delete()  # as with its run
    actions.send_pairs(actor=admin, run=going, project=pairs.batch.project, number=4)
    assert FreshPairs.objects.get().batch.name == "Fresh pairs 2"


def test_what_people_say_of_a_policy_stays_when_the_run_goes_on_and_lets_go_of_it(going, admin, tiny_model):  # noqa: F811
    pairs = sent(going, admin, step=9)
    turn = claim_task(actor=factories.user(), project=pairs.batch.project)
    say(turn.annotator, turn, best=pairs.version)
    Verdict.objects.create(
        run=going, step=9, judge=going.inputs.get(role="reward_model").version, wins=3, ties=0, losses=1
    )
    keep(going, tiny_model, 16)
    found = Policies(going)
    assert [each.policy.step for each in found.standings] == [9, 16]
    stayed = found.standings[0]
    assert (stayed.policy.kl, stayed.policy.reward, stayed.version) == (2.25, 0.9, pairs.version)
    assert (stayed.people.wins, stayed.judge.wins) == (1, 3)
    assert found.folder(stayed.policy) == pairs.version.folder
    assert actions.register_policy(actor=admin, run=going, step=9) == pairs.version


def test_a_judge_that_is_deleted_takes_along_what_it_said(going, admin, second, client):
    client.force_login(admin)
    actions.ask_judge(actor=admin, run=going, judge=second)
    Verdict.objects.create(run=going, step=9, judge=second, wins=3, ties=0, losses=1)
    assert f"{second} prefers it" in client.get(going.get_absolute_url()).content.decode()
    registry.delete_version(actor=admin, version=second, confirm=str(second))
    run_all_waiting()
    assert (Job.objects.get().state, Job.objects.get().error) == (
        Job.State.FAILED, "The model was deleted meanwhile. Choose another one.",
    )  # fmt: skip
    page = client.get(going.get_absolute_url())
    assert (page.status_code, "prefers it</th>" in page.content.decode()) == (200, False)


def test_a_checkpoint_of_an_average_is_not_taken_for_the_policy_of_its_update(going, admin, tiny_model):  # noqa: F811
    Run.objects.update(config=going.config | {"ema_decay": 0.9})
    run = Run.objects.get()
    average = register_checkpoint(actor=admin, run=run, step=9, folder=tiny_model, metrics={})
    assert Policies(run).versions == {}
    policy = actions.register_policy(actor=admin, run=run, step=9)
    assert policy != average
    assert policy.metrics == {"kl": 2.25, "reward": 0.9}
    assert Policies(run).versions == {9: policy}


def test_the_page_asks_as_long_as_something_may_come(going, admin, client):
    client.force_login(admin)
    look = reverse("run-policies", args=[going.pk])
    pairs = sent(going, admin, step=9, number=2)
    assert "every 5s" in client.get(look).content.decode()
    for task in pairs.batch.tasks.all():
        close_task(actor=admin, task=task)
    page = client.get(look).content.decode()
    assert "0 of 2 pairs ranked" in page
    assert "every 5s" not in page
    # Left open while somebody deletes the run, it loads anew, and then asks no more.
    delete_run(actor=admin, run=going)
    answer = client.get(look, headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Refresh"]) == (204, "true")
    assert client.get(look).status_code == 404


def test_who_may_not_follow_a_job_is_not_shown_it(going, admin, client):
    job = actions.send_pairs(actor=admin, run=going, project=factories.project(actor=admin), number=4)
    for person, shown in ((admin, True), (factories.user(Role.RESEARCHER), False)):
        client.force_login(person)
        page = client.get(going.get_absolute_url()).content.decode()
        assert (f"job-{job.pk}" in page) == shown
        assert "every 5s" in page
        assert client.get(reverse("job", args=[job.pk])).status_code == (200 if shown else 403)


def test_a_worker_that_dies_before_there_are_tasks_leaves_all_to_the_next_one(going, admin, monkeypatch):
    project = factories.project(actor=admin)
    actions.send_pairs(actor=admin, run=going, project=project, step=9, number=4, seed=5)

    def die(*_given):
        raise RuntimeError

    with monkeypatch.context() as dying:
        dying.setattr(sampling, "_make_tasks", die)
        run_all_waiting()
    assert (Completion.objects.count(), project.tasks.count()) == (8, 0)
    assert {each.asked for each in Policies(going).standings} == {None}  # not asked, as far as people see
    # As after a power cut: the job stands as running, and nobody says so.
    Job.objects.update(state=Job.State.RUNNING, heartbeat_at=timezone.now() - timedelta(hours=1))
    assert reap() == 1
    run_all_waiting()
    job = Job.objects.get()
    assert (job.state, job.attempts) == (Job.State.DONE, 2), job.error
    assert (Completion.objects.count(), project.tasks.count()) == (8, 4)
    assert Version.objects.filter(model__name="policy").count() == 1


def test_the_page_of_a_hundred_policies_asks_the_database_no_more_than_that_of_a_few(going, admin, tiny, tiny_model):  # noqa: F811
    keep(going, tiny_model, *range(1, 101))
    model, judge = Model.objects.create(name="many"), Model.objects.create(name="judge")

    def more(begin: int, end: int) -> None:
        project = factories.project(actor=admin) if begin == 1 else Batch.objects.first().project
        for step in range(begin, end):
            origin = {"run": str(going.pk), "checkpoint": step, "kept": True}
            version = Version.objects.create(
                model=model, number=step, kind=Kind.FULL, digest=digest_of(step), origin=origin
            )
            Version.objects.create(
                model=judge, number=step, kind=Kind.ADAPTER, head=Head.REWARD, parent=tiny, digest=digest_of([step])
            )
            batch = Batch.objects.create(project=project, name=f"Round {step}")
            pair(project, batch, f"Prompt {step}", tiny, version)
            FreshPairs.objects.create(run=going, step=step, batch=batch, number=1, seed=1, version=version)

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            panel = Panel(Run.objects.get(pk=going.pk), admin)
            assert sum(each.asked is not None for each in panel.standings) == FreshPairs.objects.count()
            assert panel.judges
            assert panel.seen
        return len(queries)

    more(1, 4)
    few = asked()
    more(4, 26)
    assert asked() == few < 30
