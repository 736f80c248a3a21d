"""Frames of equal height: what belongs to an output lies in its own frame, and nothing of another lies over it."""

import pytest

from labeling.questions import PRESETS
from tests import factories
from tests.board.test_ranking import open_board
from tests.conftest import PHONE

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

# Of what is scrolled to, which is not the topmost thing in its own frame.
COVERED = """() => [...document.querySelectorAll('.card')].flatMap((card) =>
  [card.querySelector('.letter'), card.querySelector('.reading'), ...card.querySelectorAll('.questions summary, .questions label')]
    .filter((each) => each.checkVisibility())
    .filter((each) => {
      each.scrollIntoView({block: 'center', behavior: 'instant'});
      const {left, top, width, height} = each.getBoundingClientRect();
      return !card.contains(document.elementFromPoint(left + width / 2, top + Math.min(height, 40) / 2));
    })
    .map((each) => card.dataset.item + ': ' + each.innerText.slice(0, 40)))"""


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("layout", ["equal", "rows", "columns"])
def test_questions_stay_in_the_frame_of_their_output(open_page, options, layout):
    asked = [question for preset in PRESETS.values() for question in preset.definition()]
    page = open_board(open_page, factories.user(), factories.project(tasks=1, questions=asked), **options)
    page.evaluate("layout => document.querySelector(`button[data-layout=${layout}]`).click()", layout)
    page.wait_for_selector(f"#board[data-layout={layout}] .card .questions")
    assert page.evaluate(COVERED) == []
