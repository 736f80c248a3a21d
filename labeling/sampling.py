"""Samples outputs of registered models for every prompt of a project, and makes tasks of them.

What is drawn depends on the plan, the version and the prompt's place alone, and is stored as soon as a batch is done: a sampling that
was cancelled or cut off is begun again with the same plan, and goes on where it was. The models are loaded in the worker, or asked where they run: writers.py.
"""

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from operator import add

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling.actions.batches import batch_named
from labeling.actions.tasks import Place, make_tasks
from labeling.identity import digest_of
from labeling.models import Completion, Project, Prompt
from labeling.ranking import MAX_ITEMS
from labeling.scoring import judged
from labeling.writers import Written, writer_of
from models_registry.models import Head, Version
from models_registry.queries import scorers
from people.errors import Refusal
from people.models import User

BATCH = 32  # prompts
MOST_TRIES = 16


@dataclass(frozen=True)
class Plan:
    """What to sample. `outputs` a prompt are shared among the versions; `resample`: tries to get another text for a duplicate.

    `best_of`: so many are written for each output, and the one is kept to which `judge`, a reward model, gives the highest score. `stop`: an
    output ends before the first of these texts.
    """

    versions: tuple[int, ...]
    outputs: int = 4
    seed: int = 0
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 128
    resample: int = 3
    best_of: int = 1
    judge: int | None = None
    stop: tuple[str, ...] = ()

    def problems(self) -> list[str]:
        """Everything that is wrong with it, for people."""
        found = []
        if not self.versions:
            found.append(_("Choose at least one model to sample from."))
        if len(set(self.versions)) < len(self.versions):
            found.append(_("A model was chosen twice."))
        if not 2 <= self.outputs <= MAX_ITEMS:
            found.append(_("A task has 2 to %(most)d outputs.") % {"most": MAX_ITEMS})
        if len(self.versions) > self.outputs:
            found.append(_("There are more models than outputs; each model needs one output at least."))
        if not 0 <= self.seed < 2**32:
            found.append(_("The seed must be a whole number from 0 to 4294967295."))
        if not 0 <= self.temperature <= 5:
            found.append(_("The temperature must lie between 0 and 5."))
        if self.temperature == 0 and self.outputs > len(self.versions):
            found.append(_("At temperature 0 a model always writes the same; raise it to get several outputs."))
        if not 0 < self.top_p <= 1:
            found.append(_("Top-p must be above 0 and at most 1."))
        if not 1 <= self.max_tokens <= 4096:
            found.append(_("The length must lie between 1 and 4096 tokens."))
        if not 0 <= self.resample <= 20:
            found.append(_("Duplicates can be tried again 0 to 20 times."))
        if not 1 <= self.best_of <= MOST_TRIES:
            found.append(_("One output can be the best of 1 to %(most)d.") % {"most": MOST_TRIES})
        if (self.judge is None) != (self.best_of == 1):
            found.append(
                _("To keep the best of several, choose both: how many, and the reward model that judges them.")
            )
        if self.best_of > 1 and self.temperature == 0:
            found.append(_("At temperature 0 a model always writes the same; raise it to choose among several."))
        if self.judge is not None and not scorers().filter(pk=self.judge).exists():
            found.append(_("There is no reward model %(pk)s.") % {"pk": self.judge})
        versions = Version.objects.in_bulk(self.versions)
        for pk in self.versions:
            version = versions.get(pk)
            if version is None:
                found.append(_("There is no model version %(pk)s.") % {"pk": pk})
            elif version.head != Head.LM:
                found.append(_("%(version)s does not write text.") % {"version": version})
        return found

    def round(self) -> str:
        """The identity of this plan: outputs of the same round are never sampled twice."""
        parts = asdict(self) | {"versions": sorted(digests_of(self.versions).items())}
        del parts["resample"]
        if not self.stop:  # as plans were before there was a choice, here and below
            del parts["stop"]
        if self.judge is None:
            del parts["judge"], parts["best_of"]
        else:
            parts["judge"] = digests_of([self.judge])[self.judge]
        return digest_of(parts)[:32]

    def share(self, place: int, batch: int) -> int:
        """How many outputs the version at `place` gives to the prompts of a batch; what is over goes round, batch by batch."""
        each, over = divmod(self.outputs, len(self.versions))
        return each + ((place + batch) % len(self.versions) < over)


@dataclass
class Sampled:
    """What came of it. `too_long` counts prompts that fill a model's context."""

    completions: int = 0
    duplicates: int = 0
    tasks: int = 0
    tasks_known: int = 0
    too_long: int = 0
    too_few: int = 0

    def __add__(self, other: "Sampled") -> "Sampled":
        return Sampled(*map(add, astuple(self), astuple(other)))

    def sentences(self) -> list[str]:
        said = [
            (self.completions, ngettext("%(n)d output was sampled.", "%(n)d outputs were sampled.", self.completions)),
            (self.tasks, ngettext("%(n)d task is new.", "%(n)d tasks are new.", self.tasks)),
            (
                self.tasks_known,
                ngettext("%(n)d task was there already.", "%(n)d tasks were there already.", self.tasks_known),
            ),
            (
                self.duplicates,
                ngettext(
                    "%(n)d output repeats another of its prompt, and is marked.",
                    "%(n)d outputs repeat another of their prompt, and are marked.",
                    self.duplicates,
                ),
            ),
            (
                self.too_long,
                ngettext(
                    "%(n)d prompt fills a model's context; that model wrote nothing for it.",
                    "%(n)d prompts fill a model's context; that model wrote nothing for them.",
                    self.too_long,
                ),
            ),
            (
                self.too_few,
                ngettext(
                    "%(n)d prompt has fewer than two outputs, so it became no task.",
                    "%(n)d prompts have fewer than two outputs, so they became no tasks.",
                    self.too_few,
                ),
            ),
        ]
        return [sentence % {"n": count} for count, sentence in said if count]


def digests_of(versions: Sequence[int]) -> dict[int, str]:
    return dict(Version.objects.filter(pk__in=versions).values_list("pk", "digest"))


def sample(
    project: Project,
    plan: Plan,
    progress: Callable[[int, int], None],
    *,
    batch: str = "",
    actor: User | None = None,
    among: Sequence[int] | None = None,
) -> Sampled:
    """Carry out a plan; see the module. New tasks belong to the `batch` of this name. Raises Refusal if the plan makes no sense or there is no prompt.

    `among`: keys of the prompts to write for; None: all. What is drawn depends on a prompt's place among them.
    """
    problems = plan.problems()
    if not project.prompts.exists():
        problems.append(_("This project has no prompts yet; import some first."))
    if problems:
        raise Refusal(problems)
    result = Sampled()
    round_ = plan.round()
    wanted = project.prompts.all() if among is None else project.prompts.filter(pk__in=among)
    prompts = list(wanted.order_by("pk").values_list("pk", flat=True))
    total = len(prompts) * len(plan.versions)
    for place, pk in enumerate(plan.versions):
        version = Version.objects.select_related("model", "parent").get(pk=pk)
        writer = _Writer(project, plan, round_, version, result)
        for number, start in enumerate(range(0, len(prompts), BATCH)):
            progress(place * len(prompts) + start, total)
            writer.write(start, prompts[start : start + BATCH], plan.share(place, number))
        writer.writer.close()
    place = Place(batch=batch_named(project, batch, actor))
    for start in range(0, len(prompts), BATCH):
        _make_tasks(project, round_, prompts[start : start + BATCH], place, result)
    progress(total, total)
    return result


class _Writer:
    """One version at work."""

    def __init__(self, project: Project, plan: Plan, round_: str, version: Version, result: Sampled) -> None:
        self.project, self.plan, self.round, self.version, self.result = project, plan, round_, version, result
        self.writer = writer_of(version)
        self.judge = Version.objects.select_related("model").get(pk=plan.judge) if plan.judge else None

    def write(self, start: int, pks: Sequence[int], share: int) -> None:
        """Bring each of the prompts, whose places begin at `start`, to `share` outputs by this version, in one transaction."""
        if not share:
            return
        here = _of_round(self.round, pks)
        done = self._done(here, share)
        missing = {pk: start + i for i, pk in enumerate(pks) if pk not in done}
        if not missing:
            return
        prompts = Prompt.objects.in_bulk(missing)
        fitting = {pk: place for pk, place in missing.items() if self.writer.fits(prompts[pk])}
        self.result.too_long += len(missing) - len(fitting)
        outputs = self._generate(prompts, fitting, share, attempt=0)
        seen = {pk: {one.text.strip() for one in here[pk]} for pk in fitting}
        kept: dict[int, list[Written]] = {pk: [] for pk in fitting}
        spare: dict[int, list[Written]] = {pk: [] for pk in fitting}
        _keep_distinct(outputs, share, seen, kept, spare)
        for attempt in range(1, self.plan.resample + 1):
            short = {pk: place for pk, place in fitting.items() if len(kept[pk]) < share}
            if not short or self.plan.temperature == 0:
                break
            _keep_distinct(self._generate(prompts, short, share, attempt), share, seen, kept, spare)
        for pk in fitting:  # what stayed a duplicate is taken as it is, and marked in the task
            lacking = share - len(kept[pk])
            kept[pk] += spare[pk][:lacking]
            self.result.duplicates += lacking
        self._store(kept, share)

    def _done(self, here: Mapping[int, Sequence[Completion]], share: int) -> set[int]:
        """The prompts that have their outputs by this version."""
        return {pk for pk, there in here.items() if sum(one.version_id == self.version.pk for one in there) >= share}

    def _generate(
        self, prompts: dict[int, Prompt], places: dict[int, int], share: int, attempt: int
    ) -> dict[int, list[Written]]:
        written = self.writer.write(
            prompts,
            places,
            share * self.plan.best_of,
            self._seed(attempt),
            max_tokens=self.plan.max_tokens,
            temperature=self.plan.temperature,
            top_p=self.plan.top_p,
            stop=self.plan.stop,
        )
        # No database can hold a NUL, and byte-level models write one now and then.
        clean = {
            pk: [replace(one, text=one.text.replace("\0", "\ufffd")) for one in mine] for pk, mine in written.items()
        }
        return clean if self.judge is None else best_of(self.judge, prompts, clean, self.plan.best_of)

    def _seed(self, attempt: int) -> int:
        """Each version and each attempt draws from numbers of its own."""
        said = f"{self.plan.seed} {self.version.digest} {attempt}"
        return int(hashlib.sha256(said.encode()).hexdigest()[:8], 16)

    @transaction.atomic
    def _store(self, kept: dict[int, list[Written]], share: int) -> None:
        """All but what another worker has stored meanwhile: of two who sample the same, each prompt has its outputs once."""
        _alone_in(self.project)
        done = self._done(_of_round(self.round, list(kept)), share)
        plan = self.plan
        settings = {
            "round": self.round,
            "seed": plan.seed,
            "temperature": plan.temperature,
            "top_p": plan.top_p,
            "max_tokens": plan.max_tokens,
        }
        if plan.stop:
            settings["stop"] = list(plan.stop)
        if self.judge is not None:
            settings |= {"best_of": plan.best_of, "judge": str(self.judge)}
        rows = [
            Completion(
                prompt_id=pk,
                text=output.text,
                digest=digest_of(output.text),
                version=self.version,
                sampling=settings
                | {"index": index, "finish": output.finish_reason}
                | ({} if output.score is None else {"score": output.score}),
            )
            for pk, outputs in kept.items()
            if pk not in done
            for index, output in enumerate(outputs)
        ]
        Completion.objects.bulk_create(rows)
        self.result.completions += len(rows)


def best_of(
    judge: Version, prompts: Mapping[int, Prompt], written: Mapping[int, Sequence[Written]], tries: int
) -> dict[int, list[Written]]:
    """Of each `tries` outputs in a row, the one with the highest score, the first of several; with its score."""
    told = judged(judge, ((prompts[pk].content, [one.text for one in mine]) for pk, mine in written.items()))
    kept = {}
    for pk, (said, _std) in zip(written, told, strict=True):
        scored = [replace(one, score=each.score) for one, each in zip(written[pk], said, strict=True)]
        kept[pk] = [
            max(scored[begin : begin + tries], key=lambda one: one.score) for begin in range(0, len(scored), tries)
        ]
    return kept


def _alone_in(project: Project) -> None:
    """Until the transaction ends, nobody else stores outputs and tasks of this project."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)


def _of_round(round_: str, pks: Sequence[int]) -> dict[int, list[Completion]]:
    """The outputs of a round, by prompt."""
    found: dict[int, list[Completion]] = defaultdict(list)
    for completion in Completion.objects.filter(prompt__in=pks, sampling__round=round_).order_by("pk"):
        found[completion.prompt_id].append(completion)
    return found


def _keep_distinct(
    outputs: dict[int, list[Written]],
    share: int,
    seen: dict[int, set[str]],
    kept: dict[int, list[Written]],
    spare: dict[int, list[Written]],
) -> None:
    for pk, written in outputs.items():
        for output in written:
            text = output.text.strip()
            if text in seen[pk]:
                spare[pk].append(output)
            elif len(kept[pk]) < share:
                seen[pk].add(text)
                kept[pk].append(output)


@transaction.atomic
def _make_tasks(project: Project, round_: str, pks: Sequence[int], place: Place, result: Sampled) -> None:
    """A task of each prompt's outputs, in an order that says nothing about who wrote them."""
    _alone_in(project)
    here = _of_round(round_, pks)
    prompts = Prompt.objects.in_bulk(pks)
    wanted = []
    for pk in pks:
        completions = here[pk]
        if len(completions) < 2:
            result.too_few += 1
            continue
        random.Random(f"{round_} {prompts[pk].digest}").shuffle(completions)
        wanted.append((prompts[pk], completions))
    made = make_tasks(project, wanted, [place] * len(wanted))
    result.tasks += sum(new for _task, new in made)
    result.tasks_known += sum(not new for _task, new in made)
