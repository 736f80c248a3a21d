"""Questions about the policies of a run: which there are, what they scored, and whether people and other reward models prefer them to their start."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from django.db.models import QuerySet

from jobs.models import Job
from labeling.head_to_head import Compared, HeadToHead
from labeling.identity import digest_of
from labeling.models import Project
from labeling.places import projects_with
from labeling.queries import labels_behind, labels_behind_each
from models_registry.models import Version
from models_registry.queries import scorers
from people.errors import Refusal
from people.models import User
from people.permissions import Right

from .. import reading
from ..engine import contract, methods
from ..engine.data import as_prompt, rows
from ..engine.intervals import wilson
from ..engine.messages import Refused
from ..engine.methods.ppo.kept import Policy, folder_of, policies
from ..engine.rollouts import RolloutSettings
from ..failures import said
from ..models import Run
from ..queries import made_by_run
from .models import FreshPairs

JOBS = ("fresh-pairs", "judge-policies")


@dataclass(frozen=True)
class Share:
    """How often a policy was preferred to its start; a tie is half. The interval is Wilson's, each prompt counting once."""

    wins: int
    ties: int
    losses: int
    value: float
    low: float
    high: float


def share(wins: int, ties: int, losses: int, prompts: Sequence[float] | None = None) -> Share | None:
    """`prompts`: what was won of each, where one may have been judged more than once. None where nothing was judged."""
    won, n = (sum(prompts), len(prompts)) if prompts is not None else (wins + ties / 2, wins + ties + losses)
    return Share(wins, ties, losses, won / n, *wilson(won, n)) if n else None


@dataclass(frozen=True)
class Standing:
    """Where a policy stands. `asked`: the tasks that people got; `people`, `judge`: against the start, None while nobody has said anything."""

    policy: Policy
    is_result: bool
    version: Version | None
    asked: HeadToHead | None
    people: Share | None
    judge: Share | None


@dataclass(frozen=True)
class TooFar:
    """`far` is further from the start than `near` and scores higher, and is preferred to the start less often, beyond doubt: by the reward
    model that was asked, or by people."""

    near: Standing
    far: Standing
    before: Share
    after: Share
    by_judge: bool

    @property
    def was_better(self) -> bool:
        """Whether the nearer policy is worth being kept: preferred to the start more often than not."""
        return self.before.value > 0.5


class Policies:
    """The policies of a run: those kept along the way, those that were and are registered, and its result."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @cached_property
    def config(self) -> Any:
        """The run's settings; None where its method is not one that writes answers and moves away from its start."""
        if self.run.method not in methods.names():
            return None
        config, _problems = contract.check_config(self.run.method, self.run.config)
        return config if isinstance(config, RolloutSettings) else None

    @cached_property
    def inputs(self) -> dict[str, Any]:
        return {each.role: each.version or each.dataset for each in self.run.inputs.all()}

    @property
    def start(self) -> Version:
        return self.inputs["base"]

    @property
    def stop(self) -> tuple[str, ...]:
        """Texts before which an answer ends."""
        return tuple(getattr(self.config, "stop_texts", ()))

    @cached_property
    def result(self) -> Policy | None:
        """None before the end, or where nothing was measured of it. A run may end before its last update."""
        figures = reading.metrics(self.run.folder) if self.run.state == Run.State.COMPLETE else {}
        if figures.get("kl") is None:
            return None
        return Policy(figures.get("updates", self.config.updates), figures["kl"], figures.get("reward"))

    @cached_property
    def all(self) -> list[Policy]:
        """The oldest first, the result last."""
        if self.config is None:
            return []
        kept = policies(self.run.folder)
        there = {policy.step for policy in kept} | ({self.result.step} if self.result else set())
        # While the run goes on, every second one falls away now and then; what people were asked about one stays on the page.
        gone = [_policy_of(version) for step, version in self.versions.items() if step not in there]
        found = sorted([*kept, *filter(None, gone)], key=lambda policy: policy.step)
        return [*found, *([self.result] if self.result else [])]

    def is_result(self, policy: Policy) -> bool:
        return policy is self.result

    def folder(self, policy: Policy) -> Path:
        """Where it lies, as a model or as an adapter on the run's start."""
        if version := self.versions.get(policy.step):
            return version.folder
        return self.run.folder / "output" if self.is_result(policy) else folder_of(self.run.folder, policy.step)

    @cached_property
    def versions(self) -> dict[int, Version]:
        """By step, what is registered. A checkpoint is the policy of its step too, unless it is an average."""
        averaged = bool(getattr(self.config, "ema_decay", None))
        found = {
            version.origin["checkpoint"]: version
            for version in made_by_run(str(self.run.pk))
            if "checkpoint" in version.origin and (version.origin.get("kept") or not averaged)
        }
        return found | ({self.result.step: self.run.produced} if self.run.produced and self.result else {})

    @cached_property
    def judge(self) -> Version | None:
        """The reward model that was asked last."""
        last = self.run.verdicts.select_related("judge__model").last()
        return last.judge if last else None

    @cached_property
    def standings(self) -> list[Standing]:
        sent: dict[int, list[FreshPairs]] = defaultdict(list)
        for each in self.run.fresh_pairs.select_related("batch__project", "version"):
            sent[each.step].append(each)
        compared = Compared(each.batch for some in sent.values() for each in some)
        judged = {
            each.step: share(each.wins, each.ties, each.losses) for each in self.run.verdicts.filter(judge=self.judge)
        }
        found = []
        for policy in self.all:
            asked = self._asked(compared, sent[policy.step])
            people = share(asked.wins, asked.ties, asked.losses, asked.prompts) if asked else None
            version = self.versions.get(policy.step)
            found.append(Standing(policy, self.is_result(policy), version, asked, people, judged.get(policy.step)))
        return found

    @property
    def too_far(self) -> list[TooFar]:
        """By people and by the judge; the worst of each."""
        found = []
        for who in ("people", "judge"):
            known = [each for each in self.standings if getattr(each, who)]
            pairs = [
                TooFar(one, further, getattr(one, who), getattr(further, who), by_judge=who == "judge")
                for one in known
                for further in known
                if further.policy.kl > one.policy.kl
                and (further.policy.reward or 0) > (one.policy.reward or 0)
                and getattr(further, who).high < getattr(one, who).low
            ]
            if pairs:
                found.append(max(pairs, key=lambda pair: pair.before.value - pair.after.value))
        return found

    def _asked(self, compared: Compared, sent: list[FreshPairs]) -> HeadToHead | None:
        """None where no pair has come to people yet."""
        wrote = [each.version for each in sent if each.version]
        found = compared.between(wrote[-1], self.start, [each.batch for each in sent]) if wrote else None
        return found if found and found.tasks else None

    @cached_property
    def heldout(self) -> list[str | list]:
        """The prompts that the run did not learn from, each once."""
        found: dict[str, str | list] = {}
        accepts = methods.facts_of(self.run.method).inputs["dataset"].accepts
        try:
            for row in rows(self.inputs["dataset"].folder, accepts, split="heldout"):
                prompt = as_prompt(row.prompt)
                found.setdefault(digest_of(prompt), prompt)
        except Refused as refused:
            raise Refusal(said([problem.as_json() for problem in refused.problems])) from None
        return list(found.values())

    @property
    def holds_out(self) -> bool:
        """Whether there is any of these, without reading them."""
        dataset = self.inputs.get("dataset")
        return bool(dataset and dataset.splits.get("heldout"))

    @property
    def project(self) -> Project | None:
        """Where the rankings were made that the run's reward model learned from."""
        behind = [label for role in self.inputs if role != "base" for label in self._labels(role)]
        return next((label.project for label in behind if label.project), None)

    def _labels(self, role: str) -> list:
        given = self.inputs[role]
        return list(labels_behind(given)) if isinstance(given, Version) else [given]


def _policy_of(version: Version) -> Policy | None:
    """What was registered of a policy that was kept; None of a checkpoint, of which nothing is known but itself."""
    told = version.metrics
    return Policy(version.origin["checkpoint"], told["kl"], told["reward"]) if version.origin.get("kept") else None


def drawn(prompts: Sequence[Any], number: int, seed: int) -> list[list[Any]]:
    """`number` prompts at random, in rounds in which each stands at most once: all of them before one comes a second time."""
    order = random.Random(seed).sample(range(len(prompts)), len(prompts))
    return [
        [prompts[i] for i in order[: min(number - begin, len(prompts))]] for begin in range(0, number, len(prompts))
    ]


def judges(run: Run) -> QuerySet[Version]:
    """The reward models that may judge: none that the run learned from, under whatever name."""
    used = [each.version.digest for each in run.inputs.all() if each.version]
    return scorers().exclude(digest__in=used)


def sharing_rankings(judges: Sequence[Version], run: Run) -> set[Version]:
    """Those that learned from rankings that the run's reward model knows too, so that both may err alike."""
    rewards = [each.version for each in run.inputs.exclude(role="base").select_related("version") if each.version]
    labels = labels_behind_each([*rewards, *judges])
    known = set().union(*(labels[each] for each in rewards))
    return {judge for judge in judges if labels[judge] & known}


def projects_for(user: User) -> QuerySet[Project]:
    """Where this person may send pairs."""
    return projects_with(user, Right.MANAGE_PROJECTS).exclude(state=Project.State.ARCHIVED).order_by("name")


def newest_job(run: Run) -> Job | None:
    return Job.objects.filter(subject=f"training.run:{run.pk}", what__in=JOBS).first()
