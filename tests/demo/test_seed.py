"""The seed of a new installation: enough to rank and to train at once, brought once."""

import pytest

from labeling.actions import change_project, claim_task, freeze_snapshot, submit_ranking
from labeling.models import Dataset, Project
from labeling.queries import board_state
from people.models import AuditEntry, User
from tests import factories
from training.demo.corpus import QUESTIONS
from training.demo.seed import SIGN_INS, seed
from training.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> User:
    return factories.admin()


@pytest.mark.slow
def test_it_brings_a_project_with_forty_tasks_that_anyone_can_rank_at_once(admin):
    seed(sign_ins=True)
    project = Project.objects.get()
    assert project.is_demo
    assert project.tasks.count() == 40
    annotator = User.objects.get(username="demo-annotator")
    assignment = claim_task(actor=annotator, project=project)
    assert len(board_state(assignment)["outputs"]) == 4
    submit_ranking(actor=annotator, assignment=assignment, notation="A > B = C > D", client_key="first")
    snapshot, new = freeze_snapshot(actor=admin, project=project)
    assert new
    assert snapshot.rows == 1


@pytest.mark.slow
def test_it_brings_the_corpus_with_the_split_of_its_questions(admin):
    seed(sign_ins=True)
    prompts = Dataset.objects.get(kind=Dataset.Kind.PROMPTS)
    heldout = sum(question.heldout for question in QUESTIONS)
    assert prompts.splits == {"train": len(QUESTIONS) - heldout, "heldout": heldout}
    assert set(Dataset.objects.values_list("kind", flat=True)) == {"text", "sft", "prompts"}


@pytest.mark.slow
def test_it_queues_one_small_model_to_start_from(admin):
    seed(sign_ins=True)
    run = Run.objects.get()
    assert (run.method, run.state, run.output_name) == ("pretrain", Run.State.QUEUED, "demo-base")


@pytest.mark.slow
def test_a_second_time_nothing_happens(admin):
    first = seed(sign_ins=True)
    before = _counts()
    assert seed(sign_ins=True) == first
    assert _counts() == before


@pytest.mark.slow
def test_a_project_that_was_archived_under_another_name_is_not_brought_again(admin):
    seed(sign_ins=True)
    change_project(actor=admin, project=Project.objects.get(), name="Old", state=Project.State.ARCHIVED)
    seed(sign_ins=True)
    assert list(Project.objects.values_list("name", "state")) == [("Old", "archived")]


@pytest.mark.slow
def test_a_seed_that_was_cut_off_is_completed(admin, monkeypatch):
    def cut_off(**_arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("training.demo.seed.create_run", cut_off)
        with pytest.raises(KeyboardInterrupt):
            seed(sign_ins=True)
    seed(sign_ins=True)
    assert Project.objects.count() == Run.objects.count() == 1
    assert Dataset.objects.count() == 3


@pytest.mark.slow
def test_demo_sign_ins_work_without_a_password_and_from_this_machine_only(admin, client):
    seed(sign_ins=True)
    people = User.objects.filter(username__in=SIGN_INS)
    assert {person.username: person.role for person in people} == {name: role for name, (_, role) in SIGN_INS.items()}
    assert all(person.loopback_only and not person.has_usable_password() for person in people)
    page = "/sign-in/"
    elsewhere = client.post(page, {"demo": "demo-annotator"}, REMOTE_ADDR="192.0.2.1")
    assert elsewhere.status_code == 404
    here = client.post(page, {"demo": "demo-annotator"}, REMOTE_ADDR="127.0.0.1", HTTP_HOST="localhost")
    assert here.status_code == 302


@pytest.mark.slow
def test_a_site_that_others_can_reach_gets_no_demo_sign_ins(admin):
    assert seed(sign_ins=False) == []
    assert not User.objects.filter(loopback_only=True).exists()


def _counts() -> dict[str, int]:
    return {model.__name__: model.objects.count() for model in (Project, Dataset, Run, User, AuditEntry)}
