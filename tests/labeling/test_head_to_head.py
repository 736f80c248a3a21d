"""How often one version's outputs are ranked above another's: which tasks and rankings count, and how."""

import uuid

import pytest

from labeling.actions import change_project, claim_task, close_task, submit_ranking
from labeling.actions.tasks import NewTask, Place, add_tasks, make_tasks
from labeling.head_to_head import Compared, HeadToHead
from labeling.identity import digest_of
from labeling.models import Batch, Completion
from models_registry.models import Head, Kind, Model, Version
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def versions():
    made = []
    for name in ("start", "policy", "other"):
        model = Model.objects.create(name=name)
        made.append(
            Version.objects.create(model=model, number=1, kind=Kind.FULL, head=Head.LM, digest=digest_of(name))
        )
    return made


@pytest.fixture
def project(admin):
    return factories.project(actor=admin, overlap=2)


@pytest.fixture
def batch(project):
    return Batch.objects.create(project=project, name="Round 1")


def pair(project, batch, prompt: str, *authors: Version):
    [added] = add_tasks(project, [NewTask(prompt)])
    outputs = [
        Completion.objects.create(
            prompt=added.prompt, text=f"{n} {author}", digest=digest_of(f"{n} {author}"), version=author
        )
        for n, author in enumerate(authors)
    ]
    [(task, _new)] = make_tasks(project, [(added.prompt, outputs)], [Place(batch=batch)])
    return task


def rank(person, project, order: str):
    """`order` names outputs by their canonical letters."""
    turn = claim_task(actor=person, project=project)
    shown = {"ABC"[position]: "ABC"[letter] for letter, position in enumerate(turn.display)}
    notation = "".join(shown.get(sign, sign) for sign in order)
    submit_ranking(actor=person, assignment=turn, notation=notation, client_key=str(uuid.uuid4()))
    return turn.task


def between(batches: list[Batch], first: Version, second: Version) -> HeadToHead:
    return Compared(batches).between(first, second, batches)


def test_wins_ties_and_losses_are_counted_and_a_prompt_that_two_ranked_is_one(project, batch, versions, ana, ben):
    start, policy, _other = versions
    pair(project, batch, "one", start, policy)
    pair(project, batch, "two", policy, start)
    pair(project, batch, "three", policy, start)
    for order in ("B > A", "A = B"):
        rank(ana, project, order)
    rank(ben, project, "A > B")
    found = between([batch], policy, start)
    assert (found.tasks, found.ranked, found.waiting) == (3, 2, 1)
    assert (found.wins, found.ties, found.losses) == (1, 1, 1)
    assert sorted(found.prompts) == [0.5, 0.5]
    back = between([batch], start, policy)
    assert (back.wins, back.ties, back.losses) == (1, 1, 1)


def test_only_outputs_of_the_two_in_these_batches_count(project, batch, versions, ana):
    start, policy, other = versions
    elsewhere = Batch.objects.create(project=project, name="Round 2")
    pair(project, batch, "one", start, policy, other)
    pair(project, batch, "two", other, policy)
    pair(project, elsewhere, "three", start, policy)
    for order in ("B > C > A", "A > B", "A > B"):
        rank(ana, project, order)
    found = between([batch], policy, start)
    assert (found.tasks, found.wins, found.ties, found.losses) == (1, 1, 0, 0)
    assert between([batch, elsewhere], policy, start).losses == 1
    assert between([], policy, start).tasks == 0


def test_what_a_reviewer_closed_does_not_count(project, batch, versions, admin, ana):
    start, policy, _other = versions
    pair(project, batch, "one", start, policy)
    task = rank(ana, project, "B > A")
    close_task(actor=admin, task=task)
    found = between([batch], policy, start)
    assert (found.tasks, found.ranked, found.prompts) == (1, 0, ())
    assert (found.waiting, found.to_come) == (1, 0)


def test_what_nobody_gets_any_more_is_not_to_come(project, batch, versions, admin, ana):
    start, policy, _other = versions
    for prompt in ("one", "two", "three"):
        pair(project, batch, prompt, start, policy)
    rank(ana, project, "A > B")
    assert between([batch], policy, start).to_come == 2
    close_task(actor=admin, task=project.tasks.last())
    assert between([batch], policy, start).to_come == 1
    change_project(actor=admin, project=project, state="archived")
    found = between([Batch.objects.get()], policy, start)
    assert (found.waiting, found.to_come) == (2, 0)


def test_many_versions_are_compared_at_the_price_of_one(project, versions, django_assert_num_queries):
    start, policy, other = versions
    batches = [Batch.objects.create(project=project, name=f"Round {n}") for n in range(10)]
    for batch in batches:
        pair(project, batch, f"about {batch}", start, policy, other)
    with django_assert_num_queries(2):
        read = Compared(batches)
        assert {read.between(each, start, [batch]).tasks for batch in batches for each in (policy, other)} == {1}
