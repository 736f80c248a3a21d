"""The registry's pages and endpoints: who may open them, what they show, and that a filter is an address."""

import re

import pytest
from django.urls import reverse
from rest_framework.authtoken.models import Token

from jobs.models import Job
from jobs.worker import run_all_waiting
from models_registry import actions, hooks, lineage, loading, queries, words
from models_registry.models import Stage, Version
from people.errors import Refusal
from people.models import AuditEntry
from tests import factories


@pytest.fixture
def researcher(db):
    return factories.user("researcher")


@pytest.fixture
def annotator(db):
    return factories.user("annotator")


def trained(tiny_model, name: str, tmp_path, sources: dict[str, Version], **more) -> Version:
    """A version as a run registers it: the tiny model with one file that makes it another."""
    folder = tmp_path / f"{name}{Version.objects.count()}"
    folder.mkdir()
    for file in tiny_model.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "metrics.json").write_text(f'{{"count": {Version.objects.count()}}}')
    return actions.register_version(actor=None, model_name=name, folder=folder, sources=sources, **more)


PAGES = [
    ("get", "models", [], {"admin", "researcher"}),
    ("get", "model", ["tiny"], {"admin", "researcher"}),
    ("get", "version", ["tiny", 1], {"admin", "researcher"}),
    ("get", "version-try", ["tiny", 1], {"admin", "researcher"}),
    ("post", "version-answer", ["tiny", 1], {"admin", "researcher"}),
    ("post", "version-verify", ["tiny", 1], {"admin", "researcher"}),
    ("get", "version-card", ["tiny", 1], {"admin"}),
    ("post", "version-stage", ["tiny", 1], {"admin"}),
    ("get", "model-import", [], {"admin"}),
    ("get", "api-models", [], {"admin", "researcher"}),
    ("get", "api-model", ["tiny"], {"admin", "researcher"}),
    ("get", "api-version", ["tiny", 1], {"admin", "researcher"}),
    ("patch", "api-version", ["tiny", 1], {"admin"}),
    ("post", "api-model-import", [], {"admin"}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "address", "arguments", "allowed"), PAGES)
def test_every_address_opens_for_its_roles_alone(
    client, tiny, admin, researcher, annotator, method, address, arguments, allowed
):
    url = reverse(address, args=arguments)
    anonymous = getattr(client, method)(url)
    assert anonymous.status_code == (401 if address.startswith("api-") else 302)
    for person in (admin, researcher, annotator):
        client.force_login(person)
        status = getattr(client, method)(url).status_code
        assert (status == 403) == (person.role not in allowed), (person.role, status)


def test_an_empty_registry_says_what_to_do(client, admin, researcher):
    client.force_login(admin)
    page = client.get(reverse("models")).content.decode()
    assert reverse("model-import") in page
    client.force_login(researcher)
    page = client.get(reverse("models")).content.decode()
    assert "No models yet" in page
    assert reverse("model-import") not in page


def test_the_table_is_searched_and_narrowed_by_the_address(client, admin, tiny, tiny_tuned):
    client.force_login(admin)

    def rows(**query):
        return re.findall(
            r'<th scope="row"><a href="[^"]+">([^<]+)', client.get(reverse("models"), query).content.decode()
        )

    assert rows() == ["tiny-tuned:v1", "tiny:v1"]
    assert rows(q="tuned") == ["tiny-tuned:v1"]
    assert rows(q="llamaforcausal") == ["tiny:v1"]
    assert rows(kind="full") == ["tiny:v1"]
    assert rows(stage="production") == []
    assert rows(head="reward", q="tiny") == []
    assert b"Show all models" in client.get(reverse("models"), {"q": "nothing like it"}).content


def test_the_table_has_pages(client, admin, tiny):
    Version.objects.bulk_create(
        Version(model=tiny.model, number=number, kind="full", digest=tiny.digest, manifest=tiny.manifest)
        for number in range(2, 40)
    )
    client.force_login(admin)
    assert b"page=2" in client.get(reverse("models"), {"q": "tiny"}).content
    assert b"tiny:v1<" in client.get(reverse("models"), {"q": "tiny", "page": 2}).content


def test_a_version_page_tells_what_it_is(client, admin, tiny, tiny_tuned):
    client.force_login(admin)
    page = client.get(tiny_tuned.get_absolute_url()).content.decode()
    assert "an adapter that stands on tiny:v1" in page
    assert tiny.get_absolute_url() in page
    assert all(entry["sha256"] in page for entry in tiny_tuned.manifest["files"])
    assert "Imported from the folder" in page
    assert tiny_tuned.get_absolute_url() in client.get(tiny.get_absolute_url()).content.decode()


@pytest.mark.parametrize(
    ("head", "metrics", "said"),
    [
        ("lm", {"win_rate": 0.84, "win_rate_low": 0.72, "win_rate_high": 0.914, "kl": 9}, "win rate 0.84 (0.72–0.91)"),
        ("reward", {"accuracy": 0.69, "loss": "rao_kupper"}, "pair accuracy 0.69"),
        ("classes", {"accuracy": 0.5}, "accuracy 0.50"),
        ("lm", {"heldout_loss": 1.2968, "steps": 5}, "loss 1.297"),
        ("lm", {"steps": 5}, ""),
    ],
)
def test_the_held_out_result_that_says_most_is_told_with_its_interval(head, metrics, said):
    assert words.result(Version(head=head, metrics=metrics)) == said


def test_the_lines_of_python_load_the_model_and_its_tokenizer(tiny, tiny_tuned):
    import torch

    results = []
    for version in (tiny, tiny_tuned):
        lines = loading.lines(version, {link.pk: str(link.folder) for link in version.chain()})
        loaded: dict = {}
        exec(lines, loaded)  # noqa: S102
        assert loaded["tokenizer"]("3")["input_ids"]
        results.append(loaded["model"](torch.tensor([[1, 5, 9]])).logits)
    assert not torch.allclose(results[0], results[1])


def test_the_floors_above_add_sections(client, admin, tiny, monkeypatch):
    monkeypatch.setattr(hooks, "_sections", [])

    @hooks.version_section
    def made_by(version, user):
        yield hooks.Section("Made by a run", "partials/problems.html", {})

    @hooks.version_section
    def used_in(version, user):
        yield hooks.Section("Ranked in", "partials/problems.html", {}, place="use")

    client.force_login(admin)
    page = client.get(tiny.get_absolute_url()).content.decode()
    assert page.index("Where it came from") < page.index("Made by a run") < page.index("What came of it")
    assert page.index("What came of it") < page.index("Ranked in")
    assert "Nothing yet" not in page


def test_a_card_from_anywhere_cannot_harm_its_reader(client, admin, tiny):
    actions.edit_card(
        actor=admin,
        version=tiny,
        card="# Fine\n<script>alert(1)</script>\n[x](javascript:alert(1)) ![](https://spy.example/x.png)",
        licence="MIT",
    )
    client.force_login(admin)
    page = client.get(tiny.get_absolute_url()).content.decode()
    assert "<h3>Fine</h3>" in page
    assert "<script>alert" not in page
    assert 'href="javascript' not in page
    assert "spy.example" not in page


def test_lineage_runs_through_parents_and_all_inputs_both_ways(tiny_model, tmp_path, tiny, tiny_tuned):
    reward = trained(tiny_model, "reward", tmp_path, {"base": tiny_tuned}, origin={"method": "reward", "run": "1"})
    ppo = trained(tiny_model, "ppo", tmp_path, {"base": tiny_tuned, "reward_model": reward}, origin={"run": "2"})
    further = trained(tiny_model, "further", tmp_path, {"base": ppo}, origin={"run": "3"})

    def links(found):
        return {(str(made), role, str(source)) for made, role, source in found}

    assert links(queries.ancestors(further)) == {
        ("further:v1", "base", "ppo:v1"),
        ("ppo:v1", "base", "tiny-tuned:v1"),
        ("ppo:v1", "reward_model", "reward:v1"),
        ("reward:v1", "base", "tiny-tuned:v1"),
        ("tiny-tuned:v1", "parent", "tiny:v1"),
    }
    assert links(queries.descendants(tiny)) == links(queries.ancestors(further))
    assert queries.descendants(further) == []

    drawing = lineage.draw(ppo)
    place = {str(box.version): box.x for box in drawing.boxes}
    assert place["tiny:v1"] < place["tiny-tuned:v1"] < place["reward:v1"] < place["ppo:v1"] < place["further:v1"]
    corners = [(box.x, box.y) for box in drawing.boxes]
    assert len(set(corners)) == len(corners)
    # The line from tiny-tuned to ppo has room of its own beside the reward model that stands between them.
    past = next(line for line in drawing.lines if line.path.count("C") == 2)
    beside = next(box for box in drawing.boxes if str(box.version) == "reward:v1")
    assert f"L{beside.x + lineage.WIDTH} {beside.y + lineage.HEIGHT / 2}" not in past.path
    assert [str(box.version) for box in drawing.boxes if box.here] == ["ppo:v1"]


def test_a_long_role_has_room_between_the_boxes(tiny_model, tmp_path, tiny):
    judge = trained(tiny_model, "judge", tmp_path, {"base": tiny})
    made = trained(tiny_model, "made", tmp_path, {"base": tiny, "reward_model_2": judge})
    drawing = lineage.draw(made)
    at = {box.version.model.name: box.x for box in drawing.boxes}
    gaps = {name: at[right] - at[name] - lineage.WIDTH for name, right in (("tiny", "judge"), ("judge", "made"))}
    assert gaps["tiny"] == lineage.ACROSS
    assert gaps["judge"] >= lineage.LETTER * len("second reward model")


def test_a_long_lineage_is_drawn_in_part_and_says_so(tiny_model, tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(lineage, "MOST", 3)
    for number in range(5):
        trained(tiny_model, f"m{number}", tmp_path, {"base": tiny})
    drawing = lineage.draw(tiny)
    assert (len(drawing.boxes), drawing.hidden) == (3, 3)


def test_the_same_run_registers_its_result_once(tiny_model, tmp_path, tiny):
    first = actions.register_version(actor=None, model_name="made", folder=tiny_model, origin={"run": "a"})
    again = actions.register_version(actor=None, model_name="made", folder=tiny_model, origin={"run": "a"})
    other = actions.register_version(actor=None, model_name="made", folder=tiny_model, origin={"run": "b"})
    assert first == again
    assert (other.number, other.digest) == (2, first.digest)
    assert AuditEntry.objects.filter(verb="version.register").count() == 2


def test_one_version_is_in_production(client, admin, tiny_model, tmp_path, tiny):
    second = trained(tiny_model, "tiny", tmp_path, {})
    client.force_login(admin)
    for version in (tiny, second):
        client.post(reverse("version-stage", args=["tiny", version.number]), {"stage": "production"})
    tiny.refresh_from_db()
    second.refresh_from_db()
    assert (tiny.stage, second.stage) == (Stage.ARCHIVED, Stage.PRODUCTION)
    assert AuditEntry.objects.filter(verb="version.stage", actor=admin).count() == 2
    assert queries.find("tiny") == second
    actions.set_stage(actor=admin, version=second, stage=Stage.ARCHIVED)
    with pytest.raises(Refusal):
        actions.set_stage(actor=admin, version=second, stage="gold")


def test_references(tiny, tiny_model, tmp_path):
    newest = trained(tiny_model, "tiny", tmp_path, {})
    assert queries.find("tiny:v1") == tiny
    assert queries.find("tiny") == newest
    for wrong in ("tiny:v3", "nobody", "tiny:1", ""):
        with pytest.raises(Refusal) as caught:
            queries.find(wrong)
        assert caught.value.status == 404


def test_the_card_page_saves_and_keeps_what_was_typed_when_it_cannot(client, admin, tiny):
    client.force_login(admin)
    address = reverse("version-card", args=["tiny", 1])
    assert client.post(address, {"card": "About **it**", "licence": "MIT"}).status_code == 302
    assert b"<strong>it</strong>" in client.get(tiny.get_absolute_url()).content
    page = client.post(address, {"card": "Kept", "licence": "x" * 200})
    assert page.status_code == 400
    assert b"Kept" in page.content


def test_verify_shows_its_job_on_the_page(client, admin, tiny):
    client.force_login(admin)
    fragment = client.post(reverse("version-verify", args=["tiny", 1]), headers={"HX-Request": "true"}).content
    assert str(Job.objects.get().pk).encode() in fragment
    run_all_waiting()
    assert b"byte for byte" in client.get(tiny.get_absolute_url()).content


def test_damage_is_shown_on_the_page(client, admin, tiny):
    file = tiny.folder / "tokenizer.json"
    whole = file.read_bytes()
    file.chmod(0o644)
    try:
        file.write_bytes(whole[:-1])
        client.force_login(admin)
        assert b"tokenizer.json has" in client.get(tiny.get_absolute_url()).content
    finally:
        file.write_bytes(whole)
        file.chmod(0o444)


def test_rest_lists_tells_imports_and_changes(client, admin, tiny_model, tiny_adapter, tiny, settings):
    settings.IMPORT_ROOTS = [tiny_model.parent, tiny_adapter.parent]
    token = {"Authorization": f"Token {Token.objects.create(user=admin).key}"}

    def call(method, address, *arguments, **body):
        extra = {"data": body, "content_type": "application/json"} if body else {}
        return getattr(client, method)(reverse(address, args=arguments), headers=token, **extra)

    answer = call("post", "api-model-import", name="tuned", path=str(tiny_adapter), parent="tiny:v1")
    assert answer.status_code == 202
    run_all_waiting()
    assert call("get", "api-job", answer.json()["id"]).json()["result"]["version"] == "tuned:v1"
    listed = call("get", "api-models").json()
    assert [each["name"] for each in listed["results"]] == ["tuned:v1", "tiny:v1"]
    detail = call("get", "api-version", "tuned", 1).json()
    assert (detail["parent"], detail["sources"], detail["kind"]) == ("tiny:v1", {"parent": "tiny:v1"}, "adapter")
    assert call("get", "api-version", "tiny", 1).json()["uses"] == ["tuned:v1"]
    assert [v["number"] for v in call("get", "api-model", "tiny").json()["versions"]] == [1]
    changed = call("patch", "api-version", "tiny", 1, stage="production", licence="MIT").json()
    assert (changed["stage"], changed["licence"]) == ("production", "MIT")

    wrong = call("post", "api-model-import", name="bad name", path="/etc")
    assert wrong.status_code == 400
    assert len(wrong.json()["problems"]) == 2
    assert call("post", "api-model-import", name="x", path=str(tiny_adapter), parent="no:v1").status_code == 404
    assert call("patch", "api-version", "tiny", 1, stage="gold").status_code == 400
    assert call("get", "api-version", "tiny", 9).status_code == 404


def test_rest_exports_merges_deletes_and_tells_of_the_store(client, admin, tiny, tiny_tuned, monkeypatch):
    token = {"Authorization": f"Token {Token.objects.create(user=admin).key}"}

    def call(method, address, *arguments, **body):
        extra = {"data": body, "content_type": "application/json"} if body else {}
        return getattr(client, method)(reverse(address, args=arguments), headers=token, **extra)

    assert b"".join(call("get", "api-version-export", "tiny", 1).streaming_content).startswith(b"PK")
    assert call("post", "api-version-merge", "tiny-tuned", 1, name="merged").status_code == 202
    assert "nothing to merge" in str(call("post", "api-version-merge", "tiny", 1, name="merged").json()["problems"])
    assert call("post", "api-version-verify", "tiny", 1).status_code == 202
    assert call("post", "api-model-store").status_code == 202
    run_all_waiting()
    assert call("get", "api-version", "merged", 1).json()["sources"] == {"base": "tiny-tuned:v1"}
    wrong = call("delete", "api-version", "tiny", 1, confirm="tiny:v1")
    assert (wrong.status_code, "tiny-tuned:v1" in str(wrong.json())) == (409, True)
    assert call("delete", "api-version", "merged", 1, confirm="tiny:v1").status_code == 400
    assert call("delete", "api-version", "merged", 1, confirm="merged:v1").status_code == 204
    assert call("get", "api-version", "merged", 1).status_code == 404

    made = call("post", "api-model-remote", name="far", base_url="https://models.example.org/v1", model="m")
    assert (made.status_code, made.json()["kind"]) == (201, "remote")
    assert call("post", "api-model-remote", name="far", base_url="ftp://x", model="m").status_code == 400
    assert call("post", "api-model-hub", name="x", repo="no-owner").status_code == 400
    disk = call("get", "api-model-store").json()
    assert {"tiny", "tiny-tuned"} <= {share["model"] for share in disk["models"]}
    assert call("delete", "api-model-store").json()["folders"] >= 0

    researcher = {"Authorization": f"Token {Token.objects.create(user=factories.user('researcher')).key}"}
    for method, address, arguments in [
        ("delete", "api-version", ("tiny", 1)),
        ("delete", "api-model-store", ()),
        ("post", "api-model-remote", ()),
        ("post", "api-model-hub", ()),
        ("post", "api-version-merge", ("tiny", 1)),
    ]:
        assert getattr(client, method)(reverse(address, args=arguments), headers=researcher).status_code == 403


@pytest.mark.slow
def test_pages_load_neither_torch_nor_the_model_server(tiny):
    """In a fresh process, as the web server is one."""
    import subprocess
    import sys

    program = (
        "import django, sys; django.setup(); import config.urls, models_registry.jobs;"
        "print([name for name in ('torch', 'transformers', 'peft', 'starlette') if name in sys.modules])"
    )
    import os

    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"
