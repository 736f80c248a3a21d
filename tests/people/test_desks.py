"""What an admin may decide about somebody's desk: of those who rank in the project, and of nobody else."""

import pytest

from labeling import actions
from labeling.models import Desk
from people.errors import Refusal
from people.models import AuditEntry, Notice
from tests import factories

pytestmark = pytest.mark.django_db

VERBS = ["pause_desk", "resume_desk", "let_in", "let_try_again"]


@pytest.fixture
def boss():
    return factories.admin()


@pytest.fixture
def project(boss):
    return factories.project(actor=boss, tasks=1, open_to_all=False)


def decide(verb: str, boss, project, person):
    if verb == "set_daily_goal":
        return actions.set_daily_goal(actor=boss, project=project, user=person, goal=5)
    return getattr(actions, verb)(actor=boss, project=project, person=person)


@pytest.mark.parametrize("verb", [*VERBS, "set_daily_goal"])
def test_nothing_is_decided_about_people_who_do_not_rank_in_the_project(verb, boss, project):
    stranger = factories.user(first_name="Sari")
    closed = factories.user(first_name="Tono", is_active=False)
    actions.add_members(actor=boss, project=project, users=[closed])
    before = AuditEntry.objects.count()
    with pytest.raises(Refusal, match="Sari does not take part in this project"):
        decide(verb, boss, project, stranger)
    with pytest.raises(Refusal, match="Tono cannot rank: their account is closed"):
        decide(verb, boss, project, closed)
    assert not Desk.objects.exists()
    assert not Notice.objects.exists()
    assert AuditEntry.objects.count() == before


def test_in_a_project_open_to_all_everybody_who_ranks_has_a_goal(boss):
    project = factories.project(actor=boss, tasks=1)
    someone = factories.user()
    decide("set_daily_goal", boss, project, someone)
    assert Desk.objects.get(annotator=someone).daily_goal == 5


def test_the_page_offers_nothing_for_who_has_left_and_says_so_when_it_is_asked_all_the_same(client, boss, project):
    gone = factories.user(first_name="Sari")
    actions.add_members(actor=boss, project=project, users=[gone])
    factories.submit(gone, factories.claim(gone, project))
    client.force_login(boss)
    address = f"/projects/{project.slug}/people/"
    assert 'name="goal"' in client.get(address).content.decode()
    actions.remove_members(actor=boss, project=project, users=[gone])
    page = client.get(address).content.decode()
    assert "Sari" in page
    assert 'name="goal"' not in page
    assert 'value="pause"' not in page
    answer = client.post(address, {"do": "pause", "person": gone.pk})
    assert answer.status_code == 400
    assert "Sari does not take part in this project" in answer.content.decode()
