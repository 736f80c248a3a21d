"""What can be held against each other: per task the methods that fit a base and a data set, read from what the methods say of themselves.

A method with a field `tune` is offered once for each kind of it (finetuning: the output layer, the last layers, all weights, …), a kind
that a method before it has offered already excepted; a new method or kind of `tune` appears here by itself.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from django.utils.formats import localize
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from labeling.models import Dataset
from models_registry.models import Version

from ..engine import contract, methods
from ..engine.tunes import suited_lr, usual_lr
from ..fields import Field, fields_of
from ..fitting import misfits
from .models import Task

BASE = "base"  # the key of the base itself


@dataclass(frozen=True)
class TaskFacts:
    """`methods`: in the order of the menu, each with the field of which every choice is a line of its own (empty: one line alone)."""

    datasets: tuple[str, ...]
    methods: dict[str, str]
    ticked: frozenset[str]  # keys that a new comparison begins with


TASKS = {
    Task.LANGUAGE: TaskFacts(
        datasets=("text", "sft"),
        methods={"prompting": "shots", "prompt_tuning": "tune", "adapter": "tune", "finetune": "tune"},
        ticked=frozenset({BASE, "prompting-few", "prompt_tuning", "adapter-serial", "adapter-lora", "finetune-all"}),
    ),
    Task.CLASSIFICATION: TaskFacts(
        datasets=("labelled",),
        methods={"prompting": "shots", "classify": "tune"},
        ticked=frozenset({"prompting-few", "classify-soft_prompt", "classify-lora", "classify-head", "classify-all"}),
    ),
    Task.PREFERENCE: TaskFacts(
        datasets=("rankings",),
        methods={"reward": "loss", "dpo": "", "kto": "", "ppo": "", "rloo": "", "grpo": ""},
        ticked=frozenset({BASE, "reward-rao_kupper", "reward-bradley_terry", "dpo", "kto"}),
    ),
}
FEW = 8
SHARES = (0.125, 0.25, 0.5)  # of the prompts, besides all of them: each is twice the one before
# The menu goes from what moves little to what moves all.
_KINDS = ("soft_prompt", "prefix", "ia3", "lora", "serial", "parallel", "head", "last_layers", "all")
FEWEST_FIRST = {kind: place for place, kind in enumerate(_KINDS)}


@dataclass(frozen=True)
class Choice:
    """One line of the menu: what an entry begins as. `method` is empty for the base itself. `against`: why it could not begin on this
    base and this data with these settings; empty where it could."""

    key: str
    title: str
    hint: str
    method: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    ticked: bool = False
    needs_reward_model: bool = False
    against: str = ""
    sets: tuple[str, ...] = ()  # of SETS

    @property
    def has_own_budget(self) -> bool:
        """Whether its length is set by settings of its own, since an update of it is not one of the others'."""
        known = methods.config_of(self.method).model_fields if self.method else {}
        return "tune" in known and "max_steps" not in known


# What can be ticked at once.
SETS = {
    "losses": gettext_noop("The loss functions side by side"),
    "curve": gettext_noop("Learning curve: are more rankings worth it?"),
}


def sets_of(choices: Iterable[Choice]) -> dict[str, frozenset[str]]:
    """The sets that these choices make up, in the order of SETS, with their keys; without what could not begin."""
    fitting = [choice for choice in choices if not choice.against]
    found = {name: frozenset(choice.key for choice in fitting if name in choice.sets) for name in SETS}
    return {name: keys for name, keys in found.items() if len(keys) > 1}


def menu(task: str, base: Version | None = None, dataset: Dataset | None = None) -> list[Choice]:
    """The choices of a task; without those that do not fit the base or the data set, where these are given. What would fit, and cannot
    begin on them with its settings, says why and is not ticked."""
    return [_weighed(choice, base, dataset) for choice in _choices(Task(task), base) if _fits(choice, base, dataset)]


def _weighed(choice: Choice, base: Version | None, dataset: Dataset | None) -> Choice:
    if not choice.method or base is None:
        return choice
    config, _problems = contract.check_config(choice.method, choice.config)
    inputs: dict[str, Version | Dataset] = {"base": base}
    if dataset and (role := dataset_role(choice.method, dataset)):
        inputs[role] = dataset
    against = " ".join(sentence for _field, sentence in misfits(choice.method, config, inputs)) if config else ""
    return replace(choice, ticked=choice.ticked and not against, against=against)


def _choices(task: Task, base: Version | None) -> Iterator[Choice]:
    facts = TASKS[task]
    if task != Task.CLASSIFICATION or (base and base.head == "classes"):
        hint = _("As it is, judged like the others: what the methods have to beat.")
        yield Choice(*called("", {}), hint, ticked=BASE in facts.ticked)
    offered: set[str] = set()
    for name, path in facts.methods.items():
        if name not in methods.names():
            continue
        for key, title, hint, config in _variants(name, path):
            kind = config["tune"]["kind"] if "tune" in config else key
            if kind in offered:
                continue
            offered.add(kind)
            takes = methods.facts_of(name).inputs
            sets, config = _sets(name, config), _with_rate(name, config, base)
            yield Choice(key, title, hint, name, config, key in facts.ticked, "reward_model" in takes, sets=sets)


def _with_rate(name: str, config: dict[str, Any], base: Version | None) -> dict[str, Any]:
    """These settings with the learning rate that suits what moves and the size of the base, where that is known."""
    known, size = methods.config_of(name), base.parameters if base else 0
    if "tune" in config:
        kind = config["tune"]["kind"]
        return {**config, "lr": suited_lr(known, kind, size) or usual_lr(kind, size)}
    default = known.model_fields["tune"].default.kind if "tune" in known.model_fields else ""
    rate = suited_lr(known, default, size) if default else None
    return {**config, "lr": rate} if rate else config


def _sets(name: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    if name != "reward":
        return ()
    if "train_share" in config:
        return ("curve",)
    return ("losses", "curve") if config["loss"] == _knob(name, "loss").default else ("losses",)


def _variants(name: str, path: str) -> Iterator[tuple[str, str, str, dict]]:
    """(key, title, hint, settings) of a method: one for each choice of the field at `path`, or one alone where it has no choice."""
    summary = _(methods.facts_of(name).summary)
    knob = _knob(name, path)
    if path == "shots":
        for config in ({"shots": 0}, {"shots": FEW}):
            yield *called(name, config), summary, config
    elif knob is None:
        yield *called(name, {}), summary, {}
    elif path == "tune":
        for kind, _words, hint in sorted(_kinds(knob), key=lambda each: FEWEST_FIRST.get(each[0], 99)):
            config = {"tune": {"kind": kind}}
            if contract.check_config(name, config)[0]:
                yield *called(name, config), hint or summary, config
    else:
        for value, _words in knob.options:
            yield *called(name, {path: value}), summary, {path: value}
        if _knob(name, "train_share"):
            hint = _("On a part of the rankings: where more of them stop helping, the curve goes flat.")
            for share in SHARES:
                config = {path: knob.default, "train_share": share}
                yield *called(name, config), hint, config


def called(method: str, config: Mapping[str, Any]) -> tuple[str, str]:
    """(key, title) of a method with these settings, as the menu calls it; its bare name where there is no such method any more."""
    if not method:
        return BASE, _("The base itself")
    if method not in methods.names():
        return method, method
    title = _(methods.facts_of(method).title)
    path = next((facts.methods[method] for facts in TASKS.values() if method in facts.methods), "tune")
    knob = _knob(method, path)
    if knob is None:
        return method, title
    value = config.get(path, knob.default)
    if path == "shots":
        if not value:
            return f"{method}-zero", _("%(method)s, no examples") % {"method": title}
        return f"{method}-few", _("%(method)s, %(count)d examples") % {"method": title, "count": value}
    if path == "tune":
        kind = (value or {}).get("kind")
        words = {each: words for each, words, _hint in _kinds(knob)}
        return f"{method}-{kind}" if knob.variants else method, words.get(kind, title)
    key, title = f"{method}-{value}", f"{title}: {dict(knob.options).get(value, value)}"
    share = config.get("train_share", 1)
    if share == 1:
        return key, title
    percent = localize(Decimal(f"{100 * share:g}"))
    return f"{key}-share-{100 * share:g}".replace(".", "_"), _("%(method)s, %(percent)s %% of the prompts") % {
        "method": title,
        "percent": percent,
    }


def _knob(method: str, path: str) -> Field | None:
    return next((each for each in fields_of(methods.config_of(method)) if each.path == path), None)


def _kinds(knob: Field) -> list[tuple[str, str, str]]:
    """(kind, words, hint) of what may move."""
    if knob.kind == "group":  # one kind alone: the soft prompt of prompt tuning
        return [(knob.default["kind"], knob.title, knob.hint)]
    return [(variant.default, variant.title, variant.hint) for variant in knob.variants]


def _fits(choice: Choice, base: Version | None, dataset: Dataset | None) -> bool:
    if not choice.method:
        return True
    takes = methods.facts_of(choice.method).inputs
    if base and ("base" not in takes or base.head not in takes["base"].accepts):
        return False
    return dataset is None or dataset_role(choice.method, dataset) is not None


def dataset_role(method: str, dataset: Dataset) -> str | None:
    """The input of the method that such a data set can be."""
    for role, takes in methods.facts_of(method).inputs.items():
        if takes.kind == "dataset" and dataset.kind in takes.accepts and not takes.extra:
            return role
    return None
