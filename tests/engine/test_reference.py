"""The methods' docs pages tell the settings as they are."""

import pytest

from training.engine import methods
from training.engine.reference import BEGIN, DOCS, kinds_table, table, unions, updated


@pytest.mark.parametrize("method", methods.names())
def test_the_docs_page_of_a_method_tells_its_settings_as_they_are(method):
    text = (DOCS / f"{method}.md").read_text("utf-8")
    assert BEGIN in text
    assert updated(text, method) == text, "run: python -m training.engine.reference"


def test_every_setting_of_every_method_has_a_row_with_its_default():
    for method in methods.names():
        rows = table(method).splitlines()[2:]
        assert len(rows) == len(methods.config_of(method).model_fields)
    assert "| `kl_coef` | `0.2` |" in table("ppo")
    assert "`rao_kupper`, `davidson`, `plackett_luce`, `bradley_terry`, `soft`" in table("reward")


@pytest.mark.slow
def test_a_setting_of_several_kinds_has_a_page_with_the_settings_of_each():
    assert unions() == ["tune"]
    text = (DOCS / "tune.md").read_text("utf-8")
    assert kinds_table("tune") in text, "run: python -m training.engine.reference"
    assert "### `lora`: LoRA adapter" in text
    assert "| `tune.rank` | `8` |" in text
