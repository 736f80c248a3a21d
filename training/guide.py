"""The guide: what do you have, which method fits, what does it change, what does it cost? Words by hand; what can be read is read.

Methods and kinds of `tune` come from what they say of themselves; the worked table from what bench/three_tasks.py measured.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_GET
from pydantic import TypeAdapter

from labeling.models import Dataset
from models_registry.lm.tuning.config import Tune, result_kind
from people.permissions import Right, requires

from . import queries
from .comparisons.menu import FEWEST_FIRST
from .engine.config import Method
from .engine.evaluation import METRICS
from .engine.methods import config_of
from .fields import fields_of

MEASURED = Path(__file__).with_name("three_tasks.json")
TASKS = {
    "answer": gettext_noop("Answer the question"),
    "translate": gettext_noop("Answer it in the other language"),
    "topic": gettext_noop("Name what it is about"),
}
COMMAND = "python -m bench.three_tasks --json"

# method → (what it changes, what it costs to serve). A method that is not named here stands in the table with its own facts.
WORDS = {
    "pretrain": (gettext_noop("makes all weights"), gettext_noop("a model of its own")),
    "finetune": (gettext_noop("what you choose: all weights, some, or a part beside them"), gettext_noop("all weights: a model of its own; a part: one base for all")),
    "adapter": (gettext_noop("nothing of the base; a small part is put into it"), gettext_noop("one base for all, and the small part")),
    "prompt_tuning": (gettext_noop("nothing of the base; a few embeddings stand in front of the text"), gettext_noop("one base for all, even within one batch; every text is longer by the prompt")),
    "prompting": (gettext_noop("nothing at all"), gettext_noop("one base for all; every text is longer by the prompt and its examples")),
    "classify": (gettext_noop("a new output layer, and what you choose besides"), gettext_noop("all weights: a model of its own; a part: one base for all")),
    "average": (gettext_noop("nothing; the models stay as they are"), gettext_noop("as many models as are averaged, in memory and in time")),
    "reward": (gettext_noop("a score head, and what you choose besides"), gettext_noop("needed while training; it writes nothing")),
    "ppo": (gettext_noop("what you choose; held near its start by the KL"), gettext_noop("as what you chose; training holds a reward model too")),
    "dpo": (gettext_noop("what you choose; held near its start by the loss"), gettext_noop("as what you chose")),
    "kto": (gettext_noop("what you choose; held near its start by the loss"), gettext_noop("as what you chose")),
    "rloo": (gettext_noop("what you choose; held near its start by the KL"), gettext_noop("as what you chose; training holds a reward model too")),
    "grpo": (gettext_noop("what you choose; held near its start by the KL"), gettext_noop("as what you chose; training holds a reward model too")),
    "evaluate": (gettext_noop("nothing; it judges"), ""),
}  # fmt: skip


@dataclass(frozen=True)
class MethodLine:
    name: str
    facts: Method
    changes: str
    serving: str


@dataclass(frozen=True)
class MovesLine:
    """One kind of what may move. `own_base`: its result is a model of its own."""

    title: str
    hint: str
    own_base: bool


@require_GET
@requires(Right.SEE_RUNS)
def guide(request: HttpRequest) -> HttpResponse:
    context = {
        "section": "runs",
        "methods": list(methods_side_by_side()),
        "moves": list(_moves()),
        "worked": _worked(),
        "command": COMMAND,
        "newest": _newest(),
    }
    return render(request, "training/guide.html", context)


def _newest() -> dict[str, str]:
    """For each kind of data what an address needs to choose the newest data set of it beforehand."""
    newest = Dataset.objects.order_by("kind").values_list("kind").annotate(Max("pk"))
    return {kind: f"&inputs.dataset={pk}" for kind, pk in newest}


def methods_side_by_side():
    known = queries.all_methods()
    for name, facts in sorted(known.items(), key=lambda each: each[1].family == "judge"):
        changes, serving = WORDS.get(name, ("", ""))
        yield MethodLine(name, facts, _(changes) if changes else "", _(serving) if serving else "")


def _moves():
    """What `tune` may be, read from finetuning, which takes all of it."""
    tune = next(each for each in fields_of(config_of("finetune")) if each.path == "tune")
    for variant in sorted(tune.variants, key=lambda each: FEWEST_FIRST.get(each.default, 99)):
        kind = result_kind(TypeAdapter(Tune).validate_python({"kind": variant.default}))
        yield MovesLine(variant.title, variant.hint, kind == "full")


def _worked() -> dict[str, Any] | None:
    """The worked table as it was measured, with the words that people read."""
    if not MEASURED.exists():
        return None
    found = json.loads(MEASURED.read_text(encoding="utf-8"))
    tasks = [task | {"title": _(TASKS[task["name"]])} for task in found["tasks"]]
    by_kind = [{way["kind"]: way for way in task["ways"]} for task in tasks]
    closed = [
        (ways["base"]["value"] - ways["soft_prompt"]["value"]) / (ways["base"]["value"] - ways["full"]["value"])
        for ways in by_kind
    ]
    stored, seconds = (
        {kind: sum(ways[kind][cost] for ways in by_kind) for kind in ("soft_prompt", "full")}
        for cost in ("bytes", "seconds")
    )
    return found | {
        "metric": METRICS[found["metric"]],
        "tasks": tasks,
        "closed": (min(closed), max(closed)),
        "training": seconds,
        "storage": stored["soft_prompt"] / stored["full"],
    }
