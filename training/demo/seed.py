"""What a new installation starts with: a project to rank in at once, the demo's corpus, a first model in the queue, demo sign-ins."""

from collections.abc import Callable
from pathlib import Path

from django.db import transaction

from labeling.actions import create_project
from labeling.importing.load import import_prompts
from labeling.models import Dataset
from people.models import AuditEntry, Role, User, audit
from training.actions import create_run

from .corpus import prompt_rows, sft_rows, text_rows
from .data import store
from .recipe import PRETRAIN

SIGN_INS = {
    "demo-annotator": ("Demo annotator", Role.ANNOTATOR),
    "demo-researcher": ("Demo researcher", Role.RESEARCHER),
}

PROJECT = "Helpful answers"
DESCRIPTION = (
    "Forty everyday questions with four answers each, written for this demo. "
    "Empat puluh pertanyaan sehari-hari, masing-masing dengan empat jawaban, ditulis untuk demo ini."
)
GUIDELINES = """\
Put the answer that you would rather get first. Half of the questions are in English, half in Indonesian; skip a task whose
language you do not read.

* **Helpful**: it answers what was asked, and what it says is true.
* **Polite**: it is friendly, or at least not rude.
* **To the point**: it says no more than is needed.

Are two answers equally good? Then put them on the same tier: a tie is an answer, too.

---

Taruh jawaban yang paling Anda sukai di tempat pertama. Separuh pertanyaan berbahasa Inggris, separuh berbahasa Indonesia;
lewati tugas yang bahasanya tidak Anda pahami.

* **Membantu**: jawabannya sesuai pertanyaan dan isinya benar.
* **Sopan**: ramah, atau setidaknya tidak kasar.
* **Langsung ke inti**: tidak lebih panjang dari yang perlu.

Ada dua jawaban yang sama baiknya? Taruh keduanya di tingkat yang sama: seri juga jawaban.
"""


def seed(*, sign_ins: bool, say: Callable[[str], None] = lambda line: None) -> list[str]:
    """Bring what is missing; gives the lines that tell a person how to begin. What was brought once is never brought again."""
    admin = User.objects.filter(role=Role.ADMIN, is_active=True).order_by("pk").first()
    if admin is None:
        raise RuntimeError("seed() needs an administrator")
    lines = _sign_ins(admin) if sign_ins else []
    if not AuditEntry.objects.filter(verb="demo.seed").exists():
        say("Bringing the demo project and its corpus …")
        _content(admin)
    return lines


def _content(admin: User) -> None:
    """Interrupted half-way, it is simply begun again: what is there already is found, or was never stored."""
    corpus = store(admin, "Demo corpus", Dataset.Kind.TEXT, text_rows())
    store(admin, "Demo questions and answers", Dataset.Kind.SFT, sft_rows())
    store(admin, "Demo questions", Dataset.Kind.PROMPTS, prompt_rows())
    with transaction.atomic():
        project = create_project(
            actor=admin,
            name=PROJECT,
            is_demo=True,
            description=DESCRIPTION,
            guidelines=GUIDELINES,
            outputs_per_task=4,
            overlap=2,
            open_to_all=True,
        )
        import_prompts(actor=admin, project=project, path=Path(__file__).parent / "project.jsonl")
        create_run(
            actor=admin,
            method="pretrain",
            config=PRETRAIN,
            inputs={"dataset": corpus},
            name="Demo base model",
            output_name="demo-base",
        )
        audit(admin, "demo.seed", project)


@transaction.atomic
def _sign_ins(admin: User) -> list[str]:
    """People without a password, whom the sign-in page offers to a browser on this very machine."""
    for username, (name, role) in SIGN_INS.items():
        if User.objects.filter(username=username).exists():
            continue
        first, last = name.split()
        person = User(username=username, first_name=first, last_name=last, role=role, loopback_only=True)
        person.set_unusable_password()
        person.save()
        audit(admin, "add_person", person, username=username, role=role)
    return [f"To look around, the sign-in page offers {' and '.join(SIGN_INS)} (from this machine only)."]
