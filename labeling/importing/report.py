"""What an import met in a file, and what it did or would do with it."""

from dataclasses import asdict, dataclass, field

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling.files import MOST_SHOWN, Problem


@dataclass
class Report:
    """Figures of one import. `problems` are the rows that cannot be read; they are never imported and never hidden."""

    format: str = ""
    rows: int = 0
    prompts_new: int = 0
    prompts_known: int = 0  # rows whose prompt was there already: from an earlier row or an earlier import
    other_ids: int = 0  # of those, rows that call the prompt by another id; the first id is kept
    completions: int = 0
    tasks_new: int = 0
    tasks_known: int = 0
    rankings_new: int = 0
    rankings_known: int = 0
    annotators: int = 0
    repeats: int = 0  # a person's further judgements of a task that they had judged before
    answered: int = 0  # rankings that come with answers to the project's questions
    commented: int = 0
    with_ties: int = 0
    all_tied: int = 0
    blanks: int = 0  # outputs left blank by an annotator: they are not in the ranking, and said nothing about
    silent: int = 0  # judgements that say nothing at all: no ranking is stored
    placed: int = 0  # rows that say who gets their task, when, in which batch, or a score
    known_answers: int = 0  # rows whose task is gold, practice or qualification
    duplicated: int = 0  # rows in which a text stands more than once
    copies_apart: int = 0  # rankings that put copies of one text into different tiers
    kept_columns: list[str] = field(default_factory=list)  # that mean nothing here and are kept with the prompts
    unkept_columns: list[str] = field(default_factory=list)  # of which some values cannot be kept
    problems: list[Problem] = field(default_factory=list)

    @property
    def changes_nothing(self) -> bool:
        return not (self.prompts_new or self.tasks_new or self.rankings_new)

    def sentences(self) -> list[str]:
        """What people should know, each thing in a sentence; figures of 0 are left out."""
        said = [
            (self.rows, ngettext("%(n)d row was looked at.", "%(n)d rows were looked at.", self.rows)),
            (self.prompts_new, ngettext("%(n)d prompt is new.", "%(n)d prompts are new.", self.prompts_new)),
            (
                self.prompts_known,
                ngettext(
                    "%(n)d row names a prompt that was there already.",
                    "%(n)d rows name a prompt that was there already.",
                    self.prompts_known,
                ),
            ),
            (
                self.other_ids,
                ngettext(
                    "%(n)d row knows such a prompt by another id; the first id is kept.",
                    "%(n)d rows know such a prompt by another id; the first id is kept.",
                    self.other_ids,
                ),
            ),
            (self.tasks_new, ngettext("%(n)d task is new.", "%(n)d tasks are new.", self.tasks_new)),
            (
                self.tasks_known,
                ngettext(
                    "%(n)d row belongs to a task that was there already.",
                    "%(n)d rows belong to a task that was there already.",
                    self.tasks_known,
                ),
            ),
            (
                self.rankings_new,
                ngettext("%(n)d ranking is new.", "%(n)d rankings are new.", self.rankings_new),
            ),
            (
                self.rankings_known,
                ngettext(
                    "%(n)d ranking was imported before.", "%(n)d rankings were imported before.", self.rankings_known
                ),
            ),
            (
                self.annotators,
                ngettext("%(n)d annotator made them.", "%(n)d annotators made them.", self.annotators),
            ),
            (
                self.repeats,
                ngettext(
                    "%(n)d ranking is a repeat: the same annotator judged the same task again.",
                    "%(n)d rankings are repeats: the same annotator judged the same task again.",
                    self.repeats,
                ),
            ),
            (
                self.answered,
                ngettext(
                    "%(n)d ranking comes with answers to the questions.",
                    "%(n)d rankings come with answers to the questions.",
                    self.answered,
                ),
            ),
            (
                self.commented,
                ngettext("%(n)d ranking comes with a comment.", "%(n)d rankings come with a comment.", self.commented),
            ),
            (self.with_ties, ngettext("%(n)d ranking has ties.", "%(n)d rankings have ties.", self.with_ties)),
            (
                self.all_tied,
                ngettext(
                    "%(n)d ranking ties all its outputs.", "%(n)d rankings tie all their outputs.", self.all_tied
                ),
            ),
            (
                self.blanks,
                ngettext(
                    "%(n)d output was left blank; it is not in the ranking.",
                    "%(n)d outputs were left blank; they are not in the rankings.",
                    self.blanks,
                ),
            ),
            (
                self.silent,
                ngettext(
                    "%(n)d judgement says nothing; no ranking is stored for it.",
                    "%(n)d judgements say nothing; no rankings are stored for them.",
                    self.silent,
                ),
            ),
            (
                self.placed,
                ngettext(
                    "%(n)d row says who gets its task, when, or in which batch; a task that is there already stays where it is.",
                    "%(n)d rows say who gets their tasks, when, or in which batch; tasks that are there already stay where they are.",
                    self.placed,
                ),
            ),
            (
                self.known_answers,
                ngettext(
                    "%(n)d row holds a task with a known answer: gold, practice or qualification.",
                    "%(n)d rows hold tasks with a known answer: gold, practice or qualification.",
                    self.known_answers,
                ),
            ),
            (
                self.duplicated,
                ngettext(
                    "%(n)d row holds a text more than once; the copies are marked.",
                    "%(n)d rows hold a text more than once; the copies are marked.",
                    self.duplicated,
                ),
            ),
            (
                self.copies_apart,
                ngettext(
                    "%(n)d ranking puts copies of one text into different tiers; it is kept as it was given.",
                    "%(n)d rankings put copies of one text into different tiers; they are kept as they were given.",
                    self.copies_apart,
                ),
            ),
            (
                len(self.problems),
                ngettext("%(n)d row cannot be read.", "%(n)d rows cannot be read.", len(self.problems)),
            ),
        ]
        sentences = [sentence % {"n": count} for count, sentence in said if count]
        if self.kept_columns:
            sentences.append(
                _(
                    "Other columns are kept with new prompts as they are, to tell them apart in quality and review: %(names)s."
                )
                % {"names": ", ".join(self.kept_columns)}
            )
        if self.unkept_columns:
            sentences.append(
                _("Left out, for only short texts and numbers can be kept: %(names)s.")
                % {"names": ", ".join(self.unkept_columns)}
            )
        return sentences or [_("The file holds no rows.")]

    def as_json(self) -> dict:
        """For job results and the API: the figures, and the first MOST_SHOWN problems."""
        figures = asdict(self)
        figures["problems"] = [str(problem) for problem in self.problems[:MOST_SHOWN]]
        figures["problem_rows"] = len(self.problems)
        return figures
