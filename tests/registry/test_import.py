"""Importing model folders: what is taken, what is refused and why, and that what is registered never changes."""

import json
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse

from jobs.models import Job
from jobs.worker import run_all_waiting
from models_registry import actions, queries, store, uploads
from models_registry.models import Kind, Model, Stage, Version
from people.errors import Refusal
from people.models import AuditEntry
from tests import factories


@pytest.fixture(autouse=True)
def roots(settings, tmp_path, tiny_model, tiny_adapter):
    settings.IMPORT_ROOTS = [tmp_path, tiny_model.parent, tiny_adapter.parent]


def refused(call, **arguments) -> str:
    """The problems of a Refusal, and the proof that it left nothing behind."""
    with pytest.raises(Refusal) as caught:
        call(**arguments)
    assert not Version.objects.exists()
    assert not Model.objects.exists()
    return "\n".join(str(problem) for problem in caught.value.problems)


def test_a_folder_becomes_an_immutable_version_with_its_facts(admin, tiny_model):
    imported = actions.import_folder(actor=admin, name="tiny", path=tiny_model, licence="MIT")
    version = imported.version
    assert str(version) == "tiny:v1"
    assert (version.kind, version.head, version.stage) == (Kind.FULL, "lm", Stage.CANDIDATE)
    assert version.architecture == "LlamaForCausalLM"
    assert version.context_length == 128
    assert version.facts["dtype"] == "F32"
    assert version.licence == "MIT"
    assert version.origin == {"imported_from": "tiny-llama"}
    assert version.size == sum(file.stat().st_size for file in tiny_model.iterdir())
    assert {file.name: file.read_bytes() for file in tiny_model.iterdir()} == {
        file.name: file.read_bytes() for file in version.folder.iterdir()
    }
    assert AuditEntry.objects.get(verb="version.import").actor == admin

    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(version.folder)
    assert version.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_what_is_registered_can_be_changed_neither_on_disk_nor_as_a_row(tiny):
    file = tiny.folder / "config.json"
    assert all(not path.stat().st_mode & 0o222 for path in [file, tiny.folder])
    tiny.digest = "0" * 64
    with pytest.raises(ValueError, match="immutable"):
        tiny.save()
    with pytest.raises(ValueError, match="immutable"):
        tiny.save(update_fields=["digest"])


def test_the_digest_is_that_of_the_canonical_manifest(tiny):
    import hashlib

    for entry in tiny.manifest["files"]:
        assert hashlib.sha256((tiny.folder / entry["path"]).read_bytes()).hexdigest() == entry["sha256"]
    text = json.dumps(tiny.manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == tiny.digest
    assert json.loads(tiny.folder.with_suffix(".json").read_text()) == tiny.manifest


def test_the_same_content_is_stored_once(admin, tiny_model, tiny):
    again = actions.import_folder(actor=admin, name="tiny", path=tiny_model)
    assert again.version == tiny
    assert "already" in again.notes[0]
    other_name = actions.import_folder(actor=admin, name="other", path=tiny_model).version
    assert other_name != tiny
    assert other_name.folder == tiny.folder


def test_changed_content_is_the_next_version(admin, tiny_model, tiny, copy_of):
    folder = copy_of(tiny_model)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": "gelu"}))
    version = actions.import_folder(actor=admin, name="tiny", path=folder).version
    assert str(version) == "tiny:v2"
    assert version.digest != tiny.digest


def test_pickles_and_code_beside_safetensors_are_left_out_by_name(admin, tiny_model, copy_of):
    folder = copy_of(tiny_model)
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04K*.")
    (folder / "training_args.bin").write_bytes(b"\x80\x04K*.")
    (folder / "modeling.py").write_text("raise SystemExit")
    (folder / "events.out.tfevents").write_bytes(b"x")
    (folder / "checkpoint-5").mkdir()
    (folder / "checkpoint-5" / "optimizer.pt").write_bytes(b"x")
    imported = actions.import_folder(actor=admin, name="tiny", path=folder)
    names = {entry["path"] for entry in imported.version.manifest["files"]}
    assert names == {file.name for file in tiny_model.iterdir()}
    notes = "\n".join(imported.notes)
    for name in ("pytorch_model.bin", "training_args.bin", "modeling.py", "events.out.tfevents", "checkpoint-5/"):
        assert name in notes


def spoil_pickles_only(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04K*.")


def spoil_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def spoil_remote_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "modeling.Model"}}))


def spoil_cut_off(folder: Path) -> None:
    path = folder / "model.safetensors"
    os.truncate(path, path.stat().st_size - 10)


def spoil_cut_off_header(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 20)


def spoil_no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def spoil_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_pickles_only, ["pickle", "safetensors"]),
        (spoil_no_weights, ["no weights", "model.safetensors"]),
        (spoil_remote_code, ["auto_map", "never run"]),
        (spoil_cut_off, ["model.safetensors", "cut off"]),
        (spoil_cut_off_header, ["model.safetensors", "cut off"]),
        (spoil_no_config, ["no model folder"]),
        (spoil_config, ["config.json"]),
    ],
)
def test_a_folder_that_cannot_be_loaded_is_refused_with_the_reason(admin, tiny_model, copy_of, spoil, words):
    folder = copy_of(tiny_model)
    spoil(folder)
    problems = refused(actions.import_folder, actor=admin, name="tiny", path=folder)
    assert all(word in problems for word in words), problems
    assert not list((store.folder_of("0").parent.parent / ".incoming").glob("*"))


def test_all_reasons_are_given_at_once(admin, tiny_model, copy_of):
    folder = copy_of(tiny_model)
    spoil_remote_code(folder)
    spoil_pickles_only(folder)
    problems = refused(actions.import_folder, actor=admin, name="-bad name-", path=folder)
    assert all(word in problems for word in ("name consists", "auto_map", "pickle"))


@pytest.mark.parametrize("name", ["", "import", "new", "a/b", "..", "é", "-x", "x" * 81])
def test_names_that_are_no_names(admin, tiny_model, name):
    refused(actions.import_folder, actor=admin, name=name, path=tiny_model)


def test_a_name_that_differs_in_case_alone_is_refused(admin, tiny_model, tiny):
    with pytest.raises(Refusal, match="tiny"):
        actions.import_folder(actor=admin, name="Tiny", path=tiny_model)


def test_only_the_allowed_places_can_be_imported_from_the_site(admin, tiny_model, tmp_path, settings):
    settings.IMPORT_ROOTS = [tmp_path]
    for path in (tiny_model, tmp_path / ".." / tiny_model.name, "relative/folder", "/etc", "/no/such/folder"):
        problems = refused(actions.import_folder, actor=admin, name="tiny", path=path)
        assert "no folder" not in problems  # whether it exists is nobody's business
    (tmp_path / "way-out").symlink_to(tiny_model)
    refused(actions.import_folder, actor=admin, name="tiny", path=tmp_path / "way-out")


@pytest.mark.parametrize("path", ["/{root}/" + "x" * 300, "~nobody-of-that-name/model", "{root}/locked"])
def test_a_path_that_cannot_be_read_is_a_problem_and_no_crash(admin, tmp_path, path, monkeypatch):
    (tmp_path / "locked").mkdir()
    iterdir = Path.iterdir

    def locked(folder):  # the tests may run as root, whom no mode stops
        if folder.name == "locked":
            raise PermissionError(13, "Permission denied", str(folder))
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", locked)
    refused(actions.import_folder, actor=admin, name="tiny", path=path.format(root=tmp_path))


def test_links_are_followed_inside_the_allowed_places_and_never_out_of_them(admin, tiny_model, tmp_path, settings):
    """The Hugging Face cache is made of links from snapshots/ to blobs/."""
    settings.IMPORT_ROOTS = [tmp_path]
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for number, file in enumerate(sorted(tiny_model.iterdir())):
        (blobs / str(number)).write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(blobs / str(number))
    secret = tiny_model / "config.json"
    (snapshot / "extra.json").symlink_to(secret)
    assert "extra.json" in refused(actions.import_folder, actor=admin, name="tiny", path=snapshot)
    (snapshot / "extra.json").unlink()
    version = actions.import_folder(actor=admin, name="tiny", path=snapshot).version
    assert not any(file.is_symlink() for file in version.folder.iterdir())


def test_the_shell_may_import_from_anywhere(db, tiny_model, settings, tmp_path, capsys):
    settings.IMPORT_ROOTS = [tmp_path]
    call_command("import_model", "tiny", str(tiny_model), "--licence", "MIT")
    assert capsys.readouterr().out == "tiny:v1\n"
    assert Version.objects.get().licence == "MIT"


def test_the_shell_says_all_problems(db, tmp_path):
    with pytest.raises(CommandError, match=r"(?s)A name consists.*no model folder"):
        call_command("import_model", "no name", str(tmp_path))


def test_an_adapter_needs_its_parent_and_gets_its_own_folder(admin, tiny, tiny_adapter):
    with pytest.raises(Refusal, match="tiny-llama"):
        actions.import_folder(actor=admin, name="tuned", path=tiny_adapter)
    version = actions.import_folder(actor=admin, name="tuned", path=tiny_adapter, parent=tiny).version
    assert (version.kind, version.parent, version.head) == (Kind.ADAPTER, tiny, "lm")
    assert version.manifest["parent"] == tiny.digest
    assert version.parameters > tiny.parameters
    assert version.chain() == [tiny, version]
    assert queries.folders(version) == [tiny.folder, version.folder]


def test_full_weights_stand_on_no_parent(admin, tiny, tiny_model):
    with pytest.raises(Refusal, match="no parent"):
        actions.import_folder(actor=admin, name="more", path=tiny_model, parent=tiny)


def test_an_adapter_of_another_model_is_refused(admin, tiny_adapter, tmp_path):
    from tests.engine.tiny import causal_lm

    wide = tmp_path / "wide"
    causal_lm("llama", hidden_size=64).save_pretrained(wide)
    other = tmp_path / "other"
    causal_lm("gpt2").save_pretrained(other)
    for folder, words in ((wide, "does not fit"), (other, "has no layer")):
        (folder / "tokenizer.json").write_text("{}")
        parent = actions.import_folder(actor=admin, name=folder.name, path=folder).version
        with pytest.raises(Refusal, match=words):
            actions.import_folder(actor=admin, name="tuned", path=tiny_adapter, parent=parent)


def test_a_card_and_its_licence_are_read_from_the_readme(admin, tiny_model, copy_of):
    folder = copy_of(tiny_model)
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# Tiny\nWrites noise.\n")
    version = actions.import_folder(actor=admin, name="tiny", path=folder).version
    assert version.licence == "apache-2.0"
    assert version.card == "# Tiny\nWrites noise."


def test_damage_is_seen_at_load_by_size_and_on_demand_by_hash(admin, tiny, settings):
    weights = tiny.folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.chmod(0o644)
    try:
        weights.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        assert queries.damage(tiny) == []
        job = actions.begin_verify(actor=admin, version=tiny)
        run_all_waiting()
        job.refresh_from_db()
        assert job.state == Job.State.FAILED
        assert "model.safetensors" in job.error
        weights.write_bytes(whole[:-1])
        with pytest.raises(Refusal, match=r"model\.safetensors"):
            queries.folders(tiny)
    finally:
        weights.write_bytes(whole)
        weights.chmod(0o444)
    job = actions.begin_verify(actor=admin, version=tiny)
    run_all_waiting()
    job.refresh_from_db()
    assert job.state == Job.State.DONE


def test_importing_again_mends_a_damaged_folder(admin, tiny, tiny_model):
    os.chmod(tiny.folder, 0o755)
    (tiny.folder / "config.json").unlink()
    assert queries.damage(tiny)
    assert actions.import_folder(actor=admin, name="tiny", path=tiny_model).version == tiny
    assert queries.damage(tiny) == []


def test_a_cancelled_import_leaves_nothing(admin, tiny_model):
    class Stop(Exception):
        pass

    def stop(done, total):
        raise Stop

    with pytest.raises(Stop):
        actions.import_folder(actor=admin, name="tiny", path=tiny_model, progress=stop)
    assert not Version.objects.exists()
    assert not list((store.folder_of("0").parent.parent / ".incoming").glob("*"))


@pytest.mark.django_db(transaction=True)
def test_numbers_stay_unique_when_many_register_at_once(tiny_model, tmp_path):
    folders = []
    for number in range(8):
        folder = tmp_path / str(number)
        folder.mkdir()
        for file in tiny_model.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        (folder / "note.txt").write_text(str(number))
        folders.append(folder)

    def register(folder):
        try:
            return actions.register_version(actor=None, model_name="tiny", folder=folder).number
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(register, folders))
    assert sorted(numbers) == list(range(1, 9))


# ---- Through the browser -------------------------------------------------------------------------------------------


def test_a_folder_on_the_server_is_imported_by_the_worker(client, admin, tiny_model):
    client.force_login(admin)
    answer = client.post(reverse("model-import"), {"name": "tiny", "path": str(tiny_model), "card": "Mine"})
    job = Job.objects.get()
    assert answer["Location"] == reverse("job", args=[job.pk])
    run_all_waiting()
    job.refresh_from_db()
    assert job.state == Job.State.DONE, job.error
    assert job.result["url"] == reverse("version", args=["tiny", 1])
    assert (Version.objects.get().card, Version.objects.get().created_by) == ("Mine", admin)


def test_problems_stand_beside_the_form_and_what_was_typed_stays(client, admin, tmp_path):
    client.force_login(admin)
    page = client.post(reverse("model-import"), {"name": "tiny", "path": str(tmp_path)})
    assert page.status_code == 400
    assert b"This is no model folder" in page.content
    assert str(tmp_path).encode() in page.content
    assert not Job.objects.exists()
    page = client.post(reverse("model-import"), {"name": "tiny"})
    assert b"one of the two" in page.content


def uploaded(folder: Path) -> list[SimpleUploadedFile]:
    return [SimpleUploadedFile(file.name, file.read_bytes()) for file in sorted(folder.iterdir())]


def zipped(folder: Path, tmp_path: Path, inside: str = "tiny-llama/") -> SimpleUploadedFile:
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, inside + file.name)
        archive.writestr("__MACOSX/._x", "x")
    return SimpleUploadedFile("model.zip", path.read_bytes())


@pytest.mark.parametrize("as_zip", [False, True])
def test_files_are_uploaded_one_by_one_or_as_a_zip(client, admin, tiny_model, tmp_path, settings, as_zip):
    client.force_login(admin)
    files = [zipped(tiny_model, tmp_path)] if as_zip else uploaded(tiny_model)
    assert client.post(reverse("model-import"), {"name": "tiny", "files": files}).status_code == 302
    run_all_waiting()
    version = Version.objects.get()
    assert {file.name for file in version.folder.iterdir()} == {file.name for file in tiny_model.iterdir()}
    assert not list((Path(settings.UPLOADS) / "models").iterdir())


def test_a_bad_upload_is_refused_and_removed(client, admin, tiny_model, settings, tmp_path):
    client.force_login(admin)
    for files in (
        [file for file in uploaded(tiny_model) if file.name != "model.safetensors"],
        [SimpleUploadedFile("model.zip", b"PK no zip")],
    ):
        assert client.post(reverse("model-import"), {"name": "tiny", "files": files}).status_code == 400
    assert not list((Path(settings.UPLOADS) / "models").iterdir())
    assert not Job.objects.exists()


@pytest.mark.parametrize("name", ["../../escaped.json", "/tmp/escaped.json"])
def test_a_zip_cannot_write_outside_its_folder(db, tmp_path, name):
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "{}")
    with pytest.raises(Refusal, match="way out"):
        uploads.receive([SimpleUploadedFile("evil.zip", path.read_bytes())])


def test_only_those_who_manage_models_import(db, client, tiny_model):
    for person in (factories.user(), factories.user("researcher")):
        with pytest.raises(Refusal) as caught:
            actions.begin_import(actor=person, name="tiny", path=tiny_model)
        assert caught.value.status == 403
        with pytest.raises(Refusal):
            actions.import_folder(actor=person, name="tiny", path=tiny_model)
    assert not Version.objects.exists()
