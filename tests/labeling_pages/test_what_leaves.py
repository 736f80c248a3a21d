"""Whatever is taken away as a file is noted: who took what, of which project."""

import pytest

from labeling import actions
from labeling.trail import place_name
from people.models import AuditEntry
from people.queries import read
from tests import factories
from tests.labeling_pages.judging import say

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(admin):
    made = factories.project(actor=admin, tasks=3, outputs=3, overlap=2)
    for person in (factories.user(), factories.user()):
        say(person, made, "A > B > C", "A > B > C")
    return made


def noted_by(page, address: str) -> AuditEntry:
    """The one entry that a download leaves."""
    before = set(AuditEntry.objects.values_list("pk", flat=True))
    answer = page.get(address)
    assert answer.status_code == 200
    b"".join(answer.streaming_content if answer.streaming else [answer.content])
    return AuditEntry.objects.exclude(pk__in=before).get()


@pytest.mark.parametrize(
    ("address", "verb", "said"),
    [
        ("/projects/{}/settings.json?known=1", "project.export_settings", {"known_answers": True}),
        ("/api/v1/projects/{}/settings-file/", "project.export_settings", {"known_answers": True}),
        ("/projects/{}/quality/files/report.json", "project.export_quality", {"what": "report.json"}),
        ("/projects/{}/quality/files/annotators.csv", "project.export_quality", {"what": "annotators.csv"}),
        ("/projects/{}/quality/files/agreement-0.vl.json", "project.export_quality", {"what": "agreement-0.vl.json"}),
        ("/api/v1/projects/{}/quality/?part=annotators", "project.export_quality", {"what": "annotators"}),
        ("/projects/{}/order/tasks.jsonl", "project.export_tasks", {}),
        ("/projects/{}/hours/file/", "project.export_hours", {}),
        ("/api/v1/projects/{}/turns/", "project.export_turns", {}),
    ],
)
def test_a_download_of_a_project_leaves_one_entry_that_reads_as_a_sentence(page, admin, project, address, verb, said):
    entry = noted_by(page, address.format(project.slug))
    assert (entry.verb, entry.actor, entry.place) == (verb, admin, place_name(project.pk))
    assert entry.data.items() >= said.items()
    (told,) = read([entry])
    assert told.sentence.startswith(f"{admin} exported ")
    assert verb not in told.sentence
    if "what" in said:
        assert said["what"] in told.sentence


def test_a_file_of_a_data_set_is_noted_too(page, admin, project):
    dataset, _new = actions.freeze_snapshot(actor=admin, project=project)
    for name in ("data.jsonl", "manifest.json"):
        entry = noted_by(page, f"/data/{dataset.pk}/files/{name}")
        assert (entry.verb, entry.object_id, entry.data["what"]) == ("dataset.export", str(dataset.pk), name)


def test_what_is_not_there_leaves_nothing(page, project):
    before = AuditEntry.objects.count()
    for name in ("nothing.csv", "agreement-99.vl.json", "agreement"):
        assert page.get(f"/projects/{project.slug}/quality/files/{name}").status_code == 404
    assert AuditEntry.objects.count() == before
