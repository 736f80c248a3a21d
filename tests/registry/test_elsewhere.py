"""Remote endpoints: what may be registered and called, what is said when it does not answer, and text from real servers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from jobs.worker import run_all_waiting
from labeling import sampling
from labeling.actions.tasks import NewTask, add_tasks
from labeling.models import Completion
from models_registry import actions, endpoints, loading, queries, serving_client
from models_registry.models import Kind, Version
from people.errors import Refusal
from people.models import AuditEntry
from tests import factories
from tests.processes import LONGEST, free_port, until
from tests.registry.conftest import answers

SAMPLING = {"max_tokens": 8, "temperature": 0.8, "seed": 3}


def remote(base_url: str = "http://127.0.0.1:9/v1", model: str = "m", **more) -> Version:
    return actions.register_remote(actor=None, name=more.pop("name", "far"), base_url=base_url, model=model, **more)


def text(version: Version, prompt="Hello", **more) -> str:
    return "".join(piece.text for piece in serving_client.stream(version, prompt, **SAMPLING | more))


def test_a_remote_version_has_no_files_and_its_key_is_stored_nowhere(admin, monkeypatch, client):
    monkeypatch.setenv("FAR_API_KEY", "top-secret-key")
    client.force_login(admin)
    form = {"name": "far", "base_url": "https://models.example.org/v1/", "model": "big", "key_env": "FAR_API_KEY"}
    assert client.post(reverse("model-remote"), form).status_code == 302
    version = queries.find("far")
    assert (version.kind, version.head, version.size) == (Kind.REMOTE, "lm", 0)
    assert version.facts["base_url"] == "https://models.example.org/v1"
    page = client.get(version.get_absolute_url()).content.decode()
    assert "FAR_API_KEY" in page
    stored = json.dumps(
        [version.facts, version.origin, version.manifest, *AuditEntry.objects.values_list("data", flat=True)]
    )
    assert "top-secret-key" not in page + stored
    monkeypatch.delenv("FAR_API_KEY")
    assert "not set where the site runs" in client.get(version.get_absolute_url()).content.decode()
    with pytest.raises(Refusal, match="FAR_API_KEY is not set"):
        text(version)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"base_url": "ftp://x/v1"}, "http or https"),
        ({"base_url": "file:///etc/passwd"}, "http or https"),
        ({"base_url": "models.example.org/v1"}, "http or https"),
        ({"base_url": "http://x:port/v1"}, "http or https"),
        ({"base_url": "http://me:secret@x/v1"}, "no name or password"),
        ({"base_url": "http://x/v1?key=1"}, "end with its path"),
        ({"model": " "}, "what the server calls the model"),
        ({"key_env": "sk-abc123"}, "never type the key itself"),
        ({"key_env": "PERINGKAT_SECRET_KEY"}, "ending in _API_KEY"),
        ({"name": "bad name"}, "A name consists of"),
    ],
)
@pytest.mark.django_db
def test_what_may_not_be_registered(wrong, said):
    good = {"name": "far", "base_url": "http://x/v1", "model": "m"}
    with pytest.raises(Refusal, match=said):
        actions.register_remote(actor=None, **good | wrong)
    assert not Version.objects.exists()


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "0.0.0.0", "[::ffff:169.254.169.254]", "224.0.0.1"])
def test_addresses_where_clouds_keep_secrets_are_never_called(host):
    with pytest.raises(Refusal, match="never called"):
        endpoints.reached(f"http://{host}/v1", "m", "", chat_only=False)


def test_only_admins_register_and_test_addresses(client, db):
    client.force_login(factories.user("researcher"))
    for name in ("model-remote", "model-remote-test", "model-hub"):
        assert client.post(reverse(name), {}).status_code == 403
    with pytest.raises(Refusal):
        actions.register_remote(actor=factories.user("researcher"), name="far", base_url="http://x/v1", model="m")


def test_a_remote_version_cannot_be_where_weights_are_needed(admin, tiny, settings):
    version = remote()
    assert version not in queries.usable_parents()
    for call in (
        lambda: queries.folders(version),
        lambda: actions.begin_verify(actor=admin, version=version),
        lambda: actions.begin_merge(actor=admin, version=version, name="x"),
    ):
        with pytest.raises(Refusal):
            call()
    from training.engine import methods
    from training.queries import inputs_for

    takes = [
        each for name in methods.names() for each in methods.facts_of(name).inputs.values() if each.kind == "version"
    ]
    assert takes
    assert all(version not in inputs_for(each) for each in takes)


@pytest.mark.slow
def test_a_server_that_is_not_there_is_said_plainly_and_tested_from_the_page(client, admin):
    version = remote()
    with pytest.raises(Refusal, match="cannot be reached"):
        text(version)
    client.force_login(admin)
    said = client.post(reverse("version-test", args=["far", 1])).content.decode()
    assert "cannot be reached" in said
    typed = {"base_url": "http://127.0.0.1:9/v1", "model": "m", "key_env": ""}
    assert "cannot be reached" in client.post(reverse("model-remote-test"), typed).content.decode()
    with pytest.raises(CommandError, match="cannot be reached"):
        call_command("register_remote", "other", "http://127.0.0.1:9/v1", "m", test=True)
    assert Version.objects.count() == 1


@pytest.fixture
def answering(tmp_path):
    """A server that answers every request with one fixed status and body: `answering(401, '{"error": …}')` gives its address."""
    program = (
        "import sys, http.server as h\n"
        "status, body = int(sys.argv[1]), sys.argv[2].encode()\n"
        "class Handler(h.BaseHTTPRequestHandler):\n"
        "    def do_POST(self):\n"
        "        said = self.headers.get('Authorization', '')\n"
        "        self.rfile.read(int(self.headers['Content-Length']))\n"
        "        self.send_response(status); self.send_header('Location', 'http://127.0.0.1:9/'); self.end_headers()\n"
        "        self.wfile.write(body.replace(b'SAID', said.encode()))\n"
        "    def log_message(self, *args): pass\n"
        "server = h.HTTPServer(('127.0.0.1', 0), Handler)\n"
        "print(server.server_port, flush=True); server.serve_forever()"
    )
    running = []

    def start(status: int, body: str) -> str:
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(status), body], stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        return f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"

    yield start
    for process in running:
        process.terminate()
        process.wait(timeout=LONGEST)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, '{"error": {"message": "Incorrect key: SAID"}}', "refuses the key"),
        (404, '{"detail": "no such model"}', "knows no model “m”"),
        (429, "{}", "asked too often"),
        (500, "<html>", "answered with an error"),
        (302, "", "sends on to another address"),
        (200, "data: {}\n\n", "does not speak the OpenAI protocol"),
        (200, 'data: {"error": {"message": "out of memory"}}\n\n', "out of memory"),
    ],
)
@pytest.mark.django_db
def test_what_goes_wrong_there_is_said_in_plain_words_without_the_key(answering, monkeypatch, status, body, said):
    monkeypatch.setenv("FAR_API_KEY", "top-secret-key")
    with pytest.raises(Refusal) as caught:
        text(remote(answering(status, body), key_env="FAR_API_KEY"))
    whole = "\n".join(map(str, caught.value.problems))
    assert said in whole
    assert "top-secret-key" not in whole


@pytest.mark.slow
def test_our_own_server_as_a_remote_one(server, tiny, admin, client):
    far = remote(f"{server}/v1", "tiny:v1")
    assert text(far) == text(tiny)
    chat = [{"role": "user", "content": "Hello"}]
    assert text(far, chat) == text(tiny, chat)
    assert text(remote(f"{server}/v1", "tiny:v1", chat_only=True, name="chatty")) == text(tiny, chat)
    with pytest.raises(Refusal, match="knows no model “nobody:v1”"):
        text(remote(f"{server}/v1", "nobody:v1"))
    client.force_login(admin)
    said = client.post(reverse("version-test", args=["far", 1])).content.decode()
    assert "It answers" in said
    with pytest.raises(Refusal, match="runs on another server"):
        list(serving_client.stream_from(endpoints.own("far:v1"), "x", {"max_tokens": 1}))


@pytest.mark.slow
def test_the_lines_on_its_page_ask_it(server, endless, monkeypatch, capsys):
    pytest.importorskip("openai")
    monkeypatch.setenv("FAR_API_KEY", "any")
    for version in (
        remote(f"{server}/v1", "endless:v1", key_env="FAR_API_KEY"),
        remote(f"{server}/v1", "endless:v1", chat_only=True, name="chatty"),
    ):
        exec(loading.lines(version, {}), {})  # noqa: S102
        assert capsys.readouterr().out.strip("\n")


@pytest.mark.slow
def test_a_project_is_sampled_from_a_remote_version(server, tiny, admin):
    far = remote(f"{server}/v1", "tiny:v1")
    project = factories.project(heldout_percent=0)
    add_tasks(project, [NewTask("Once there was a cat"), NewTask([{"role": "user", "content": "Hi"}])])
    plan = sampling.Plan(versions=(far.pk,), outputs=3, max_tokens=6, seed=1)
    assert plan.problems() == []
    from labeling.actions import start_sampling

    start_sampling(actor=admin, project=project, plan=plan)
    run_all_waiting()
    assert Completion.objects.filter(version=far).count() == 6
    assert project.tasks.count() == 2
    texts = set(Completion.objects.values_list("text", flat=True))
    assert len(texts) > 3  # every sample has a seed of its own
    sampling.sample(project, plan, lambda *_: None)
    assert Completion.objects.count() == 6


@pytest.fixture(scope="module")
def transformers_serve(tiny_model):
    """`transformers serve`, a server that nobody here wrote."""
    from transformers.utils.import_utils import is_serve_available

    if not is_serve_available():
        pytest.skip("transformers serve needs the packages fastapi and openai, which are not installed")
    port = free_port()
    command = [
        str(Path(sys.executable).parent / "transformers"),
        "serve",
        str(tiny_model),
        "--port",
        str(port),
        "--device",
        "cpu",
    ]
    process = subprocess.Popen(
        command, env=os.environ | {"HF_HUB_OFFLINE": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: answers(process, f"http://localhost:{port}"))
        yield f"http://localhost:{port}/v1"
    finally:
        process.terminate()
        process.wait(timeout=LONGEST)


@pytest.mark.slow
def test_transformers_serve_writes_what_the_model_writes(transformers_serve, tiny_model, tiny, admin, client):
    far = remote(transformers_serve, str(tiny_model))
    written = text(far, temperature=0.0, max_tokens=6)
    assert written
    assert written == text(far, temperature=0.0, max_tokens=6)
    client.force_login(admin)
    assert "It answers" in client.post(reverse("version-test", args=["far", 1])).content.decode()
    page = client.post(
        reverse("version-answer", args=["far", 1]),
        {"prompt": "Hello", "temperature": 1, "top_p": 0.9, "max_tokens": 5, "samples": 2, "seed": 1},
    )
    events = [json.loads(line) for line in b"".join(page.streaming_content).splitlines()]
    assert [event["sample"] for event in events if "finish" in event] == [0, 1]
    assert not any("problems" in event for event in events)
