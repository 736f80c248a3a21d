"""Reading a ranking that somebody typed, as the project allows it: a Refusal names all that is wrong."""

from django.utils.translation import gettext as _

from labeling.models import Project
from labeling.ranking import LETTERS, RankingError, WeakOrder
from people.errors import Refusal


def read_order(notation: str, *, items: int, project: Project) -> WeakOrder:
    """The order of `items` outputs, in the letters in which it was typed."""
    order = parse_order(notation, items=items)
    if problems := problems_of(order, project):
        raise Refusal(problems)
    return order


def parse_order(notation: str, *, items: int) -> WeakOrder:
    try:
        return WeakOrder.parse(notation, items=items)
    except RankingError as error:
        raise Refusal(_(error.template) % error.params) from None


def problems_of(order: WeakOrder, project: Project) -> list[str]:
    """What the project does not allow in a ranking that could be read."""
    problems = []
    if not project.allow_partial and not order.is_complete:
        missing = ", ".join(LETTERS[item] for item in range(order.items) if item not in order.named)
        problems.append(_("Rank every output; still missing: %(letters)s.") % {"letters": missing})
    if not project.acceptability_line and order.line is not None:
        problems.append(_("This project has no acceptability line; leave out |."))
    if not order.strict_pairs() and not order.tied_pairs() and order.line is None:
        problems.append(_("This says nothing yet: rank at least two outputs."))
    return problems
