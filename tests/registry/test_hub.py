"""The Hub: what is fetched and what is not, with progress; and what is said where it cannot be reached."""

import json
import subprocess
import sys

import pytest
from django.urls import reverse

from jobs.models import Job
from jobs.worker import run_all_waiting
from models_registry import actions, hub, queries
from models_registry.models import Version
from people.errors import Refusal
from tests.processes import LONGEST

# The part of the Hub's protocol that a download needs: what a repository holds, and its files.
PROGRAM = """
import hashlib, http.server, json, os, sys
root = sys.argv[1]
COMMIT = "c" * 40

class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", headers.pop("length", str(len(body))))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        with open(root + "/asked.txt", "a") as log:
            log.write(f"{self.command} {self.path} {self.headers.get('Authorization', '-')}\\n")
        path = self.path.split("?")[0].strip("/").split("/")
        if path[:2] == ["api", "models"]:
            folder = os.path.join(root, *path[2:4])
            if not os.path.isdir(folder):
                return self.answer(404, b"{}", X_Error_Code="RepoNotFound")
            if path[3] == "gated" and "Bearer" not in self.headers.get("Authorization", ""):
                return self.answer(403, b"{}", X_Error_Code="GatedRepo")
            names = [os.path.relpath(os.path.join(d, f), folder) for d, _, fs in os.walk(folder) for f in fs]
            files = [{"rfilename": n, "size": os.path.getsize(os.path.join(folder, n))} for n in sorted(names)]
            body = {"id": "/".join(path[2:4]), "sha": COMMIT, "siblings": files, "private": False, "tags": [], "downloads": 0, "likes": 0}
            return self.answer(200, json.dumps(body).encode(), Content_Type="application/json")
        owner, name, _resolve, revision, *file = path
        data = open(os.path.join(root, owner, name, *file), "rb").read()
        etag = '"' + hashlib.sha1(data).hexdigest() + '"'
        self.answer(200, data, ETag=etag, X_Repo_Commit=COMMIT, Accept_Ranges="bytes")

    do_HEAD = do_GET

    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture(scope="module")
def hub_folder(tiny_model, tmp_path_factory):
    """What the local Hub holds: a model among what does not belong to one, pickles alone, and one that asks for an agreement."""
    root = tmp_path_factory.mktemp("hub")
    model = root / "someone" / "tiny"
    model.mkdir(parents=True)
    for file in tiny_model.iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    (model / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny\nA card.")
    (model / "pytorch_model.bin").write_bytes(b"\x80\x04K*.")
    (model / "modeling.py").write_text("raise SystemExit('run')")
    (model / "consolidated.safetensors").write_bytes(b"the same in another shape")
    (model / "onnx").mkdir()
    (model / "onnx" / "model.onnx").write_bytes(b"x")
    pickled = root / "someone" / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_text("{}")
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x04K*.")
    (root / "someone" / "gated").mkdir()
    return root


@pytest.fixture(scope="module")
def _address(hub_folder):
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(hub_folder)], stdout=subprocess.PIPE, text=True)
    yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    process.terminate()
    process.wait(timeout=LONGEST)


@pytest.fixture
def local_hub(_address, hub_folder, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", _address)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    (hub_folder / "asked.txt").write_text("")
    return hub_folder


@pytest.mark.slow
def test_a_model_is_fetched_without_what_is_no_part_of_it(local_hub, client, admin, tiny_model):
    client.force_login(admin)
    answer = client.post(reverse("model-hub"), {"repo": "someone/tiny", "name": "fetched"})
    assert answer.status_code == 302
    run_all_waiting()
    job = Job.objects.get()
    assert job.error == ""
    version = queries.find("fetched")
    assert version.origin == {"hub": "someone/tiny", "revision": "c" * 40}
    assert (version.licence, version.card) == ("apache-2.0", "# Tiny\nA card.")
    names = {file["path"] for file in version.manifest["files"]}
    assert names == {file.name for file in tiny_model.iterdir()} | {"README.md"}
    asked = (local_hub / "asked.txt").read_text()
    assert "config.json" in asked
    for left in ("pytorch_model.bin", "modeling.py", "consolidated", "onnx"):
        assert left not in asked
    assert "Bearer" not in asked
    assert "someone/tiny at cccccccccccc" in client.get(version.get_absolute_url()).content.decode()


@pytest.mark.slow
def test_progress_is_told_in_bytes_and_can_end_it(local_hub, tmp_path):
    listed = hub.look("someone/tiny")
    told = []
    for name in "ab":
        (tmp_path / name).mkdir()
    hub.fetch(listed, tmp_path / "a", lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (listed.size, listed.size)

    class Cancelled(Exception):
        pass

    def stop(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        hub.fetch(listed, tmp_path / "b", stop)


def test_the_token_comes_from_the_environment_alone(local_hub, monkeypatch):
    with pytest.raises(Refusal, match="asks for an agreement"):
        hub.look("someone/gated")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with pytest.raises(Refusal, match="no weights as safetensors"):  # let in, and empty
        hub.look("someone/gated")
    assert "Bearer hf_secret" in (local_hub / "asked.txt").read_text()


@pytest.mark.parametrize(
    ("repo", "said"), [("someone/pickled", "pickles only"), ("someone/nothing", "The Hub has no someone/nothing")]
)
def test_what_cannot_be_fetched_says_why(local_hub, admin, repo, said):
    job = actions.begin_hub_import(actor=admin, name="x", repo=repo)
    run_all_waiting()
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    assert said in job.error
    assert not Version.objects.exists()


def test_without_a_network_it_says_what_to_do(admin, monkeypatch, settings):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    job = actions.begin_hub_import(actor=admin, name="x", repo="someone/tiny")
    run_all_waiting()
    job.refresh_from_db()
    assert "The Hugging Face Hub cannot be reached" in job.error
    assert "hf download someone/tiny" in job.error
    assert not Version.objects.exists()


@pytest.mark.parametrize("repo", ["tiny", "a/b/c", "../etc/passwd", "a/..", "", "a b/c"])
def test_names_that_are_none(admin, repo):
    with pytest.raises(Refusal, match="owner/name"):
        actions.begin_hub_import(actor=admin, name="x", repo=repo)
    assert not Job.objects.exists()


@pytest.mark.slow
def test_what_was_fetched_does_not_stay_beside_the_store(local_hub, admin, settings, tmp_path):
    settings.UPLOADS = tmp_path / "uploads"
    actions.begin_hub_import(actor=admin, name="x", repo="someone/tiny")
    run_all_waiting()
    assert Version.objects.count() == 1
    assert list((tmp_path / "uploads" / "models").iterdir()) == []
    assert json.dumps(Job.objects.get().result)
