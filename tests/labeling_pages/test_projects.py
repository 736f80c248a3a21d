"""Pages of projects: what one sees, what one is told to do next, and what the forms do."""

import re

import pytest
from django.urls import reverse

from labeling import actions
from labeling.actions.tasks import NewTask, add_tasks
from labeling.forms.projects import ProjectForm
from labeling.importing.load import import_prompts
from labeling.models import Desk, Project
from models_registry.models import Kind, Model, Version
from people.models import User
from tests import factories
from tests.labeling_pages.conftest import signed_in

pytestmark = pytest.mark.django_db

# What the form of a new project holds when nobody has touched it.
DEFAULTS = {
    name: value
    for name in ProjectForm().fields
    if not ((value := ProjectForm()[name].value()) is False or value in (None, ""))
}


def current_step(response) -> str:
    return re.search(r'<li[^>]*aria-current="step">([^<]*)', response.content.decode())[1].strip()


# The list


def test_an_empty_list_says_what_to_do(page, researcher, said):
    assert "Create project" in said(page.get("/projects/"))
    text = said(signed_in(researcher).get("/projects/"))
    assert "An admin can create one." in text
    assert "Create project" not in text


def test_the_list_shows_progress_and_people(page, said):
    project, annotator = factories.project(tasks=4, overlap=2), factories.user()
    factories.submit(annotator, factories.claim(annotator, project))
    assert re.search(rf"{project.name} open 1 of 8 1 ", said(page.get("/projects/")))


def test_the_list_is_searched_and_filtered_by_its_address(page, said):
    ours = factories.project()
    other = factories.project()
    actions.change_project(actor=factories.admin(), project=other, name="Poems", state="archived")
    assert other.name not in said(page.get("/projects/", {"q": ours.name}))
    assert "Poems" not in said(page.get("/projects/"))  # archived
    assert "Poems" in said(page.get("/projects/", {"state": "archived"}))
    assert "No project fits" in said(page.get("/projects/", {"q": "nothing like it"}))


def test_a_long_list_has_pages_that_keep_the_filters(page):
    admin = factories.admin()
    for number in range(27):
        actions.create_project(actor=admin, name=f"Round {number:02}")
    first = page.get("/projects/", {"q": "round"}).content.decode()
    assert "Round 26" in first
    assert "Round 00" not in first
    assert "q=round&amp;page=2" in first
    assert "Round 00" in page.get("/projects/", {"q": "round", "page": 2}).content.decode()


# Making and changing one


def test_a_project_is_made_with_its_settings(page):
    settings = {
        "name": "Tone",
        "guidelines": "**Polite** first.",
        **DEFAULTS,
        "overlap": 3,
        "acceptability_line": "on",
    }
    response = page.post("/projects/new/", settings)
    project = Project.objects.get()
    assert response["Location"] == project.get_absolute_url()
    assert (project.overlap, project.lease_seconds, project.acceptability_line) == (3, 1800, True)
    assert (project.allow_partial, project.open_to_all) == (False, False)


def test_bad_settings_are_all_named_and_nothing_is_made(page, said):
    response = page.post("/projects/new/", {"name": "", **DEFAULTS, "outputs_per_task": 12, "heldout_percent": 95})
    assert response.status_code == 400
    assert len(re.findall('class="error"', response.content.decode())) == 3
    assert not Project.objects.exists()


def test_a_project_called_new_has_an_address_of_its_own(page):
    page.post("/projects/new/", {"name": "New", **DEFAULTS})
    assert Project.objects.get().slug != "new"


def test_settings_are_changed_and_bad_ones_change_nothing(page):
    project = factories.project()
    address = reverse("project-settings", args=[project.slug])
    assert f'value="{project.name}"' in page.get(address).content.decode()
    page.post(address, {"name": "Renamed", **DEFAULTS, "lease_minutes": 5})
    project.refresh_from_db()
    assert (project.name, project.lease_seconds, project.heldout_percent) == ("Renamed", 300, 20)
    response = page.post(address, {"name": "Again", **DEFAULTS, "overlap": 0})
    assert response.status_code == 400
    project.refresh_from_db()
    assert project.name == "Renamed"


@pytest.mark.slow
def test_pausing_and_opening_again(page, said):
    project, annotator = factories.project(tasks=1), factories.user()
    address = reverse("project-state", args=[project.slug])
    assert "nobody gets a new task" in said(page.post(address, {"state": "paused"}, follow=True))
    assert actions.claim_task(actor=annotator, project=Project.objects.get()) is None
    page.post(address, {"state": "open"})
    assert actions.claim_task(actor=annotator, project=Project.objects.get()) is not None
    assert page.post(address, {"state": "gone"}).status_code == 400


# What to do next


@pytest.mark.slow
def test_the_next_step_follows_the_project(page, admin, said):
    project = factories.project(actor=admin, open_to_all=False, heldout_percent=0)
    overview = project.get_absolute_url()
    assert current_step(page.get(overview)) == "Import prompts"
    add_tasks(project, [NewTask("Why?")])
    assert current_step(page.get(overview)) == "Get outputs"
    add_tasks(project, [factories.task(1)])
    assert current_step(page.get(overview)) == "Invite people"
    annotator = factories.user()
    actions.add_members(actor=admin, project=project, users=[annotator])
    project.refresh_from_db()
    assert current_step(page.get(overview)) == "Rank"
    factories.submit(annotator, factories.claim(annotator, project))
    assert current_step(page.get(overview)) == "Freeze a snapshot"
    dataset, _new = actions.freeze_snapshot(actor=admin, project=project)
    response = page.get(overview)
    assert current_step(response) == "Train"
    assert dataset.name in said(response)


def test_a_revision_after_the_snapshot_asks_for_a_new_one(page, admin):
    project, annotator = factories.project(actor=admin, tasks=1), factories.user()
    assignment = factories.claim(annotator, project)
    factories.submit(annotator, assignment)
    actions.freeze_snapshot(actor=admin, project=project)
    assert current_step(page.get(project.get_absolute_url())) == "Train"
    actions.revise_ranking(actor=annotator, assignment=assignment, notation="D > A > B = C", client_key="other mind")
    assert current_step(page.get(project.get_absolute_url())) == "Freeze a snapshot"


def test_what_a_snapshot_does_not_hold_makes_it_no_older(page, admin):
    project, researcher, annotator = (
        factories.project(actor=admin, tasks=2),
        factories.user("researcher"),
        factories.user(),
    )
    task, gold = project.tasks.order_by("pk")
    actions.set_gold(actor=admin, task=gold, kind="gold", constraints="A > B")
    project.refresh_from_db()
    Desk.objects.create(project=project, annotator=annotator, until_gold=1)
    turn = factories.claim(annotator, project)
    assert turn.task == gold
    factories.submit(researcher, actions.claim_this_task(actor=researcher, task=task))
    actions.freeze_snapshot(actor=admin, project=project)
    factories.submit(annotator, turn)
    assert current_step(page.get(project.get_absolute_url())) == "Train"


def test_what_nobody_can_give_is_not_wanted(page, admin, said):
    project = factories.project(actor=admin, tasks=2, overlap=2)
    batch = actions.create_batch(actor=admin, project=project, name="round 1")
    first, second = project.tasks.order_by("pk")
    actions.put_in_batch(actor=admin, project=project, tasks=[first.pk, second.pk], batch=batch)
    actions.close_task(actor=admin, task=second)
    for person in (factories.user(), factories.user()):
        factories.submit(person, factories.claim(person, project))
    text = said(page.get(project.get_absolute_url()))
    assert "2 of 2 rankings" in text
    assert "1 of 1 tasks complete" in text
    assert "round 1 complete 2 of 2 1 of 1" in text
    assert current_step(page.get(project.get_absolute_url())) == "Freeze a snapshot"
    assert "2 of 2" in said(page.get(reverse("projects")))


def test_a_researcher_sees_the_overview_without_what_only_admins_do(researcher, said):
    project = factories.project()
    text = said(signed_in(researcher).get(project.get_absolute_url()))
    assert "An admin does this." in text
    assert "Settings" not in text


def test_guidelines_are_markdown_and_nothing_in_them_runs(page):
    project = factories.project(guidelines="**Polite** first. <script>alert(1)</script>")
    body = page.get(project.get_absolute_url()).content.decode()
    assert "<strong>Polite</strong>" in body
    assert "<script>alert" not in body


def test_whoever_came_with_an_import_is_named_as_in_the_file(page, admin, said, tmp_path):
    project = factories.project(actor=admin)
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "Why?", "completions": ["a", "b"], "ranking": "A > B", "annotator": "J038"}')
    import_prompts(actor=admin, project=project, path=rows)
    assert "J038 imported 1 0 0" in said(page.get(project.get_absolute_url()))


# Tasks


def tasks_of(project: Project) -> str:
    return reverse("project-tasks", args=[project.slug])


def test_tasks_are_searched_and_filtered(page, said):
    project, annotator = factories.project(tasks=3), factories.user()
    factories.submit(annotator, factories.claim(annotator, project))
    address = tasks_of(project)
    every = said(page.get(address))
    assert all(f"Prompt {number}" in every for number in range(3))
    assert "Prompt 0" not in said(page.get(address, {"state": "unranked"}))
    ranked = said(page.get(address, {"state": "ranked"}))
    assert "Prompt 0 complete 1 of 1 4 train" in ranked
    assert "Prompt 1" not in ranked
    assert "Prompt 2 open" in said(page.get(address, {"q": "answer c to 2"}))  # in an output
    assert "No task fits" in said(page.get(address, {"split": "heldout"}))


def test_tasks_are_found_by_words_that_are_not_ascii(page, said):
    project = factories.project()
    add_tasks(project, [NewTask("Apa itu kopi tubruk? Größe", [("a", ""), ("b", "")]), factories.task(1)])
    text = said(page.get(tasks_of(project), {"q": "Größe"}))
    assert "kopi" in text
    assert "Prompt 1" not in text


def test_a_task_shows_who_wrote_what_and_every_revision(researcher, said):
    admin = factories.admin()
    project, annotator = factories.project(actor=admin, tasks=1), factories.user()
    assignment = factories.claim(annotator, project)
    factories.submit(annotator, assignment)
    shown = actions.revise_ranking(
        actor=annotator, assignment=assignment, notation="A = B > C > D", client_key="second", comment="On reflection."
    )
    task = project.tasks.get()
    text = said(signed_in(researcher).get(reverse("project-task", args=[project.slug, task.pk])))
    assert "A system A" in text
    assert shown.ranking.notation in text
    assert assignment.rankings.get(revision=1).notation in text
    assert "revision 1, replaced" in text
    assert "On reflection." in text


def test_a_task_is_ranked_from_its_page(page, admin, said):
    project = factories.project(actor=admin, tasks=3)
    last = project.tasks.order_by("pk").last()
    address = reverse("project-task", args=[project.slug, last.pk])
    assert "Rank this task" in said(page.get(address))
    answer = page.post(f"{address}rank/")
    assert answer["Location"] == reverse("rank-project", args=[project.slug])
    assert actions.claim_task(actor=admin, project=project).task == last
    factories.submit(admin, actions.claim_task(actor=admin, project=project))
    assert "Rank this task" not in said(page.get(address))


def test_a_task_says_which_model_wrote_an_output(page, admin, said):
    project = factories.project(actor=admin, tasks=1)
    model = Model.objects.create(name="poet")
    version = Version.objects.create(model=model, number=2, kind=Kind.FULL, digest="0" * 64)
    item = project.tasks.get().items.first()
    item.completion.version, item.completion.sampling = version, {"temperature": 0.7, "seed": 5}
    item.completion.save()
    text = said(page.get(reverse("project-task", args=[project.slug, project.tasks.get().pk])))
    assert "poet:v2" in text
    assert "temperature 0.7" in text


def test_a_task_of_another_project_is_not_there(page):
    one, other = factories.project(tasks=1), factories.project()
    assert page.get(reverse("project-task", args=[other.slug, one.tasks.get().pk])).status_code == 404


# People


def test_people_are_added_and_removed(page, said):
    project, annotator = factories.project(open_to_all=False, tasks=1), factories.user()
    address = reverse("project-members", args=[project.slug])
    page.post(address, {"add": "1", "people": [annotator.pk]})
    assert actions.claim_task(actor=annotator, project=project) is not None
    assert f"Role of {annotator.username} here" in page.get(address).content.decode()
    page.post(address, {"remove": annotator.pk})
    assert not project.memberships.exists()
    assert page.post(address, {"add": "1"}).status_code == 400


def test_someone_new_is_made_and_added_with_a_password_shown_once(page, said):
    project = factories.project(open_to_all=False)
    address = reverse("project-members", args=[project.slug])
    response = page.post(address, {"make": "1", "username": "sari", "full_name": "Sari", "role": "annotator"})
    person = User.objects.get(username="sari")
    password = re.search(r'data-copy="([^"]+)"', response.content.decode())[1]
    assert person.check_password(password)
    assert list(project.memberships.values_list("user", flat=True)) == [person.pk]
    assert password not in page.get(address).content.decode()


def test_someone_new_with_a_taken_name_is_refused_and_nobody_is_added(page, said):
    project, taken = factories.project(open_to_all=False), factories.user()
    address = reverse("project-members", args=[project.slug])
    response = page.post(address, {"make": "1", "username": taken.username, "role": "annotator"})
    assert response.status_code == 400
    assert "already a person with the name" in said(response)
    assert not project.memberships.exists()
