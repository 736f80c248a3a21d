"""Which task fits a kind of rows and a version, and what does not go together. Light: asked before anything is loaded, and once more after."""

from typing import Literal

from ..messages import Message, _
from .figures import Task

NATURAL: dict[str, Task] = {
    "text": "language",
    "sft": "language",
    "labelled": "classification",
    "rankings": "preference",
    "prompts": "preference",
}


def task_for(
    kind: str,
    *,
    head: str,
    has_labels: bool,
    wanted: Task | Literal["auto"],
    has_reward_model: bool,
    has_reference: bool,
) -> tuple[Task, list[Message]]:
    """The task, and the reasons why rows of this kind, this version and these inputs do not go together.

    `head` is that of the weights; a version that writes has labels by a hard prompt.
    """
    task = NATURAL[kind] if wanted == "auto" else wanted
    problems: list[Message] = []

    def say(id: str, text: str) -> None:
        problems.append(Message(id, text))

    if task == "language":
        if kind in ("rankings", "prompts"):
            say(
                "language-rows",
                _("Language is judged on texts, or on prompts with completions; this data set has neither."),
            )
        if head != "lm":
            say(
                "language-head",
                _("Only a version that writes text can be judged on language; this one scores or classifies."),
            )
    elif task == "classification":
        if kind != "labelled":
            say("classification-rows", _("Classification is judged on texts with labels; this data set has none."))
        if head == "reward":
            say("classification-head", _("A reward model gives scores and knows no labels."))
        elif not has_labels:
            text = _(
                "This version writes text and knows no labels. Train it with the method classify, or give it a hard prompt with labels (prompting)."
            )
            say("no-labels", text)
    else:
        if kind not in ("rankings", "prompts"):
            say(
                "preference-rows",
                _("Preference is judged on rankings, or on prompts with a reward model; this data set has neither."),
            )
        if head == "classes":
            say("preference-head", _("A classifier knows labels and prefers no output to another."))
        if kind == "prompts" and not has_reward_model and head == "lm":
            say("prompts-need-reward", _("Answers to prompts are judged by a reward model: choose one."))
        if kind == "prompts" and head == "reward":
            say(
                "reward-needs-rankings", _("A reward model is judged on rankings; prompts alone say nothing about it.")
            )
    if has_reward_model and (task != "preference" or head != "lm"):
        say(
            "reward-unused",
            _("A reward model scores what a version writes to prompts; here nothing is written. Leave it out."),
        )
    if has_reference and not has_reward_model:
        say(
            "reference-unused",
            _("What a version is compared with is only used together with a reward model, which decides who wins."),
        )
    return task, problems
