"""The demo's corpus: the same on every machine, bilingual, and its held-out questions stay out of training."""

import json
from collections import Counter
from pathlib import Path

from labeling.identity import HELDOUT, TRAIN, digest_of, split_of
from training.demo import corpus
from training.demo.corpus import BY_TEXT, HELDOUT_PERCENT, QUESTIONS, prompt_rows, sft_rows, text_rows


def test_the_corpus_is_the_same_every_time():
    assert list(text_rows()) == list(text_rows())
    assert list(sft_rows()) == list(sft_rows())
    assert list(prompt_rows()) == list(prompt_rows())


def test_another_seed_makes_another_corpus():
    assert list(text_rows(seed=0)) != list(text_rows(seed=1))


def test_every_question_can_be_told_from_every_other():
    assert len(BY_TEXT) == len(QUESTIONS)


def test_both_languages_have_as_many_questions():
    count = Counter(question.language for question in QUESTIONS)
    assert count["en"] == count["id"] > 500


def test_the_split_of_a_question_is_the_one_that_a_project_would_give_it():
    for question in QUESTIONS:
        assert question.heldout == (split_of(digest_of(question.text), HELDOUT_PERCENT) == HELDOUT)


def test_at_least_fifty_questions_are_held_out():
    assert sum(question.heldout for question in QUESTIONS) >= 50


def test_no_held_out_question_is_in_a_training_row():
    heldout = [question.text for question in QUESTIONS if question.heldout]
    trained = [row["text"] for row in text_rows()] + [row["prompt"] for row in sft_rows() if row["split"] == TRAIN]
    assert not any(text.startswith(tuple(heldout)) for text in trained)


def test_every_held_out_fact_is_told_somewhere_in_the_training_text():
    """A held-out question is new; the fact that it asks for is not."""
    told = [row["text"].lower() for row in text_rows() if row["split"] == TRAIN]
    for question in QUESTIONS:
        if question.heldout:
            topic, value = question.fact.topic[question.language], question.fact.value[question.language]
            assert any(topic in text and value in text for text in told), question.text


def test_every_row_of_a_kind_has_the_fields_of_that_kind():
    assert all(set(row) == {"text", "split"} for row in text_rows())
    assert all(set(row) == {"prompt", "completion", "split"} for row in sft_rows())
    assert all(set(row) == {"prompt", "split"} for row in prompt_rows())


def test_the_demo_project_has_forty_prompts_with_four_different_completions_in_two_languages():
    lines = (Path(corpus.__file__).parent / "project.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert Counter(row["language"] for row in rows) == {"en": 20, "id": 20}
    assert len({row["prompt"] for row in rows}) == 40
    assert all(len(set(row["completions"])) == 4 for row in rows)
