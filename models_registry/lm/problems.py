"""What is wrong with a model or with what is asked of it, in sentences that a program can still translate. Light."""

from typing import Any


def _(text: str) -> str:
    """Marks a text for the web's translators; nothing is translated here."""
    return text


class Problem(str):
    """A sentence for people, or what follows a colon in one: `gettext(problem.template) % problem.params`."""

    template: str
    params: dict[str, Any]

    def __new__(cls, template: str, **params: Any) -> "Problem":
        problem = super().__new__(cls, template % params if params else template)
        problem.template, problem.params = template, params
        return problem


class Unfit(ValueError):
    """A model cannot be used in the way that is asked: `problems` holds every reason."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems
