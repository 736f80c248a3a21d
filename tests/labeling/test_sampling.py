"""Sampling outputs of registered models: shared out, distinct where possible, blind, and never done twice."""

from collections import Counter

import pytest
from django.db.models import Count

from jobs.models import Job
from jobs.worker import run_all_waiting
from labeling import actions, sampling
from labeling.actions.tasks import NewTask, add_tasks
from labeling.models import Completion, TaskItem
from labeling.sampling import Plan, sample
from people.errors import Refusal
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.slow]  # each lets a tiny model write
QUIET = {"progress": lambda done, total: None}


@pytest.fixture
def project(admin):
    made = factories.project(actor=admin)
    add_tasks(made, [NewTask(f"Once there was a {animal}") for animal in ("cat", "dog", "cow", "hen", "bee")])
    made.refresh_from_db()
    return made


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(sampling, "BATCH", 2)


def plan(*versions, **settings):
    return Plan(tuple(version.pk for version in versions), **{"max_tokens": 8, "seed": 3, **settings})


def test_every_prompt_gets_outputs_of_every_version_and_becomes_a_task(project, tiny, tiny_tuned, small_batches):
    result = sample(project, plan(tiny, tiny_tuned), **QUIET)
    assert (result.completions, result.tasks, result.duplicates) == (20, 5, 0)
    for task in project.tasks.all():
        authors = Counter(task.items.values_list("completion__version__model__name", flat=True))
        assert authors == {"tiny": 2, "tiny-tuned": 2}
        assert task.items.values("completion__text").distinct().count() == 4
    settings = Completion.objects.first().sampling
    assert settings["temperature"] == 1.0
    assert settings["seed"] == 3
    assert settings["finish"] in {"eos", "length"}


def test_letters_do_not_give_the_version_away(project, tiny, tiny_tuned):
    add_tasks(project, [NewTask(f"Prompt {n}") for n in range(45)])
    sample(project, plan(tiny, tiny_tuned), **QUIET)
    first = Counter(TaskItem.objects.filter(position=0).values_list("completion__version__model__name", flat=True))
    assert min(first["tiny"], first["tiny-tuned"]) >= 3


def test_outputs_that_cannot_be_shared_evenly_go_round(project, tiny, tiny_tuned, small_batches):
    sample(project, plan(tiny, tiny_tuned, outputs=3), **QUIET)
    totals = Counter(Completion.objects.values_list("version__model__name", flat=True))
    assert totals.total() == 15
    assert set(totals.values()) == {7, 8}
    assert set(project.tasks.values_list("size", flat=True)) == {3}


def test_what_is_sampled_already_is_not_sampled_again(project, tiny):
    sample(project, plan(tiny), **QUIET)
    before = list(Completion.objects.order_by("pk").values_list("pk", "text"))
    again = sample(project, plan(tiny), **QUIET)
    assert (again.completions, again.tasks, again.tasks_known) == (0, 0, 5)
    add_tasks(project, [NewTask("A new prompt")])
    more = sample(project, plan(tiny), **QUIET)
    assert (more.completions, more.tasks, more.tasks_known) == (4, 1, 5)
    assert list(Completion.objects.order_by("pk").values_list("pk", "text"))[: len(before)] == before
    assert sample(project, plan(tiny, seed=4), **QUIET).tasks == 6


def test_a_sampling_that_was_cut_off_goes_on_to_the_same_outputs(admin, project, tiny, small_batches):
    class Cut(Exception):
        pass

    def cut_at_the_third_batch(done, total):
        if done >= 4:
            raise Cut

    with pytest.raises(Cut):
        sample(project, plan(tiny), progress=cut_at_the_third_batch)
    assert Completion.objects.count() == 16
    assert project.tasks.count() == 0
    sample(project, plan(tiny), **QUIET)
    assert project.tasks.count() == 5

    other = factories.project(actor=admin)
    add_tasks(other, [NewTask(prompt.content) for prompt in project.prompts.order_by("pk")])
    sample(other, plan(tiny), **QUIET)

    def texts(of):
        return sorted(of.prompts.values_list("content", "completions__text"))

    assert texts(project) == texts(other)


def test_a_duplicate_is_drawn_anew_and_marked_if_it_stays_one(project, tiny):
    # One token of a byte-level model: among many draws of one prompt some are the same.
    result = sample(project, plan(tiny, max_tokens=1, outputs=9, temperature=0.05, resample=0), **QUIET)
    assert result.duplicates > 0
    marked = TaskItem.objects.filter(duplicate_of__isnull=False)
    assert marked.count() == result.duplicates
    for item in marked.select_related("completion"):
        twin = TaskItem.objects.get(task=item.task, position=item.duplicate_of)
        assert twin.completion.text.strip() == item.completion.text.strip()
    again = sample(project, plan(tiny, max_tokens=1, outputs=9, temperature=2.0, seed=9, resample=20), **QUIET)
    assert again.duplicates == 0
    new = project.tasks.order_by("-pk")[:5]
    assert all(t.items.aggregate(n=Count("completion__text", distinct=True))["n"] == 9 for t in new)


def test_a_prompt_that_fills_the_context_is_left_out_and_told(project, tiny):
    add_tasks(project, [NewTask("x" * 5000)])
    result = sample(project, plan(tiny), **QUIET)
    assert (result.too_long, result.too_few, result.tasks) == (1, 1, 5)


def test_a_plan_that_makes_no_sense_is_refused_with_all_reasons(admin, tiny):
    empty = factories.project(actor=admin)
    bad = Plan((tiny.pk, tiny.pk, 987654), outputs=10, temperature=-1, top_p=0, max_tokens=0, seed=-1, resample=99)
    with pytest.raises(Refusal) as caught:
        actions.start_sampling(actor=admin, project=empty, plan=bad)
    assert len(caught.value.problems) == 9
    assert Job.objects.count() == 0


def test_sampling_runs_as_a_job_and_only_for_who_manages_projects(admin, project, tiny):
    with pytest.raises(Refusal):
        actions.start_sampling(actor=factories.user("researcher"), project=project, plan=plan(tiny))
    job = actions.start_sampling(actor=admin, project=project, plan=plan(tiny))
    run_all_waiting()
    job.refresh_from_db()
    assert job.state == Job.State.DONE, job.error
    assert job.done == job.total == 5
    assert "5 tasks are new." in job.result["notes"]


def test_some_prompts_alone_can_be_sampled_for(project, tiny):
    chosen = list(project.prompts.order_by("pk").values_list("pk", flat=True))[1:3]
    assert sample(project, plan(tiny), among=chosen, **QUIET).tasks == 2
    assert sorted(project.tasks.values_list("prompt", flat=True)) == chosen


def test_outputs_end_before_a_stop_text_and_the_plan_is_another_one(project, tiny):
    plain, stopped = plan(tiny, max_tokens=40), plan(tiny, max_tokens=40, stop=tuple("aeiou"))
    assert plain.round() != stopped.round()
    sample(project, plain, **QUIET)
    assert any(set("aeiou") & set(each.text) for each in Completion.objects.all())
    sample(project, stopped, **QUIET)
    ended = Completion.objects.filter(sampling__round=stopped.round())
    assert ended.count() == 20
    assert not any(set("aeiou") & set(each.text) for each in ended)
    assert ended.first().sampling["stop"] == list("aeiou")


def test_of_two_workers_that_sample_the_same_at_once_each_prompt_has_its_outputs_once(project, tiny, monkeypatch):
    generate, others = sampling._Writer._generate, []

    def slowly(self, *given, **more):
        written = generate(self, *given, **more)
        if not others:
            others.append("another worker")
            others.append(sample(project, plan(tiny), **QUIET))
        return written

    monkeypatch.setattr(sampling._Writer, "_generate", slowly)
    result = sample(project, plan(tiny), **QUIET)
    assert (result.completions, result.tasks, result.tasks_known) == (0, 0, 5)
    assert (others[1].completions, others[1].tasks) == (20, 5)
    assert set(project.tasks.values_list("size", flat=True)) == {4}
