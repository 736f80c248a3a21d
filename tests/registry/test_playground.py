"""The playground: versions side by side, and their outputs sent to be ranked, unchanged and blind."""

import json
import re

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from labeling.models import Completion, Task
from models_registry import actions, tickets
from models_registry.models import Stage
from models_registry.tickets import Seen, seal
from people.errors import Refusal
from people.models import AuditEntry
from tests import factories
from tests.processes import LONGEST


@pytest.fixture
def signed_in(client, admin):
    client.force_login(admin)
    return client


def ticket(version, text: str, prompt="Say hello", **sampling) -> str:
    return seal(Seen(version.pk, prompt, text, {"seed": 1, **sampling}))


def test_versions_of_one_base_are_marked_and_others_are_said(signed_in, admin, tiny, tiny_tuned):
    page = signed_in.get(reverse("playground"), {"v": ["tiny:v1", "tiny-tuned:v1", "nobody:v1", ""]}).content.decode()
    assert page.count("shares tiny:v1") == 1  # the base itself shares with nobody
    assert "no model version called “nobody:v1”" in page
    alone = signed_in.get(reverse("playground"), {"v": "tiny"}).content.decode()
    assert "shares" not in alone
    assert "Nothing chosen yet" in signed_in.get(reverse("playground")).content.decode()
    actions.set_stage(actor=admin, version=tiny_tuned, stage=Stage.ARCHIVED)
    assert '<option value="tiny-tuned:v1"' not in signed_in.get(reverse("playground")).content.decode()


def test_outputs_become_a_task_that_says_nothing_about_who_wrote_them(signed_in, admin, tiny, tiny_tuned):
    project = factories.project(actor=admin)
    sent = {"project": project.slug, "ticket": [ticket(tiny, "Hi"), ticket(tiny_tuned, "Ho")]}
    answer = signed_in.post(reverse("playground-rank"), sent)
    task = Task.objects.get(project=project)
    assert answer["Location"] == reverse("project-task", args=[project.slug, task.pk])
    assert task.prompt.content == "Say hello"
    assert dict(Completion.objects.values_list("text", "version")) == {"Hi": tiny.pk, "Ho": tiny_tuned.pk}
    assert AuditEntry.objects.get(verb="task.playground").actor == admin
    signed_in.post(reverse("playground-rank"), sent)
    assert Task.objects.count() == 1
    assert Completion.objects.count() == 2

    board = signed_in.get(reverse("rank-project", args=[project.slug])).content.decode()
    assert "Ho" in board
    assert "tiny" not in board


def test_the_order_of_the_columns_is_not_the_order_of_the_task(admin, tiny, tiny_tuned):
    """Else the first letter would always be the version that was chosen first."""
    from labeling.actions import rank_outputs

    firsts = set()
    for number in range(12):
        project = factories.project(actor=admin)
        outputs = [Seen(tiny.pk, f"Prompt {number}", "a", {}), Seen(tiny_tuned.pk, f"Prompt {number}", "b", {})]
        task = rank_outputs(actor=admin, project=project, outputs=outputs)
        firsts.add(task.items.get(position=0).completion.version_id)
    assert firsts == {tiny.pk, tiny_tuned.pk}


def test_nothing_can_be_put_into_a_models_mouth(signed_in, admin, tiny, tiny_tuned):
    project = factories.project(actor=admin)
    good = ticket(tiny, "Hi")
    for forged in (good[:-3] + "abc", "x", ""):
        answer = signed_in.post(reverse("playground-rank"), {"project": project.slug, "ticket": [good, forged]})
        assert answer.status_code == 400
    assert not Task.objects.exists()
    with pytest.raises(Refusal):
        tickets.opened("")


def test_what_cannot_be_a_task_is_said(admin, tiny, tiny_tuned):
    from labeling.actions import rank_outputs

    project = factories.project(actor=admin)
    hi, other = Seen(tiny.pk, "Say hello", "Hi", {}), Seen(tiny_tuned.pk, "Another", "Ho", {})
    empty = [Seen(tiny.pk, " ", "Hi", {}), Seen(tiny_tuned.pk, " ", "Ho", {})]
    gone = [hi, Seen(987654, "Say hello", "Ho", {})]
    for outputs, said in [
        ([hi], "2 to 9"),
        ([hi, other], "different prompts"),
        (empty, "empty"),
        (gone, "was deleted"),
    ]:
        with pytest.raises(Refusal, match=said):
            rank_outputs(actor=admin, project=project, outputs=outputs)
    with pytest.raises(Refusal):
        rank_outputs(actor=factories.user("researcher"), project=project, outputs=[hi, hi])
    assert not Task.objects.exists()


def test_a_researcher_sees_no_way_to_send(client, tiny):
    client.force_login(factories.user("researcher"))
    page = client.get(reverse("playground"), {"v": "tiny"}).content.decode()
    assert "playground/rank" not in page
    assert client.post(reverse("playground-rank"), {"project": factories.project().slug}).status_code == 403


@pytest.mark.slow
def test_what_was_written_to_its_end_comes_with_its_ticket(signed_in, server, tiny):
    answer = signed_in.post(
        reverse("version-answer", args=["tiny", 1]),
        {"prompt": "Hel\r\nlo", "temperature": 1, "top_p": 0.9, "max_tokens": 12, "samples": 1, "seed": 5},
    )
    events = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
    seen = tickets.opened(events[-1]["ticket"])
    assert seen.text == "".join(event.get("text", "") for event in events)
    assert (seen.version, seen.prompt) == (tiny.pk, "Hel\nlo")
    assert seen.sampling["seed"] == 5


@pytest.mark.slow
@pytest.mark.browser
def test_the_whole_way_in_a_browser(open_page, server, admin, tiny, tiny_tuned):
    project = factories.project(actor=admin)
    page = open_page("/models/", admin)
    page.add_init_script("Math.random = () => 0.25")  # the page draws a seed; by some, a model writes nothing
    page.set_default_timeout(LONGEST * 1000)  # models are loaded meanwhile
    page.get_by_label("Choose tiny:v1").check()
    page.get_by_label("Choose tiny-tuned:v1").check()
    page.get_by_role("button", name="Try side by side").click()
    page.get_by_label("Prompt").fill("Hello")
    page.get_by_label("Most tokens").fill("12")
    page.get_by_role("button", name="Write").click()
    page.get_by_role("button", name="Send these outputs").wait_for()
    texts = page.locator(".column .written").all_text_contents()
    assert len(set(texts)) == 2
    seeds = {re.search(r"seed (\d+)", how)[1] for how in page.locator(".column .how").all_text_contents()}
    assert len(seeds) == 1
    page.get_by_role("button", name="Send these outputs").click()
    page.get_by_text(f"The outputs are a task of {project.name} now").wait_for()
    assert set(Completion.objects.values_list("text", flat=True)) == {each.replace("\0", "\ufffd") for each in texts}

    page.goto("/models/playground/?v=tiny:v1")
    page.get_by_text("Earlier prompts").click()
    page.locator("#history").get_by_role("button", name="Hello", exact=True).click()
    expect(page.get_by_label("Prompt")).to_have_value("Hello")
    expect(page.get_by_label("Most tokens")).to_have_value("12")


@pytest.mark.slow
@pytest.mark.browser
def test_stopped_outputs_are_kept_on_the_page_and_not_sent(open_page, server, admin, endless, tiny):
    factories.project(actor=admin)
    page = open_page("/models/playground/?v=endless:v1&v=tiny:v1", admin)
    page.set_default_timeout(LONGEST * 1000)  # models are loaded meanwhile
    page.get_by_label("Prompt").fill("Hello")
    page.get_by_label("Most tokens").fill("4096")
    page.get_by_role("button", name="Write").click()
    page.wait_for_function("document.querySelector('.column .written')?.textContent.length > 20")
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("stopped").first.wait_for()
    assert len(page.locator(".column .written").first.text_content()) > 20
    expect(page.get_by_role("button", name="Write")).to_be_visible()
    expect(page.get_by_role("button", name="Send these outputs")).to_be_hidden()
