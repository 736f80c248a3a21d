"""Merging, comparing, deleting, and what the store takes on the disk."""

import json
import threading

import pytest
from django.urls import reverse

from jobs.models import Job
from jobs.worker import run_all_waiting
from models_registry import actions, comparing, queries, store
from models_registry.models import Model, Source, Version
from people.errors import Refusal
from people.models import AuditEntry
from tests import factories
from tests.registry.test_export import made, numbers, registered  # noqa: F401  (a fixture)

# ---- Merging ---------------------------------------------------------------------------------------------------------


def test_a_lora_is_merged_into_its_base_and_answers_alike(client, admin, tiny, tiny_tuned):
    client.force_login(admin)
    answer = client.post(reverse("version-merge", args=["tiny-tuned", 1]), {"name": "merged"})
    assert answer.status_code == 302
    run_all_waiting()
    assert Job.objects.get().result["version"] == "merged:v1"
    version = queries.find("merged")
    assert (version.kind, version.parent, version.head) == ("full", None, "lm")
    assert version.origin["method"] == "merge"
    assert queries.sources(version) == [(version, "base", tiny_tuned)]
    assert numbers(version) == pytest.approx(numbers(tiny_tuned), abs=1e-4)
    assert numbers(version) != pytest.approx(numbers(tiny), abs=1e-2)
    assert version.parameters == tiny.parameters


@pytest.mark.slow
def test_a_reward_adapter_keeps_its_head_its_scale_and_the_heads_of_its_ensemble(admin, tiny, made):  # noqa: F811
    from models_registry.lm.chain import active_head, load
    from models_registry.lm.members import Members
    from models_registry.lm.score import scores_of_members

    folder = made("reward")
    head = active_head(load([tiny.folder, folder]))
    Members.around(head, 3, seed=1).save(folder)
    version = registered(tiny, folder, metrics={"accuracy": 0.7})
    actions.begin_merge(actor=admin, version=version, name="merged")
    run_all_waiting()
    merged = queries.find("merged")
    assert merged.head == "reward"
    assert (version.metrics, merged.metrics) == ({"accuracy": 0.7}, {})  # what was measured, and not of the merged one
    assert json.loads((merged.folder / "reward.json").read_text())["std"] == 2.0
    assert numbers(merged) == pytest.approx(numbers(version), abs=1e-4)
    by_head = [scores_of_members(load(queries.folders(each)), [("Say", "one")]) for each in (version, merged)]
    assert by_head[0].shape == (1, 3)
    assert by_head[1].flatten().tolist() == pytest.approx(by_head[0].flatten().tolist(), abs=1e-4)


@pytest.mark.parametrize(
    ("kind", "said"),
    [("bottleneck", "not linear"), ("prefix", "a prefix"), ("soft", "a soft prompt"), ("words", "a hard prompt")],
)
def test_what_cannot_be_merged_says_why(client, admin, tiny, made, kind, said):  # noqa: F811
    version = registered(tiny, made(kind))
    with pytest.raises(Refusal, match=said):
        actions.begin_merge(actor=admin, version=version, name="merged")
    client.force_login(admin)
    assert said in client.get(reverse("version-merge", args=[version.model.name, 1])).content.decode()
    assert not Job.objects.exists()


def test_full_weights_are_not_merged(admin, tiny):
    with pytest.raises(Refusal, match="nothing to merge"):
        actions.begin_merge(actor=admin, version=tiny, name="merged")


# ---- Comparing -------------------------------------------------------------------------------------------------------


def test_differences_are_marked(client, admin, tiny, tiny_model, copy_of):
    folder = copy_of(tiny_model)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(config | {"hidden_act": "gelu", "rope_parameters": {"rope_theta": 7.0}})
    )
    origin = {"method": "finetune", "config": {"tune": {"kind": "lora", "rank": 4}, "lr": 0.1}}
    other = actions.register_version(
        actor=None, model_name="other", folder=folder, origin=origin, metrics={"heldout_loss": 2.5123456}
    )
    groups = {group.title: {row.name: row for row in group.rows} for group in comparing.compare([tiny, other])}
    assert groups["config.json"]["hidden_act"].values == ["silu", "gelu"]
    assert groups["config.json"]["hidden_act"].differs
    assert groups["config.json"]["rope_parameters.rope_theta"].values[1] == "7.0"
    assert not groups["config.json"]["hidden_size"].differs
    assert groups["How they were made"]["Rank r"].values == ["", "4"]
    assert groups["Figures"]["Loss, held out"].values == ["", "2.512"]
    assert groups["Files"]["config.json"].differs
    assert not groups["Files"]["model.safetensors"].differs

    client.force_login(admin)
    address = reverse("models-compare")
    whole = client.get(address, {"v": ["tiny", "other"]}).content.decode()
    assert "hidden_size" in whole
    only = client.get(address, {"v": ["tiny", "other"], "only": "1"}).content.decode()
    assert "hidden_act" in only
    assert "hidden_size" not in only
    assert "Choose two versions" in client.get(address, {"v": "tiny"}).content.decode()
    assert "no model version" in client.get(address, {"v": ["tiny", "nobody"]}).content.decode()


# ---- Deleting --------------------------------------------------------------------------------------------------------


def test_a_version_that_nothing_needs_is_deleted_with_its_files(client, admin, tiny):
    folder, digest = tiny.folder, tiny.digest
    client.force_login(admin)
    address = reverse("version-delete", args=["tiny", 1])
    assert "Type tiny:v1 to confirm" in client.get(address).content.decode()
    assert client.post(address, {"confirm": "tiny"}).status_code == 400
    assert Version.objects.exists()
    assert client.post(address, {"confirm": "tiny:v1"}).status_code == 302
    assert not Version.objects.exists()
    assert not folder.exists()
    assert not folder.with_suffix(".json").exists()
    entry = AuditEntry.objects.get(verb="version.delete")
    assert (entry.actor, entry.data["digest"], entry.data["name"]) == (admin, digest, "tiny:v1")


def test_what_others_stand_on_or_were_made_of_stays(admin, tiny, tiny_tuned, tiny_model):
    with pytest.raises(Refusal, match="tiny-tuned:v1"):
        actions.delete_version(actor=admin, version=tiny, confirm="tiny:v1")
    child = actions.register_version(actor=None, model_name="child", folder=tiny_model, sources={"base": tiny_tuned})
    with pytest.raises(Refusal, match="child:v1"):
        actions.delete_version(actor=admin, version=tiny_tuned, confirm="tiny-tuned:v1")
    actions.delete_version(actor=admin, version=child, confirm="child:v1")
    actions.delete_version(actor=admin, version=tiny_tuned, confirm="tiny-tuned:v1")
    assert not Source.objects.exists()
    assert actions.delete_version(actor=admin, version=tiny, confirm="tiny:v1")


def test_what_runs_and_tasks_name_stays(admin, tiny, tiny_tuned, tiny_model):
    from labeling.models import Completion
    from training.models import Run, RunInput

    run = Run.objects.create(name="first try", method="finetune", output_name="x")
    other = actions.register_version(actor=None, model_name="other", folder=tiny_model)
    RunInput.objects.create(run=run, role="base", version=other)
    project = factories.project(actor=admin, tasks=1)
    third = actions.register_version(actor=None, model_name="third", folder=tiny_model)
    prompt = project.prompts.get()
    Completion.objects.create(prompt=prompt, text="x", digest="d", version=third)
    for version, said in [(other, "first try"), (third, "1 output in a project")]:
        with pytest.raises(Refusal, match=said):
            actions.delete_version(actor=admin, version=version, confirm=str(version))
    assert Version.objects.count() == 4


def test_what_nobody_foresaw_is_kept_by_the_database(admin, tiny, monkeypatch):
    from models_registry import hooks
    from training.models import Run, RunInput

    RunInput.objects.create(run=Run.objects.create(name="r", method="finetune"), role="base", version=tiny)
    monkeypatch.setattr(hooks, "_needs", [])
    with pytest.raises(Refusal, match="still name it"):
        actions.delete_version(actor=admin, version=tiny, confirm="tiny:v1")
    assert tiny.folder.is_dir()
    assert not AuditEntry.objects.filter(verb="version.delete").exists()


def test_shared_files_stay_until_the_last_has_gone(admin, tiny, tiny_model):
    twin = actions.import_folder(actor=None, name="twin", path=tiny_model).version
    assert not actions.delete_version(actor=admin, version=tiny, confirm="tiny:v1")
    assert twin.folder.is_dir()
    assert actions.delete_version(actor=admin, version=twin, confirm="twin:v1")
    assert not twin.folder.exists()


def test_a_number_is_never_given_twice(admin, tiny, tiny_model):
    actions.delete_version(actor=admin, version=tiny, confirm="tiny:v1")
    assert str(actions.import_folder(actor=None, name="tiny", path=tiny_model).version) == "tiny:v2"


def test_a_researcher_may_not_delete(client, tiny):
    person = factories.user("researcher")
    with pytest.raises(Refusal):
        actions.delete_version(actor=person, version=tiny, confirm="tiny:v1")
    with pytest.raises(Refusal):
        actions.reclaim(actor=person)


# ---- The disk --------------------------------------------------------------------------------------------------------


@pytest.fixture
def own_store(settings, tmp_path):
    settings.ARTIFACTS = tmp_path / "artifacts"


def test_disk_use_by_model_with_shared_content_once(own_store, client, admin, tiny, tiny_tuned, tiny_model):
    actions.import_folder(actor=None, name="twin", path=tiny_model)
    actions.register_remote(actor=None, name="far", base_url="http://x/v1", model="m")
    disk = queries.disk()
    shares = {str(share.model): (share.versions, share.bytes, share.shared) for share in disk.models}
    assert shares == {
        "tiny": (1, tiny.size, tiny.size),
        "twin": (1, tiny.size, tiny.size),
        "tiny-tuned": (1, tiny_tuned.size, 0),
    }
    assert disk.total == tiny.size + tiny_tuned.size
    client.force_login(admin)
    assert "tiny-tuned" in client.get(reverse("models-disk")).content.decode()


def test_orphans_are_found_and_reclaimed(own_store, client, admin, tiny, tiny_tuned):
    Version.objects.filter(pk=tiny_tuned.pk).delete()  # as a broken machine would leave it
    assert queries.disk().orphans == {tiny_tuned.digest: tiny_tuned.size}
    client.force_login(admin)
    assert "Reclaim the room" in client.get(reverse("models-disk")).content.decode()
    client.post(reverse("models-reclaim"))
    assert not tiny_tuned.folder.exists()
    assert tiny.folder.is_dir()
    assert AuditEntry.objects.get(verb="store.reclaim").data["digests"] == [tiny_tuned.digest]


def test_nothing_is_removed_while_something_is_added(own_store, admin, tiny, tiny_tuned, tiny_model):
    """Else a folder could go between its copying and its registration."""
    Version.objects.filter(pk=tiny_tuned.pk).delete()
    files, _left_out = store.pick(tiny_model)
    with store.adding(files, kind="full", parent=None), pytest.raises(Refusal, match="just being added"):
        actions.reclaim(actor=admin)
    assert actions.reclaim(actor=admin)["folders"] == 1


@pytest.mark.slow
def test_an_import_waits_until_a_removal_has_ended(own_store, tiny, tiny_model):
    files, _left_out = store.pick(tiny_model)
    asked, done = threading.Event(), threading.Event()

    def add():
        asked.wait(60)
        with store.adding(files, kind="full", parent=None):
            done.set()

    thread = threading.Thread(target=add)
    thread.start()

    def named(digest: str) -> bool:
        asked.set()
        assert not done.wait(0.3)
        return True

    assert store.remove([tiny.digest], named=named) == []
    thread.join(60)
    assert done.is_set()
    assert tiny.folder.is_dir()


def test_all_hashes_are_verified_in_one_job(own_store, client, admin, tiny, tiny_tuned):
    client.force_login(admin)
    client.post(reverse("models-verify"))
    run_all_waiting()
    assert "All 2 folders" in Job.objects.get().result["message"]
    file = tiny_tuned.folder / "adapter_model.safetensors"
    whole = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    actions.begin_verify_all(actor=admin)
    run_all_waiting()
    assert "tiny-tuned:v1" in Job.objects.first().error


def test_an_empty_store_says_what_to_do(own_store, client, admin):
    client.force_login(admin)
    assert "The store is empty" in client.get(reverse("models-disk")).content.decode()
    assert not Model.objects.exists()
