"""The role that somebody has in a project adds to their role on the site, there and nowhere else."""

import pytest
from django.test import Client
from django.urls import reverse

from labeling import actions, places
from labeling.models import Dataset
from people.errors import Refusal
from people.models import Role
from people.permissions import ALL_RIGHTS, ANYWHERE, PLACE_RIGHTS, ROLE_RIGHTS, Right, can, rights_at, roles_with
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss():
    return factories.admin()


@pytest.fixture
def mine(boss):
    return factories.project(actor=boss, tasks=2, open_to_all=False)


@pytest.fixture
def other(boss):
    return factories.project(actor=boss, tasks=2, open_to_all=False)


def member(project, role, site_role=Role.ANNOTATOR):
    person = factories.user(site_role)
    actions.add_members(actor=factories.admin(), project=project, users=[person], role=role)
    return person


@pytest.mark.slow
@pytest.mark.parametrize("role", Role.values)
@pytest.mark.parametrize("site_role", Role.values)
def test_rights_add_up(mine, other, role, site_role):
    person = member(mine, role, site_role)
    for right in ALL_RIGHTS:
        on_site = right in ROLE_RIGHTS[site_role]
        here = on_site or right in ROLE_RIGHTS[role] & PLACE_RIGHTS
        assert can(person, right) == on_site
        assert can(person, right, mine) == here
        assert can(person, right, other) == on_site
        assert can(person, right, ANYWHERE) == here
    for right in PLACE_RIGHTS:
        assert (role in roles_with(right)) == (right in rights_at(person, mine))


def test_what_is_about_the_whole_site_is_given_by_no_role_in_a_project(mine):
    person = member(mine, Role.ADMIN)
    for right in (
        Right.MANAGE_PEOPLE,
        Right.LAUNCH_RUNS,
        Right.SAMPLE_MODELS,
        Right.CREATE_PROJECTS,
        Right.MANAGE_MODELS,
    ):
        assert not can(person, right, mine)


def test_a_deactivated_admin_of_a_project_may_nothing(mine):
    person = member(mine, Role.ADMIN)
    person.is_active = False
    assert not rights_at(person, mine)
    assert not can(person, Right.RANK, mine)


def test_an_admin_of_a_project_runs_it_and_no_other(mine, other):
    person = member(mine, Role.ADMIN)
    newcomer = factories.user()
    actions.change_project(actor=person, project=mine, name="Renamed")
    actions.add_members(actor=person, project=mine, users=[newcomer], role=Role.RESEARCHER)
    factories.submit(newcomer, factories.claim(newcomer, mine))
    snapshot, _new = actions.freeze_snapshot(actor=newcomer, project=mine)
    for verb in (
        lambda: actions.change_project(actor=person, project=other, name="Mine now"),
        lambda: actions.add_members(actor=person, project=other, users=[person], role=Role.ADMIN),
        lambda: actions.freeze_snapshot(actor=newcomer, project=other),
        lambda: actions.change_project(actor=newcomer, project=mine, name="Mine now"),
        lambda: actions.create_project(actor=person, name="A new one"),
    ):
        with pytest.raises(Refusal) as refused:
            verb()
        assert refused.value.status == 403
    assert Dataset.objects.get() == snapshot


def of(person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_lists_show_what_one_may_see(boss, mine, other):
    person = member(mine, Role.RESEARCHER)
    ranker = member(mine, Role.ANNOTATOR)
    for each in (mine, other):
        who = member(each, Role.ANNOTATOR)
        factories.submit(who, factories.claim(who, each))
        actions.freeze_snapshot(actor=boss, project=each, name=f"Snapshot of {each.name}")
    page = of(person).get("/projects/").content.decode()
    assert mine.name in page
    assert other.name not in page
    assert "Create project" not in page
    data = of(person).get("/data/").content.decode()
    assert f"Snapshot of {mine.name}" in data
    assert f"Snapshot of {other.name}" not in data
    api = of(person).get("/api/v1/datasets/").json()["results"]
    assert [row["project"] for row in api] == [mine.slug]
    assert {row["slug"] for row in of(person).get("/api/v1/projects/").json()["results"]} == {mine.slug}
    assert of(ranker).get("/projects/").status_code == of(ranker).get("/data/").status_code == 403
    assert list(places.projects_with(ranker, Right.SEE_PROJECTS)) == []
    assert set(places.projects_with(boss, Right.SEE_PROJECTS)) == {mine, other}


def test_the_navigation_and_the_start_page_follow(mine):
    person, ranker = member(mine, Role.ADMIN), member(mine, Role.ANNOTATOR)
    assert of(person).get("/").headers["location"] == "/projects/"
    assert of(ranker).get("/").headers["location"] == "/rank/"
    page = of(person).get("/projects/").content.decode()
    navigation = page[page.index("<nav") : page.index("</nav>")]
    assert [name for name in ("Rank", "Projects", "Models", "Runs", "Data") if f">{name}<" in navigation] == [
        "Rank", "Projects", "Data",
    ]  # fmt: skip


def test_a_page_of_a_project_shows_no_button_that_would_refuse(mine):
    researcher, admin = member(mine, Role.RESEARCHER), member(mine, Role.ADMIN)
    address = mine.get_absolute_url()
    for person, may in ((researcher, False), (admin, True)):
        page = of(person).get(address).content.decode()
        for name in ("project-settings", "project-members", "project-import"):
            link = reverse(name, args=[mine.slug])
            assert (f'href="{link}"' in page) == may
            assert (of(person).get(link).status_code == 200) == may
        assert reverse("project-freeze", args=[mine.slug]) in page
        assert reverse("project-sample", args=[mine.slug]) not in page  # models are the site's


def test_on_an_empty_board_those_who_see_the_project_are_led_to_it(boss):
    project = factories.project(actor=boss)
    for person, led in ((member(project, Role.RESEARCHER), True), (member(project, Role.ANNOTATOR), False)):
        page = of(person).get(f"/rank/{project.slug}/").content.decode()
        assert (f'href="{project.get_absolute_url()}"' in page) == led


def test_what_does_not_exist_is_refused_like_what_one_may_not_see(mine, other):
    person = member(mine, Role.ADMIN)
    pages = [of(person).get(f"/projects/{slug}/settings/") for slug in (other.slug, "no-such-project")]
    assert [page.status_code for page in pages] == [403, 403]


def test_a_role_on_the_site_is_enough_and_nothing_is_looked_up(boss, mine, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert can(boss, Right.MANAGE_PROJECTS, mine)
        assert can(factories.User(role=Role.ANNOTATOR), Right.RANK, mine)


def test_a_snapshots_maker_deletes_it_and_the_projects_admin_may(mine):
    researcher, another, admin = (member(mine, role) for role in (Role.RESEARCHER, Role.RESEARCHER, Role.ADMIN))
    ranker = member(mine, Role.ANNOTATOR)
    factories.submit(ranker, factories.claim(ranker, mine))
    snapshot, _new = actions.freeze_snapshot(actor=researcher, project=mine)
    with pytest.raises(Refusal) as refused:
        actions.delete_dataset(actor=another, dataset=snapshot)
    assert refused.value.status == 403
    assert of(another).get(f"/data/{snapshot.pk}/delete/").status_code == 403
    assert of(admin).get(f"/data/{snapshot.pk}/delete/").status_code == 200
    actions.delete_dataset(actor=researcher, dataset=snapshot)


def test_a_job_about_a_project_is_seen_and_cancelled_by_its_admins(boss, mine, other):
    from jobs.actions import enqueue
    from labeling.queries import subject_of

    job = enqueue(actor=boss, what="import", arguments={"project": mine.pk}, subject=subject_of(mine))
    address = f"/jobs/{job.pk}/"
    assert of(member(mine, Role.ADMIN)).get(address).status_code == 200
    for outsider in (member(mine, Role.RESEARCHER), member(other, Role.ADMIN)):
        assert of(outsider).get(address).status_code == 403
        assert of(outsider).delete(f"/api/v1{address}").status_code == 403
    assert of(member(mine, Role.ADMIN)).delete(f"/api/v1{address}").status_code == 200
