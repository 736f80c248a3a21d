"""The short jobs of a run's policies: answers for people to rank, and the verdict of another reward model."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.registry import job
from labeling.actions.tasks import NewTask, add_tasks
from labeling.sampling import Plan, Sampled, sample
from models_registry.models import Version
from models_registry.queries import folders
from people.errors import Refusal
from people.permissions import Right

from ..engine.methods.ppo.kept import Policy
from ..models import Run
from . import actions
from .models import FreshPairs, Verdict
from .queries import Policies, drawn

if TYPE_CHECKING:
    from models_registry.lm.chain import Loaded

Prompt: TypeAlias = str | list
AT_ONCE = 32  # prompts that are answered side by side


@job("fresh-pairs", title=gettext_lazy("Write fresh pairs"), right=Right.LAUNCH_RUNS)
def fresh_pairs(progress, *, pairs: int) -> dict:
    """Start and policy answer the same prompts with the same settings; a repeated text is a tie that people see, as drawing again would favour one side."""
    sent = FreshPairs.objects.select_related("run", "batch__project").get(pk=pairs)
    actor, project, found = progress.job.created_by, sent.batch.project, Policies(sent.run)
    progress.set(0, 2 * sent.number, _("registering the policy"))
    sent.version = actions.register_policy(actor=actor, run=sent.run, step=sent.step)
    sent.save(update_fields=["version"])
    done, sampled = 0, Sampled()
    for number, prompts in enumerate(drawn(found.heldout, sent.number, sent.seed)):
        rows = [NewTask(prompt, split="heldout") for prompt in prompts]
        asked = [each.prompt.pk for part in _parts(rows) for each in add_tasks(project, part)]
        plan = Plan(
            versions=(found.start.pk, sent.version.pk),
            outputs=2,
            seed=(sent.seed + number) % 2**32,
            temperature=found.config.temperature,
            max_tokens=min(found.config.max_tokens, 4096),
            resample=0,
            stop=found.stop,
        )

        def tell(now: int, _total: int, before: int = done) -> None:
            progress.set(before + now, 2 * sent.number)

        sampled += sample(project, plan, tell, batch=sent.batch.name, actor=actor, among=asked)
        done += 2 * len(prompts)
    return {
        "message": _("The pairs wait in the batch “%(batch)s”.") % {"batch": sent.batch},
        "url": project.get_absolute_url(),
        "notes": sampled.sentences(),
    }


@job("judge-policies", title=gettext_lazy("Judge the policies"), right=Right.TRY_MODELS)
def judge_policies(progress, *, run: str, judge: int) -> dict:
    """Start and policies answer the held-out prompts with the same random numbers, and the judge scores; what it has judged before stays."""
    found, version = Policies(Run.objects.get(pk=run)), Version.objects.filter(pk=judge).first()
    if version is None:
        raise Refusal(_("The model was deleted meanwhile. Choose another one."))
    known = set(found.run.verdicts.filter(judge=version).values_list("step", flat=True))
    if new := [policy for policy in found.all if policy.step not in known]:
        _judge(progress, found, version, new)
    found.run.verdicts.filter(judge=version).update(asked_at=timezone.now())
    return {
        "message": _("%(model)s has judged the policies.") % {"model": version},
        "url": found.run.get_absolute_url(),
    }


def _judge(progress, found: Policies, judge: Version, new: list[Policy]) -> None:
    from models_registry.lm.chain import load
    from models_registry.lm.inspect import describe

    base = folders(found.start)
    start = load(base, device=_device())
    prompts = _fitting(found, start)
    total = 2 * (len(new) + 1) * len(prompts)
    done = 0

    def step(count: int) -> None:
        nonlocal done
        progress.set(done, total)
        done += count

    answers = [_answers(found, start, prompts, step)]
    del start  # before the next one is loaded
    judged = []
    for policy in new:
        folder = found.folder(policy)
        if not folder.is_dir():  # a run that goes on has let go of it meanwhile
            continue
        judged.append(policy)
        chain = [folder] if describe(folder).kind == "full" else [*base, folder]
        answers.append(_answers(found, load(chain, device=_device()), prompts, step))
    before, *scores = _scores(load(folders(judge), device=_device()), prompts, answers, step)
    for policy, mine in zip(judged, scores, strict=True):
        gains = [a - b for a, b in zip(mine, before, strict=True)]
        wins, losses = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
        counts = {"wins": wins, "losses": losses, "ties": len(gains) - wins - losses}
        Verdict.objects.update_or_create(run=found.run, step=policy.step, judge=judge, defaults=counts)


def _fitting(found: Policies, start: "Loaded") -> list[Prompt]:
    """The held-out prompts that leave room for an answer, as many as the run itself compares on."""
    from models_registry.lm.text import encode_prompt

    answer = found.config.max_tokens + getattr(found.config.tune, "length", 0)
    most = start.context_length
    fit = [each for each in found.heldout if most is None or len(encode_prompt(start, each)) + answer <= most]
    if not fit:
        raise Refusal(_("No held-out prompt leaves room for an answer of %(tokens)s tokens.") % {"tokens": answer})
    return fit[: found.config.heldout_prompts or None]


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _answers(found: Policies, writer: "Loaded", prompts: list[Prompt], step: Callable[[int], None]) -> list[str]:
    from models_registry.lm.generate import generate

    texts: list[str] = []
    for part in _parts(prompts):
        step(len(part))
        settings = {"max_tokens": found.config.max_tokens, "temperature": found.config.temperature, "stop": found.stop}
        texts += [one.text for one in generate(writer, part, seed=found.run.seed, first_index=len(texts), **settings)]
    return texts


def _scores(
    judge: "Loaded", prompts: list[Prompt], answers: list[list[str]], step: Callable[[int], None]
) -> list[list[float]]:
    """Of every list of answers to the prompts."""
    from models_registry.lm.score import rewards

    found = []
    for texts in answers:
        mine: list[float] = []
        for part in _parts(list(zip(prompts, texts, strict=True))):
            step(len(part))
            mine += rewards(judge, part)
        found.append(mine)
    return found


def _parts(things: list) -> Iterator[list]:
    for begin in range(0, len(things), AT_ONCE):
        yield things[begin : begin + AT_ONCE]
