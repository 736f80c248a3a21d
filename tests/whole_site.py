"""A site in full use, for tests that look at every page: something of each kind is there, and `pages` walks all that an admin can reach."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from django.test import Client
from django.urls import URLPattern, resolve
from django.urls.exceptions import Resolver404

from labeling import actions
from labeling.actions.tasks import NewTask, add_tasks
from labeling.models import Project
from models_registry.actions import import_folder
from models_registry.models import Version
from people.models import User
from tests import factories
from tests.test_addresses import addresses
from tests.training import make
from tests.training.test_comparisons import complete, labelled, started
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


def fill(admin: User, model: Path) -> Project:
    """People, a project with all kinds of tasks and rankings, data sets, models, runs of every state, a comparison."""
    annotators = [factories.user(first_name=name) for name in ("Ani", "Budi")]
    project = factories.project(
        actor=admin,
        tasks=3,
        overlap=2,
        allow_partial=True,
        acceptability_line=True,
        guidelines=MARKDOWN,
        description="Which answer helps most?",
    )
    project.name = "Helpful answers, the third round of a project whose name is long"
    project.save()
    add_tasks(project, [
        NewTask(MARKDOWN, [(f"{MARKDOWN} {letter}", "a") for letter in "ABCD"]),
        NewTask(DIALOGUE, [("word " * 900, "b"), ("", "c"), ("A" * 300, "d"), (HEBREW, "e")]),
        NewTask(HEBREW, [(f"{HEBREW} {n}", "f") for n in range(4)]),
    ])  # fmt: skip
    for annotator, notations in zip(
        annotators, (["A > B = C > D", "D | A > *"], ["B > A > C = D", "A = B = C = D"]), strict=True
    ):
        for notation in notations:
            factories.submit(annotator, factories.claim(annotator, project), notation)
    actions.skip_task(actor=annotators[0], assignment=factories.claim(annotators[0], project), reason="Too long")
    actions.flag_task(
        actor=annotators[1], assignment=factories.claim(annotators[1], project), flag="garbled", note="?"
    )
    factories.submit(admin, factories.claim(admin, project), "A > B > C | D")
    actions.freeze_snapshot(actor=admin, project=project, name="Round 1")
    factories.project(actor=admin)  # one with nothing in it
    for kind, row in {
        "prompts": {"prompt": DIALOGUE},
        "sft": {"prompt": "Say hello.", "completion": "Hello."},
        "text": {"text": "word " * 200},
    }.items():
        make.dataset(kind, [row | {"split": split} for split in ("train", "heldout")], name=f"Data of kind {kind}")

    version = import_folder(actor=admin, name="tiny", path=model).version
    import_folder(actor=admin, name="tiny-too", path=model)
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
    complete(
        started(["classify-head", "classify-all"], dataset=labelled("Moods"), base=version), {1: {0, 1, 4}, 2: {0}}
    )
    Version.objects.filter(manifest={}).update(manifest=version.manifest)  # what the comparison is said to have made
    return project


def pages(client: Client, beginning: tuple[str, ...] = ("/",)) -> dict[str, list[str]]:
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


def page_names() -> Iterator[tuple[str, URLPattern]]:
    """The name of every address that belongs to no endpoint of the API."""
    for _address, pattern in addresses():
        if not hasattr(pattern.callback, "cls") and pattern.name:
            yield pattern.name, pattern
