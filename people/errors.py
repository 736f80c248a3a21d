"""The one exception by which a verb says no to a person, and what is wrong with a form in the same words."""

from collections.abc import Iterable, Sequence

from django.forms import BaseForm


class Refusal(Exception):
    """The request cannot be carried out; nothing was changed.

    `problems` holds everything that is wrong at once, each a translated sentence that says how to mend it.
    `status` is the HTTP status that fits: 400 bad input, 403 not allowed, 404 not there, 409 overtaken by events.
    """

    def __init__(self, problems: str | Iterable[str], *, status: int = 400) -> None:
        self.problems: Sequence[str] = [problems] if isinstance(problems, str) else list(problems)
        self.status = status
        super().__init__("; ".join(str(p) for p in self.problems))


def wrong_with(form: BaseForm, *, labels: bool = False) -> list[str]:
    """All that is wrong with a form; with `labels` each says in which field, for where no field is seen beside it."""
    return [
        f"{form.fields[name].label}: {problem}" if labels and name in form.fields else problem
        for name, problems in form.errors.items()
        for problem in problems
    ]
