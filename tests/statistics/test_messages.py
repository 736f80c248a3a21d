"""Why a figure is missing is said in texts that translators get."""

from pathlib import Path

import pytest

from labeling import statistics
from labeling.statistics import agreement, alpha, bias, ceiling, compare
from labeling.statistics.messages import Message
from labeling.statistics.resampling import too_few
from training.management.commands.collect_texts import in_python


@pytest.fixture(scope="module")
def collected() -> set[str]:
    folder = Path(statistics.__file__).parent
    return {text.text for path in folder.glob("*.py") for text in in_python(path.read_text("utf-8"), path.name)}


def test_every_reason_is_collected_for_translation(collected):
    modules = (agreement, alpha, bias, ceiling, compare)
    reasons = {each for module in modules for each in vars(module).values() if isinstance(each, Message)}
    reasons |= {too_few(3), agreement.on_question([], "x").why}
    assert len(reasons) > 15
    assert {reason.text for reason in reasons} <= collected
    assert len({reason.id for reason in reasons}) == len(reasons)


def test_a_reason_can_be_stored_and_read():
    reason = too_few(3)
    assert reason.text % reason.params == str(reason) == "An interval needs at least 5 tasks; these are 3."
    assert reason.as_json() == {"id": "few_tasks", "text": reason.text, "params": {"least": 5, "tasks": 3}}
