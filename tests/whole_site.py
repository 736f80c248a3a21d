"""A site in full use, for tests that look at every page: something of each kind is there, and `pages` walks all that an admin can reach."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import resolve
from django.urls.exceptions import Resolver404

from jobs.models import Job
from labeling import actions, uploads
from labeling.actions.comments import ask
from labeling.actions.tasks import NewTask, add_tasks
from labeling.models import Project
from labeling.questions import PRESETS
from models_registry.actions import import_folder
from models_registry.models import Model, Version
from people.actions.groups import add_to_group, create_group
from people.models import User
from tests import factories
from tests.test_addresses import addresses
from tests.training import make
from tests.training.test_comparisons import comparison, complete, labelled, started
from training.models import Run

MARKDOWN = """# Two ways

A list of **good** reasons, and a [source](https://example.org/page):

1. It is `short`.
2. It is *clear*.

```python
def answer(question):
    return "a line of code that is long enough to be wider than a narrow phone screen, whatever the font"
```

| year | capital |
|------|---------|
| 1945 | Jakarta |

> said somebody, and ![a picture](https://example.org/spy.png)
"""
DIALOGUE = [
    {"role": "system", "content": "You answer in one sentence."},
    {"role": "user", "content": "Apa ibu kota Indonesia?"},
    {"role": "assistant", "content": "Jakarta."},
    {"role": "user", "content": "Mengapa `Nusantara`?"},
]
HEBREW = "מהי עיר הבירה של צרפת, ולמה היא מפורסמת?"
LINK = re.compile(r'<a\b[^>]*?\shref="([^"]+)"')
A_NAME = 2  # so many pages of one name are looked at: their data differ


def fill(admin: User, model: Path) -> list[str]:
    """People, a project with all kinds of tasks and rankings, data sets, models, runs of every state, a comparison.

    Returns the addresses from which all pages can be reached: the first one, and those that lead out of a form.
    """
    project = _projects(admin)
    version = _models_and_runs(admin, model)
    complete(
        started(["classify-head", "classify-all"], dataset=labelled("Moods"), base=version), {1: {0, 1, 4}, 2: {0}}
    )
    group = create_group(actor=admin, name="Speakers of Indonesian")
    add_to_group(actor=admin, group=group, people=User.objects.filter(role="annotator"))
    reward = _reward_model(admin, version)
    said = {"scores": [0.5, -1.25], "std_between": [0.1, 0.2], "cut": [False, True]}
    judged = json.dumps({"prompt": "Say", "completions": ["one", "two"], **said})
    scored = uploads.keep(admin, "mine-scores.jsonl", [judged.encode()])
    _invitation, secret = actions.invite_to_project(actor=admin, project=project)
    unbegun = comparison(["classify-head"], dataset=labelled("Tempers"), base=version)
    Version.objects.filter(manifest={}).update(manifest=version.manifest)  # what comparisons are said to have made
    warned = factories.project(actor=admin, tasks=1, content_warning="Some of it is crude.")
    client = Client()
    client.force_login(admin)
    rows = "\n".join(json.dumps({"prompt": MARKDOWN, "completions": [f"{n}", MARKDOWN]}) for n in range(3))
    imported, previewed = (
        client.post(f"/projects/{project.slug}/import/", {"text": f"{rows}\n{more}"})["Location"] for more in ("", "{")
    )
    client.post(f"{imported}confirm/")
    read = client.post("/data/new/", {"file": SimpleUploadedFile("mine.jsonl", b'{"story": "Once.", "more": 1}\n')})
    ended = Run.objects.filter(state=Run.State.FAILED).first()
    return [
        "/",
        f"/join/{secret}/",
        f"/rank/{warned.slug}/warning/",
        previewed,
        read["Location"],
        f"/models/{reward.model.name}/v{reward.number}/score/",
        f"/scored/{scored.id}/",
        unbegun.get_absolute_url(),
        f"/models/{version.model.name}/v{version.number}/merge/",
        f"/runs/delete/?run={ended.pk}",
        *(f"/jobs/{job.pk}/" for job in Job.objects.all()),
    ]


def _projects(admin: User) -> Project:
    annotators = [factories.user(first_name=name) for name in ("Ani", "Budi")]
    project = factories.project(
        actor=admin,
        tasks=3,
        overlap=2,
        allow_partial=True,
        acceptability_line=True,
        guidelines=MARKDOWN,
        description="Which answer helps most?",
        questions=PRESETS["quality"].definition(),
    )
    actions.change_project(
        actor=admin, project=project, name="Helpful answers, the third round of a project whose name is long"
    )
    add_tasks(project, [
        NewTask(MARKDOWN, [(f"{MARKDOWN} {letter}", "a") for letter in "ABCD"]),
        NewTask(DIALOGUE, [("word " * 900, "b"), ("", "c"), ("A" * 300, "d"), (HEBREW, "e")]),
        NewTask(HEBREW, [(f"{HEBREW} {n}", "f") for n in range(4)]),
        NewTask("Known to be", [("good", "a"), ("bad", "b")]),
        NewTask("For practice", [("fine", "a"), ("poor", "b")]),
    ])  # fmt: skip
    *others, gold, practice = project.tasks.order_by("pk")
    actions.set_gold(actor=admin, task=gold, kind="gold", constraints="A > B")
    batch = actions.create_batch(actor=admin, project=project, name="Round 3")
    actions.put_in_batch(actor=admin, project=project, tasks=[task.pk for task in others], batch=batch)
    rankings = (["A > B = C > D", "D | A > *"], ["B > A > C = D", "A = B = C = D"], ["A > B | *"])
    for annotator, notations in zip([*annotators, admin], rankings, strict=True):
        for notation in notations:
            turn = factories.claim(annotator, project)
            letters = "ABCDEFGHI"[: len(turn.display)]
            outputs = {letter: {"quality": 4} for letter in letters}
            actions.submit_ranking(
                actor=annotator,
                assignment=turn,
                notation=notation if len(letters) == 4 else "A > B",
                client_key=f"{turn.pk}",
                answers={"outputs": outputs},
                comment="Hard to say.",
            )
    ask(actor=annotators[0], assignment=factories.claim(annotators[0], project), text="What counts as short?")
    actions.skip_task(actor=annotators[0], assignment=factories.claim(annotators[0], project), reason="Too long")
    actions.flag_task(
        actor=annotators[1], assignment=factories.claim(annotators[1], project), flag="garbled", note="?"
    )
    actions.adjudicate(actor=admin, task=others[0], notation="A > B > C = D", reason="The first is right.")
    actions.set_gold(actor=admin, task=practice, kind="practice", constraints="A > B", explanation="One is poor.")
    actions.freeze_snapshot(actor=admin, project=project, name="Round 1")
    factories.project(actor=admin)  # one with nothing in it
    return project


def _models_and_runs(admin: User, model: Path) -> Version:
    for kind, row in {
        "prompts": {"prompt": DIALOGUE},
        "sft": {"prompt": "Say hello.", "completion": "Hello."},
        "text": {"text": "word " * 200},
    }.items():
        make.dataset(kind, [row | {"split": split} for split in ("train", "heldout")], name=f"Data of kind {kind}")
    version = import_folder(actor=admin, name="tiny", path=model, roots=[model.parent]).version
    states = [Run.State.QUEUED, Run.State.RUNNING, Run.State.FAILED, Run.State.COMPLETE, Run.State.STOPPED]
    for state in states:
        run = make.run(actor=admin, name=f"A run that is {state}")
        make.write_events(
            run.folder,
            *({"step": step, "loss": 4 / step, "progress": step / 10, "eta_s": 300.0} for step in range(1, 5)),
            {"step": 4, "heldout_loss": 1.5},
            {
                "kind": "note",
                "level": "warning",
                "message": {"id": "l", "text": "Grown %(n)d %%", "params": {"n": 40}},
            },
            {"kind": "sample", "step": 0, "slot": 0, "prompt": "Once", "text": "upon"},
            {"kind": "sample", "step": 4, "slot": 0, "prompt": "Once", "text": "a time"},
        )
        status = {"total_parameters": 1000, "trained_parameters": 10, "peak_memory": 2**30}
        (run.folder / "status.json").write_text(json.dumps(status))
        produced = version if state == Run.State.COMPLETE else None
        Run.objects.filter(pk=run.pk).update(state=state, produced=produced, progress=0.4)
    return version


def _reward_model(admin: User, version: Version) -> Version:
    """As a run registers it; nothing here asks it."""
    return Version.objects.create(
        model=Model.objects.create(name="judge"), number=1, kind=version.kind, head="reward", digest=version.digest,
        manifest=version.manifest, size=version.size, parameters=version.parameters, architecture=version.architecture,
        facts=version.facts, created_by=admin,
    )  # fmt: skip


def pages(client: Client, beginning: Sequence[str]) -> dict[str, list[str]]:
    """The pages that links lead to from `beginning`: {name of the address: [address, …]}, at most A_NAME of each name."""
    found: dict[str, list[str]] = {}
    waiting, seen = list(beginning), set(beginning)
    while waiting:
        address = waiting.pop(0)
        try:
            name = resolve(urlsplit(address).path).url_name
        except Resolver404:
            continue
        if len(found.get(name, [])) >= A_NAME:
            continue
        answer = client.get(address)
        if answer.status_code in (301, 302):
            target = urljoin(address, answer["Location"])
            if target not in seen:
                seen.add(target)
                waiting.append(target)
            continue
        if answer.status_code == 405 or not answer.get("Content-Type", "").startswith("text/html") or answer.streaming:
            continue
        assert answer.status_code < 500, f"{address} answers {answer.status_code}"
        if answer.status_code >= 400:
            name = "refusal"  # one page for all of them
            if name in found:
                continue
        found.setdefault(name, []).append(address)
        for link in LINK.findall(answer.content.decode()):
            target = urljoin(address, link.replace("&amp;", "&"))
            parts = urlsplit(target)
            if parts.scheme or parts.netloc or parts.path in seen:
                continue
            seen.add(parts.path)
            waiting.append(parts.path)
    return found


# What answers a GET and is no page of its own.
PARTS = {
    "notices-bell": "a part of every page",
    "project-quality-part": "a part of the quality page",
    "project-import-confirm": "a button",
    "version-answer": "an answer on the page where a model is tried",
    "model": "leads to the newest version",
    "notice": "leads to what it tells",
    "turn-talk": "a part of the board",
    "run-policies": "a part of the page of a PPO run, looked at in tests/training/test_policies.py",
    "project-task-look": "a part of the page that says what is known",
    "import-example": "a file",
    "version-export": "a file",
    "sign-in": "a page for those outside, looked at by itself",
}


def never_reached(client: Client, found: dict[str, list[str]]) -> list[str]:
    """The names of pages to which no link of the site led."""
    missing = []
    for address, pattern in addresses():
        if hasattr(pattern.callback, "cls") or pattern.name in {None, *found, *PARTS}:
            continue
        if "." in address or "file" in pattern.name or client.get(address).status_code == 405:
            continue  # a file, or a button
        missing.append(pattern.name)
    return missing
