"""The whole loop, unattended: pretrain, finetune, sample, rank, freeze, reward model, PPO, compare.

Everything goes through the app's own verbs and the engine's own processes, so that what it leaves behind (project, rankings,
snapshot, runs, versions with their lineage) is what people's work would have left. Only the annotators are simulated,
and say so.
"""

import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from django.db import connection

from jobs.models import Job
from jobs.worker import run_all_waiting
from labeling.actions import add_members, claim_task, create_project, freeze_snapshot, start_sampling, submit_ranking
from labeling.importing.load import import_prompts
from labeling.models import Dataset, Project
from labeling.queries import board_state
from labeling.sampling import Plan
from models_registry.models import Version
from people.models import Role, User, audit
from training.actions import create_run
from training.failures import said
from training.models import Run
from training.supervisor import Supervisor, supervising

from .annotators import ANNOTATORS, Annotator
from .corpus import HELDOUT_PERCENT, QUESTIONS, prompt_rows, sft_rows, text_rows
from .data import rows_file, store
from .evaluate import Comparison, compare
from .recipe import FULL, Recipe

PROJECT = "Demo loop (simulated annotators)"
LOOK_EVERY = 0.2  # seconds

Report = Callable[[str, float, str], None]  # what is being done, how much of it (0..1), the newest figures


@dataclass(frozen=True)
class Result:
    """Of one round. `run` is the PPO run."""

    project: Project
    run: Run
    comparison: Comparison
    seconds: float


class LoopFailed(Exception):
    """A step of the loop did not end well; the message says which, and why."""


def run_loop(*, admin: User, report: Report, recipe: Recipe = FULL, seed: int | None = None) -> Result:
    """One round, on whatever the data folder holds already. `seed`: by default the number of the round, from 0."""
    began = time.monotonic()
    rounds = Project.objects.filter(name__startswith=PROJECT).count()
    seed = rounds if seed is None else seed

    report("Corpus", 0, "")
    corpus = store(admin, "Demo corpus", Dataset.Kind.TEXT, text_rows(0, recipe.tales, recipe.dialogues))
    answers = store(admin, "Demo questions and answers", Dataset.Kind.SFT, sft_rows(0, recipe.answers))
    questions = store(admin, "Demo questions", Dataset.Kind.PROMPTS, prompt_rows())
    report("Corpus", 1, f"{corpus.rows} texts, {answers.rows} answers, {questions.rows} questions")

    with supervising() as supervisor:

        def train(method: str, title: str, config: dict, name: str, **inputs: Version | Dataset) -> Run:
            run = create_run(
                actor=admin,
                method=method,
                config=config,
                inputs=inputs,
                name=f"Demo loop: {title.lower()}",
                output_name=name,
                seed=seed,
            )
            return _follow(run, title, supervisor, report)

        base = train("pretrain", "Pretraining", recipe.pretrain, "demo-loop-base", dataset=corpus)
        tuned = train(
            "finetune", "Finetuning", recipe.finetune, "demo-loop-answers", base=base.produced, dataset=answers
        )
        project = _project(admin, recipe, rounds, seed)
        _sample(admin, project, tuned.produced, recipe, seed, report)
        _rank(project, seed, report)
        snapshot, _new = freeze_snapshot(actor=admin, project=project)
        scorer = train(
            "reward", "Reward model", recipe.reward, "demo-loop-reward", base=tuned.produced, dataset=snapshot
        )
        policy = train(
            "ppo",
            "PPO",
            recipe.ppo,
            "demo-loop-ppo",
            base=tuned.produced,
            reward_model=scorer.produced,
            dataset=questions,
        )
    return Result(project, policy, compare(policy.folder), time.monotonic() - began)


def _follow(run: Run, title: str, supervisor: Supervisor | None, report: Report) -> Run:
    """Wait for the end of a run and of its registration."""
    while run.is_active or (run.state == Run.State.COMPLETE and not run.produced and not run.errors):
        if supervisor:
            supervisor.step()
        time.sleep(LOOK_EVERY)
        run.refresh_from_db()
        report(title, min(run.progress, 0.999), _figures(run))
    if run.produced is None:
        raise LoopFailed(f"{title}: the run is {run.get_state_display()}. {' '.join(said(run.errors))}")
    report(title, 1, f"{_figures(run)} → {run.produced}")
    return run


def _figures(run: Run) -> str:
    names = [name for name in ("reward", "kl", "loss", "heldout_loss", "accuracy") if run.latest.get(name) is not None]
    return ", ".join(f"{name.replace('_', '-')} {run.latest[name]:.2f}" for name in names)


def _project(admin: User, recipe: Recipe, rounds: int, seed: int) -> Project:
    """A project of its own for each round, with its prompts and its simulated annotators."""
    project = create_project(
        actor=admin,
        name=PROJECT if not rounds else f"{PROJECT}, round {rounds + 1}",
        is_demo=True,
        description="Ranked by programs, not by people: they follow the taste that docs/demo.md describes.",
        outputs_per_task=recipe.outputs,
        overlap=recipe.overlap,
        heldout_percent=HELDOUT_PERCENT,
    )
    asked = random.Random(f"questions {seed}").sample(QUESTIONS, recipe.questions)
    with rows_file({"prompt": question.text} for question in asked) as path:
        import_prompts(actor=admin, project=project, path=path)
    add_members(actor=admin, project=project, users=_people(admin).values())
    return project


def _people(admin: User) -> dict[Annotator, User]:
    """The accounts of the simulated annotators. Nobody can sign in to them."""
    found = {}
    for annotator in ANNOTATORS:
        user = User.objects.filter(username=annotator.username, is_simulated=True).first()
        if user is None:
            *first, last = annotator.name.split()
            user = User(
                username=annotator.username,
                first_name=" ".join(first),
                last_name=last,
                role=Role.ANNOTATOR,
                is_simulated=True,
            )
            user.set_unusable_password()
            user.save()
            audit(admin, "add_person", user, username=user.username, role=user.role, simulated=True)
        found[annotator] = user
    return found


def _sample(admin: User, project: Project, version: Version, recipe: Recipe, seed: int, report: Report) -> None:
    """Through the job that the project's page begins. A worker elsewhere may take it; else it is done here."""
    plan = Plan(versions=(version.pk,), outputs=recipe.outputs, seed=seed, max_tokens=recipe.max_tokens)
    job = start_sampling(actor=admin, project=project, plan=plan)
    thread = threading.Thread(target=_work, daemon=True)
    thread.start()
    while job.is_active:
        time.sleep(LOOK_EVERY)
        job.refresh_from_db()
        report("Sampling", min(job.done / (job.total or 1), 0.999), f"{job.done} of {job.total} prompts")
    thread.join()
    if job.state != Job.State.DONE:
        raise LoopFailed(f"Sampling: {job.error or job.get_state_display()}")
    report("Sampling", 1, " ".join(job.result["notes"]))


def _work() -> None:
    try:
        run_all_waiting()
    finally:
        connection.close()


def _rank(project: Project, seed: int, report: Report) -> None:
    """Every simulated annotator claims, reads the board, and submits, in turn, until no task is left for them."""
    total = sum(project.tasks.values_list("overlap", flat=True))
    done = ties = 0
    turns = {
        annotator: (user, claim_task(actor=user, project=project))
        for annotator, user in _people(project.created_by).items()
    }
    while any(assignment for _user, assignment in turns.values()):
        for annotator, (user, assignment) in turns.items():
            if assignment is None:
                continue
            board = board_state(assignment)
            order = annotator.rank(board["prompt"], [output["text"] for output in board["outputs"]], seed=seed)
            outcome = submit_ranking(
                actor=user, assignment=assignment, notation=str(order), client_key=str(uuid.uuid4())
            )
            turns[annotator] = user, outcome.next
            done += 1
            ties += bool(order.tied_pairs())
            report("Ranking", done / total, f"{done} rankings by simulated annotators, {ties} of them with ties")
    if done < total:
        raise LoopFailed(f"Ranking: only {done} of {total} rankings could be made.")
