"""Tasks with a known answer and repeats: made and unmade, gold mixed in unseen, who falls behind is paused kindly."""

from collections import Counter
from html.parser import HTMLParser

import pytest
from django.test import Client
from django.urls import reverse

from labeling import actions, queries
from labeling.actions import aside
from labeling.models import Assignment, Desk, Task
from people.errors import Refusal
from people.models import Notice
from tests import factories
from tests.labeling.known import BEST_TO_WORST, add_known, answer, desk_of, let_leases_end, shown, work_through
from tests.pages import without_tokens

State, Kind, Stage = Assignment.State, Task.Kind, Desk.Stage
pytestmark = pytest.mark.django_db


# Made and unmade


def test_a_task_with_a_known_answer_stands_in_no_queue(ana):
    project = factories.project(tasks=2, gold_percent=0)
    task = project.tasks.first()
    actions.set_gold(actor=factories.admin(), task=task, kind="gold", constraints="a > b", explanation=" Because. ")
    task.refresh_from_db()
    assert (task.kind, task.state, task.position, task.overlap, task.free_slots) == ("gold", "open", None, 0, 0)
    assert (task.gold_answer.constraints, task.gold_answer.explanation) == ("A > B", "Because.")
    project.refresh_from_db()
    assert project.known_kinds == ["gold"]
    assert [turn.task_id for turn in work_through(ana, project)] == [project.tasks.last().pk]
    counts = queries.project_counts(project)
    assert (counts["tasks"], counts["wanted"], counts["rankings"], counts["complete"]) == (1, 1, 1, 1)


def test_what_was_ranked_and_is_held_stays_when_a_task_becomes_gold_and_ordinary_again(ana):
    project = factories.project(tasks=1, overlap=3, gold_percent=0)
    task, ben, admin = project.tasks.get(), factories.user(), factories.admin()
    answer(ana, factories.claim(ana, project))
    held = factories.claim(ben, project)
    actions.set_gold(actor=admin, task=task, kind="gold", constraints=BEST_TO_WORST)
    task.refresh_from_db()
    assert (task.overlap, task.free_slots, task.submitted) == (2, 0, 1)
    outcome = answer(ben, held)
    assert (outcome.assignment.state, outcome.assignment.aside, outcome.assignment.slot) == (State.SUBMITTED, False, 2)
    task.refresh_from_db()
    assert (task.state, task.submitted) == ("open", 2)
    task = actions.unset_gold(actor=admin, task=task)
    assert (task.kind, task.overlap, task.free_slots, task.state) == ("normal", 3, 1, "open")
    project.refresh_from_db()
    assert project.known_kinds == []
    assert factories.claim(factories.user(), project).task_id == task.pk


def test_who_leaves_a_task_that_became_gold_meanwhile_leaves_no_slot_behind(ana):
    project = factories.project(tasks=1, gold_percent=0)
    held = factories.claim(ana, project)
    task = project.tasks.get()
    actions.set_gold(actor=factories.admin(), task=task, kind="gold", constraints=BEST_TO_WORST)
    actions.skip_task(actor=ana, assignment=held, reason="cannot judge")
    task.refresh_from_db()
    assert (task.overlap, task.free_slots, task.state, task.position) == (0, 0, "open", None)


def test_what_cannot_be_an_answer_is_refused_with_all_reasons(ana):
    project = factories.project(tasks=1)
    task = project.tasks.get()
    with pytest.raises(Refusal) as caught:
        actions.set_gold(
            actor=factories.admin(), task=task, kind="normal", constraints="A > E", explanation="x" * 6000
        )
    assert len(caught.value.problems) == 3
    with pytest.raises(Refusal, match="No ranking can keep"):
        actions.set_gold(actor=factories.admin(), task=task, kind="gold", constraints="A > B, B > A")
    for verb in (
        lambda: actions.set_gold(actor=ana, task=task, kind="gold", constraints="A > B"),
        lambda: actions.unset_gold(actor=ana, task=task),
    ):
        with pytest.raises(Refusal) as caught:
            verb()
        assert caught.value.status == 403


# Mixed in, unseen


@pytest.mark.slow
def test_gold_tasks_come_about_as_often_as_the_project_wants_and_never_twice(ana):
    project = factories.project(tasks=120, gold_percent=25)
    add_known(project, 60)
    done = work_through(ana, project)
    gold = [turn for turn in done if turn.aside]
    assert 24 <= len(gold) <= 58  # 40 expected
    assert max(Counter(turn.task_id for turn in done).values()) == 1
    gaps = Counter(
        b - a for a, b in zip(*[[i for i, t in enumerate(done) if t.aside][k:] for k in (0, 1)], strict=False)
    )
    assert len(gaps) >= 4  # drawn, not counted
    assert {turn.state for turn in gold} == {State.SUBMITTED}
    assert {turn.slot for turn in gold} == {None}
    assert all(turn.gold_score == 1 for turn in gold)


def test_a_gold_task_looks_like_any_other(ana, settings):
    """Board payload, outcome and figures have the same shape, and say nothing of kind, slot or score."""
    project = factories.project(tasks=40, gold_percent=50, questions=[])
    add_known(project, 40)
    states = {False: [], True: []}
    assignment = factories.claim(ana, project)
    for _ in range(30):
        states[assignment.aside].append(queries.board_state(assignment))
        outcome = answer(ana, assignment)
        assert outcome.feedback is None
        assignment = outcome.next
    assert min(len(of_kind) for of_kind in states.values()) >= 5

    def shape(value):
        if isinstance(value, dict):
            return {key: shape(each) for key, each in value.items()}
        return [shape(each) for each in value] if isinstance(value, list) else type(value).__name__

    everything = states[False] + states[True]
    assert all(shape(state) == shape(everything[0]) for state in everything)
    varies = {"assignment", "prompt", "outputs", "progress", "lease_until"}
    fixed = [{key: value for key, value in state.items() if key not in varies} for state in everything]
    assert all(state == fixed[0] for state in fixed)
    assert all("gold" not in str(state).lower() for state in everything)
    # The figures go on alike: one more done each time, and no exact count of what waits.
    done = sorted(state["progress"]["done"] for state in everything)
    assert done == list(range(30))
    assert {state["progress"]["available"] for state in everything} <= set(queries.ROUNDED)


class Skeleton(HTMLParser):
    """The tags of a page with their attributes, without what must differ: ids, keys, texts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple] = []

    def handle_starttag(self, tag, attributes):
        same = {
            "class",
            "type",
            "name",
            "lang",
            "dir",
            "role",
            "data-state",
            "data-kind",
            "data-stage",
            "hidden",
            "disabled",
        }
        self.tags.append((tag, sorted((name, value if name in same else "") for name, value in attributes)))


def skeleton(html: str) -> list[tuple]:
    parser = Skeleton()
    parser.feed(html)
    return parser.tags


@pytest.mark.slow
def test_the_page_of_a_gold_task_has_the_same_skeleton_and_so_has_the_answer_to_a_submit(ana):
    project = factories.project(tasks=40, gold_percent=50, gold_minimum=0)
    add_known(project, 40)
    browser = Client(headers={"accept": "application/json"})
    browser.force_login(ana)
    pages: dict[bool, list] = {False: [], True: []}
    answers: dict[tuple[bool, bool], tuple] = {}
    for _ in range(14):
        page = browser.get(reverse("rank-project", args=[project.slug]), headers={"accept": "text/html"})
        html = page.content.decode()
        held = Assignment.objects.get(annotator=ana, state=State.CLAIMED)
        pages[held.aside].append(skeleton(html))
        assert "gold" not in without_tokens(html).lower()
        said = {"ranking": "A > B > C > D", "client_key": f"key {held.pk}"}
        answer = browser.post(reverse("turn", args=[held.pk, "submit"]), said).json()
        following = Assignment.objects.get(annotator=ana, state=State.CLAIMED)
        answers[held.aside, following.aside] = sorted(answer), skeleton(answer["html"])
    assert min(len(of_kind) for of_kind in pages.values()) >= 3
    everything = pages[False] + pages[True]
    assert all(page == everything[0] for page in everything)
    seen = list(answers.values())
    assert len(seen) >= 2
    assert all(answer == seen[0] for answer in seen)


def test_who_has_nothing_left_to_rank_gets_no_gold_task_either(ana):
    project = factories.project(tasks=3, gold_percent=50)
    add_known(project, 20)
    work_through(ana, project)
    for _ in range(10):
        assert actions.claim_task(actor=ana, project=project) is None


def test_the_round_of_a_gold_task_is_the_one_that_people_are_in(ana):
    project = factories.project(tasks=20, gold_percent=50)
    admin = factories.admin()
    batch = actions.create_batch(actor=admin, project=project, name="Round 2")
    actions.put_in_batch(actor=admin, project=project, tasks=project.tasks.values_list("pk", flat=True), batch=batch)
    add_known(project, 20)
    first = factories.claim(ana, project)
    Desk.objects.update(until_gold=1)
    gold = answer(ana, first).next
    assert (first.aside, gold.aside) == (False, True)
    assert queries.board_state(gold)["round"] == queries.board_state(first)["round"] == "Round 2"


def test_a_gold_turn_counts_for_nothing_but_the_persons_own_figures(ana):
    project = factories.project(tasks=10, overlap=2, gold_percent=50)
    add_known(project, 10)
    done = work_through(ana, project)
    aside_turns = [turn for turn in done if turn.aside]
    assert aside_turns
    counts = queries.project_counts(project)
    assert (counts["rankings"], counts["wanted"], counts["tasks"]) == (10, 20, 10)
    assert queries.progress(ana.pk, project)["done"] == len(done)
    assert all(
        task.free_slots + task.assignments.filter(slot__isnull=False).count() == task.overlap
        for task in project.tasks.all()
    )


def test_skip_flag_lease_and_undo_of_a_gold_turn_touch_no_slot(ana):
    project = factories.project(tasks=30, gold_percent=50)
    add_known(project, 5)

    def next_gold(person):
        let_leases_end(project)
        Desk.objects.filter(annotator=person).update(until_gold=1)
        turn = factories.claim(person, project)
        assert turn.aside
        return turn

    factories.claim(ana, project)
    skipped = next_gold(ana)
    actions.skip_task(actor=ana, assignment=skipped, reason="no idea")
    assert actions.undo(actor=ana, assignment=skipped).state == State.CLAIMED
    following = answer(ana, skipped, "D > C > B > A").next
    assert desk_of(ana, project).gold_scores == [0]
    actions.undo(actor=ana, assignment=skipped)
    assert desk_of(ana, project).gold_scores == []
    following.refresh_from_db()
    assert following.state == State.EXPIRED
    assert answer(ana, skipped).assignment.gold_score == 1
    assert desk_of(ana, project).gold_scores == [1]
    skipped.refresh_from_db()
    assert (skipped.slot, skipped.aside, skipped.revisions) == (None, True, 2)

    late = next_gold(ana)
    let_leases_end(project)
    late.refresh_from_db()
    assert late.state == State.EXPIRED
    outcome = answer(ana, late)  # late, and kept: never spare
    assert (outcome.assignment.state, outcome.assignment.gold_score) == (State.SUBMITTED, 1)

    # Two people's flags take a gold task out, too.
    task = Task.objects.filter(kind=Kind.GOLD).exclude(assignments__annotator=ana).first()
    others = Task.objects.filter(kind=Kind.GOLD).exclude(pk=task.pk)
    others.update(state=Task.State.REVIEW, closed_in_review=True)
    for person in (ana, factories.user()):
        actions.claim_task(actor=person, project=project)
        flagged = next_gold(person)
        assert flagged.task_id == task.pk
        actions.flag_task(actor=person, assignment=flagged, flag="garbled")
    task.refresh_from_db()
    assert (task.state, task.free_slots) == (Task.State.REVIEW, 0)


def test_a_gold_turn_can_be_revised_and_keeps_the_score_of_the_first_answer(ana):
    project = factories.project(tasks=5, gold_percent=50)
    add_known(project, 5)
    gold = next(turn for turn in work_through(ana, project, "D > C > B > A", turns=4) if turn.aside)
    outcome = actions.revise_ranking(
        actor=ana, assignment=gold, notation=shown(gold, BEST_TO_WORST), client_key="better"
    )
    assert outcome.ranking.revision == 2
    gold.refresh_from_db()
    assert gold.gold_score == 0


def test_sensitive_tasks_with_a_known_answer_go_to_who_takes_such(ana):
    project = factories.project(tasks=3)
    add_known(project, 1, Kind.PRACTICE)
    actions.set_sensitive(
        actor=factories.admin(), project=project, tasks=[project.tasks.get(kind="practice").pk], sensitive=True
    )
    project.refresh_from_db()
    actions.accept_warning(actor=ana, project=project, takes_sensitive=False)
    assert factories.claim(ana, project).task.kind == Kind.NORMAL
    ben = factories.user()
    assert factories.claim(ben, project).task.kind == Kind.PRACTICE


# Falling behind


def test_a_falling_annotator_is_paused_and_told_kindly_and_goes_on_when_an_admin_says_so(ana):
    admin = factories.admin()
    project = factories.project(tasks=60, gold_percent=50, gold_minimum=0.7)
    add_known(project, 30)
    done = work_through(ana, project, "D > C > B > A")
    gold = [turn for turn in done if turn.aside]
    assert len(gold) == aside.GOLD_AT_LEAST
    desk = desk_of(ana, project)
    assert (desk.paused_because, desk.gold_scores) == ("gold", [0.0] * 5)
    assert actions.claim_task(actor=ana, project=project) is None
    assert queries.standing(ana.pk, project)["paused"] == "gold"
    [told] = Notice.objects.filter(person=ana)
    assert "please pause" in str(told)
    assert Notice.objects.filter(person=admin, text__contains="was paused").count() == 1
    with pytest.raises(Refusal, match="heard how it went"):
        actions.undo(actor=ana, assignment=done[-1])

    with pytest.raises(Refusal) as caught:
        actions.resume_desk(actor=ana, project=project, person=ana)
    assert caught.value.status == 403
    actions.resume_desk(actor=admin, project=project, person=ana)
    assert desk_of(ana, project).gold_scores == []
    assert factories.claim(ana, project)
    assert Notice.objects.filter(person=ana, text__contains="Welcome back").exists()


@pytest.mark.slow
def test_who_does_well_is_never_paused_and_only_the_last_gold_tasks_count(ana):
    project = factories.project(tasks=100, gold_percent=50, gold_minimum=0.7)
    add_known(project, 60)
    work_through(ana, project, turns=60)
    desk = desk_of(ana, project)
    assert desk.paused_because == ""
    assert desk.gold_scores == [1.0] * aside.GOLD_WINDOW
    work_through(ana, project, "D > C > B > A")
    desk.refresh_from_db()
    assert desk.paused_because == "gold"
    assert desk.gold_scores.count(0.0) == 4  # 6 of 10 are too few


def test_an_admin_pauses_a_desk_and_what_is_held_is_finished():
    ana = factories.user("researcher")
    project = factories.project(tasks=3)
    held = factories.claim(ana, project)
    actions.pause_desk(actor=factories.admin(), project=project, person=ana)
    assert factories.claim(ana, project) == held
    assert factories.submit(ana, held).next is None
    with pytest.raises(Refusal, match="no tasks of this project now"):
        actions.claim_this_task(actor=ana, task=project.tasks.last())


# Repeats


@pytest.mark.slow
def test_a_task_of_ones_own_comes_again_after_a_while_and_only_once(ana):
    project = factories.project(tasks=120, repeat_percent=20, overlap=1)
    done = work_through(ana, project)
    again = [(place, turn) for place, turn in enumerate(done) if turn.repeat]
    assert 8 <= len(again) <= 45  # about 24 of those that can come
    assert {turn.repeat for _place, turn in again} == {1}
    assert len({turn.task_id for _place, turn in again}) == len(again)
    first = {turn.task_id: place for place, turn in enumerate(done) if not turn.repeat}
    assert all(place - first[turn.task_id] > aside.REPEAT_BEHIND for place, turn in again)
    assert all((turn.aside, turn.slot, turn.gold_score) == (True, None, None) for _place, turn in again)
    assert queries.project_counts(project)["rankings"] == 120
