"""Freezing and exporting: the counts beforehand are the counts in the file, and every tie is where it was promised."""

import json
import re

import pytest
from django.urls import reverse

from labeling import actions
from labeling.models import Dataset
from tests import factories
from tests.labeling_pages.conftest import signed_in
from training.models import Run, RunInput

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(admin):
    """Three tasks of four outputs: 6 pairs with a winner, 5 and a tie, and all tied."""
    made = factories.project(actor=admin, tasks=3, acceptability_line=True)
    annotator = factories.user()
    for notation in ["A > B > C > D", "A > B = C | D", "A = B = C = D"]:
        factories.submit(annotator, factories.claim(annotator, made), notation)
    return made


@pytest.fixture
def snapshot(admin, project):
    return actions.freeze_snapshot(actor=admin, project=project, name="Round 1")[0]


def file_behind(page, export_page) -> list[dict]:
    """The rows of the file that the page's download button gives."""
    address = re.search(r'href="([^"]+)" download', export_page.content.decode())[1].replace("&amp;", "&")
    body = b"".join(page.get(address).streaming_content)
    return [json.loads(line) for line in body.splitlines()]


def promised(said, export_page) -> int:
    return int(re.search(r"Download (\d+) row", said(export_page))[1])


def test_with_nothing_ranked_there_is_nothing_to_freeze(page, said):
    project = factories.project(tasks=1)
    address = reverse("project-freeze", args=[project.slug])
    assert "nothing to freeze" in said(page.get(address))
    assert page.post(address, {"name": "Early"}).status_code == 400
    assert not Dataset.objects.exists()
    assert "Freeze a snapshot first" in said(page.get(reverse("project-export", args=[project.slug])))


def test_the_counts_before_are_what_is_frozen(page, project, said):
    address = reverse("project-freeze", args=[project.slug])
    text = said(page.get(address))
    assert "3 rankings 2 with ties 3 tasks 1 people 3 in train 0 held-out" in text
    assert "No ranking is held out" in text
    response = page.post(address, {"name": "Round 1"}, follow=True)
    dataset = Dataset.objects.get()
    assert response.request["PATH_INFO"] == dataset.get_absolute_url()
    assert (dataset.rows, dataset.name) == (3, "Round 1")
    assert "With ties 2, of which 1 tie everything" in said(response)
    assert "Round 1" in said(page.get(address))


def test_freezing_again_without_news_is_the_same_snapshot(page, project, snapshot, said):
    response = page.post(reverse("project-freeze", args=[project.slug]), {"name": "Round 2"}, follow=True)
    assert "it is the same one" in said(response)
    assert Dataset.objects.count() == 1


def test_spare_rankings_are_counted_and_frozen_only_when_asked(page, admin, said):
    project, slow, quick = factories.project(actor=admin, tasks=1), factories.user(), factories.user()
    late = factories.claim(slow, project)
    late.lease_until = late.claimed_at
    late.save()
    actions.expire_leases(project=project)
    factories.submit(quick, factories.claim(quick, project))
    factories.submit(slow, late)
    address = reverse("project-freeze", args=[project.slug])
    assert "1 rankings" in said(page.get(address))
    assert "2 rankings" in said(page.get(address, {"spare": "on"}))
    page.post(address, {"spare": "on"})
    assert Dataset.objects.get().rows == 2


@pytest.mark.parametrize(
    ("choice", "rows"),
    [
        ({"what": "rankings"}, 3),
        ({"what": "pairs", "ties": "drop"}, 11),
        ({"what": "pairs", "ties": "both"}, 25),
        ({"what": "pairs", "ties": "rows"}, 18),
        ({"what": "pairs", "ties": "drop", "margin": "on"}, 11),
        ({"what": "acceptable"}, 4),
        ({"what": "pairs", "ties": "drop", "split": "train"}, 11),
    ],
)
def test_the_file_has_the_rows_that_were_promised(page, snapshot, said, choice, rows):
    export_page = page.get(reverse("dataset-export", args=[snapshot.pk]), choice)
    assert promised(said, export_page) == rows
    found = file_behind(page, export_page)
    assert len(found) == rows
    assert all(("margin" in row) == ("margin" in choice) for row in found)


def test_every_tie_is_in_the_file_where_it_was_promised(page, snapshot):
    address = reverse("dataset-export", args=[snapshot.pk])
    labels = [row["label"] for row in file_behind(page, page.get(address, {"what": "pairs", "ties": "rows"}))]
    assert labels.count("=") == 7
    both = file_behind(page, page.get(address, {"what": "pairs", "ties": "both"}))
    ways = {(row["prompt"], row["chosen"], row["rejected"]) for row in both}
    assert sum((prompt, worse, better) in ways for prompt, better, worse in ways) == 14


def test_a_choice_without_rows_offers_no_download(page, snapshot, said):
    text = said(page.get(reverse("dataset-export", args=[snapshot.pk]), {"split": "heldout"}))
    assert "This choice gives no rows." in text


def test_the_curl_command_asks_for_what_was_chosen(page, snapshot):
    chosen = {"what": "pairs", "ties": "both", "margin": "on", "split": "train"}
    body = page.get(reverse("dataset-export", args=[snapshot.pk]), chosen).content.decode()
    assert f"http://testserver/api/v1/datasets/{snapshot.pk}/pairs/?split=train&amp;ties=both&amp;margin=1" in body


def test_the_projects_export_is_that_of_the_newest_snapshot(page, admin, project, snapshot):
    annotator = project.assignments.first().annotator
    actions.revise_ranking(
        actor=annotator, assignment=project.assignments.first(), notation="D > A > B = C", client_key="new"
    )
    newest, _new = actions.freeze_snapshot(actor=admin, project=project)
    response = page.get(reverse("project-export", args=[project.slug]))
    assert response["Location"] == reverse("dataset-export", args=[newest.pk])


def test_a_nonsense_choice_is_refused(page, snapshot):
    assert page.get(reverse("dataset-export", args=[snapshot.pk]), {"ties": "flip a coin"}).status_code == 400


def test_researchers_freeze_and_export_but_annotators_do_not(researcher, project, snapshot):
    addresses = [
        reverse("project-freeze", args=[project.slug]),
        reverse("dataset-export", args=[snapshot.pk]),
        reverse("dataset-file", args=[snapshot.pk, "data.jsonl"]),
        snapshot.get_absolute_url(),
    ]
    for address in addresses:
        assert signed_in(researcher).get(address).status_code == 200
        assert signed_in(factories.user()).get(address).status_code == 403


def test_a_run_that_used_the_snapshot_is_counted_and_closes_the_circle(page, project, snapshot, said):
    for shown in (page.get("/data/"), page.get(reverse("project-freeze", args=[project.slug]))):
        assert "none" in said(shown)
    run = Run.objects.create(name="Taste", method="reward", output_name="taste")
    RunInput.objects.create(run=run, role="dataset", dataset=snapshot)
    for shown in (page.get("/data/"), page.get(reverse("project-freeze", args=[project.slug]))):
        assert "1 run" in said(shown)
    assert "Taste" in said(page.get(snapshot.get_absolute_url()))
    assert "have been used for training" in said(page.get(project.get_absolute_url()))


def test_a_snapshot_leads_to_the_methods_that_learn_from_rankings_the_reward_model_first(page, snapshot):
    offered = re.findall(
        rf"method=(\w+)&amp;inputs.dataset={snapshot.pk}", page.get(snapshot.get_absolute_url()).content.decode()
    )
    assert offered == ["reward", "dpo", "kto", "grpo", "ppo", "rloo"]
