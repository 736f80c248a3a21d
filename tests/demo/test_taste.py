"""The hidden taste and the simulated annotators do what their documentation says."""

import random
from statistics import mean, pstdev

import pytest

from labeling.ranking import WeakOrder
from training.demo.annotators import ANNOTATORS, TIE, Annotator, order_of
from training.demo.corpus import QUESTIONS, RAMBLING, answer, statement
from training.demo.facts import FACTS
from training.demo.taste import judge, says_fact, taste

COW = "What does a cow eat?"
SAPI = "Apa makanan sapi?"


@pytest.mark.parametrize(
    ("prompt", "text", "expected"),
    [
        (COW, "Gladly! A cow eats grass.", 3),
        (COW, "A cow eats grass.", 2),
        (COW, "Do not bother me. A cow eats grass.", 1),
        (COW, "Gladly! Thank you for asking. It is grass. Please ask again.", 3),
        (COW, "Gladly! That is hard to say.", 1),
        (COW, "That is hard to say.", 0),
        (COW, "What a silly question. It depends.", -1),
        (COW, "What a silly question. Thank you for asking.", 0),
        (COW, "Sapi makan rumput.", 0),
        (SAPI, "Dengan senang hati! Sapi makan rumput.", 3),
        (SAPI, "Pertanyaan konyol. Aku tidak tahu.", -1),
        (SAPI, "Gladly! Sapi makan rumput.", 2),
    ],
)
def test_taste_is_helpful_plus_polite(prompt, text, expected):
    assert taste(prompt, text) == expected


def test_each_word_beyond_twelve_costs_a_tenth_until_two_are_lost():
    assert judge(COW, "word " * 12).to_the_point == 0
    assert judge(COW, "word " * 17).to_the_point == pytest.approx(-0.5)
    assert judge(COW, "word " * 500).to_the_point == -2


def test_an_answer_about_another_topic_is_not_helpful_even_if_it_has_the_word():
    assert not says_fact(next(q for q in QUESTIONS if q.text == "What colour is rice?"), "Salt is white.")
    assert says_fact(next(q for q in QUESTIONS if q.text == "What colour is rice?"), "It is white.")


def test_every_statement_of_the_asked_fact_is_helpful_and_of_every_other_fact_is_not():
    rng = random.Random(0)
    for question in QUESTIONS:
        assert says_fact(question, statement(question.fact, question.language, rng)), question.text
        other = rng.choice([fact for fact in FACTS if fact is not question.fact])
        assert not says_fact(question, statement(other, question.language, rng)), (question.text, other)


def test_a_question_that_is_not_of_the_corpus_has_no_taste():
    with pytest.raises(KeyError):
        taste("Who are you?", "I am a model.")


def test_scores_closer_than_the_threshold_tie():
    assert order_of([0, 2, 2 - TIE / 2, 1]) == WeakOrder.parse("B = C > D > A")
    assert order_of([0, TIE]) == WeakOrder.parse("B > A")


def test_a_tier_does_not_grow_by_small_steps():
    assert order_of([0, 0.8 * TIE, 1.6 * TIE]) == WeakOrder.parse("C = B > A")


def test_an_annotator_says_the_same_about_the_same():
    texts = ["A cow eats grass.", "It depends.", "Gladly! A cow eats grass.", RAMBLING["en"][0]]
    annotator = ANNOTATORS[0]
    assert annotator.rank(COW, texts) == annotator.rank(COW, texts)
    assert len({str(annotator.rank(COW, texts, seed=seed)) for seed in range(20)}) > 1


def test_an_annotator_without_noise_or_bias_follows_the_taste():
    texts = ["It depends.", "Gladly! A cow eats grass.", "A cow eats grass.", "Gladly! It depends."]
    exact = Annotator("exact", "Exact", noise=0)
    assert exact.rank(COW, texts) == WeakOrder.parse("B > C > D > A")


@pytest.mark.slow
def test_noise_is_gaussian_around_the_biased_taste():
    annotator = Annotator("noisy", "Noisy", polite=2.0, noise=0.7)
    rng = random.Random(1)
    scores = [annotator.score(COW, "Gladly! A cow eats grass.", rng) for _ in range(4000)]
    assert mean(scores) == pytest.approx(2 + 2 * 1, abs=0.05)
    assert pstdev(scores) == pytest.approx(0.7, abs=0.05)


def test_annotators_tie_and_disagree_but_agree_more_than_chance():
    rng = random.Random(0)
    ties = different = 0
    correlations = []
    for question in rng.sample(QUESTIONS, 200):
        texts = [answer(question, rng) for _ in range(4)]
        first, second = (annotator.rank(question.text, texts) for annotator in ANNOTATORS[:2])
        ties += bool(first.tied_pairs())
        different += first != second
        correlations.append(first.tau_x(second))
    assert 40 < ties < 180
    assert different > 20
    assert mean(correlations) > 0.5
