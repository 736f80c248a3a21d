"""The data of the demonstration bench/wrong_labels.py: every wrong label is wrong, and nothing held out is shown."""

import pytest

from bench.wrong_labels import TEMPLATE, Size, data_sets, experiment, read, reviews, table

ROWS = reviews(60, 20)


def test_reviews_are_the_same_every_time_and_no_text_is_in_both_splits():
    assert reviews(60, 20) == ROWS
    assert len({row["text"] for row in ROWS}) == 80
    assert {row["label"] for row in ROWS} == {"good", "bad", "mixed"}
    assert [row["split"] for row in ROWS].count("heldout") == 20


def test_wrong_labels_are_wrong_for_every_training_text_and_held_out_ones_keep_theirs():
    sets = data_sets(ROWS, 3)
    for right, wrong in zip(sets["right"], sets["wrong"], strict=True):
        assert right["text"] == wrong["text"]
        assert (right["label"] == wrong["label"]) == (right["split"] == "heldout")
    for right, wrong in zip(sets["answers-right"], sets["answers-wrong"], strict=True):
        assert right["prompt"] == wrong["prompt"]
        assert right["completion"] != wrong["completion"]


def test_the_very_text_is_shown_with_a_wrong_label_before_it_is_asked():
    told = data_sets(ROWS, 3)["told"]
    heldout = [row for row in ROWS if row["split"] == "heldout"]
    for row, plain in zip(told, heldout, strict=True):
        asked = TEMPLATE.replace("{input}", row["text"])
        shown, last = asked.split("\n\n")
        assert last == TEMPLATE.replace("{input}", plain["text"])
        assert shown.startswith(last + " ")
        assert shown.removeprefix(last + " ") != plain["label"] == row["label"]


def test_examples_in_the_finetuning_are_training_texts_with_right_labels():
    label_of = {row["text"]: row["label"] for row in ROWS if row["split"] == "train"}
    shown = 0
    for row in data_sets(ROWS, 3)["answers"]:
        for example in row["prompt"].split("\n\n")[:-1]:
            text, _verdict, label = example.removeprefix("Review: ").rpartition("\nVerdict: ")
            assert label_of[text] == label
            shown += 1
    assert shown > 20


def test_data_of_ones_own_is_read_from_two_tables(tmp_path):
    (tmp_path / "train.tsv").write_text("a b\tgood\nc d\tbad\nx y\tgood\n" + "long " * 40 + "\tbad\n")
    (tmp_path / "valid.tsv").write_text("x y\tgood\n")
    rows = read([tmp_path / "train.tsv", tmp_path / "valid.tsv"], Size())
    assert sorted((row["text"], row["split"]) for row in rows) == [
        ("a b", "train"),
        ("c d", "train"),
        ("x y", "heldout"),
    ]


@pytest.mark.prove
def test_the_whole_of_it_goes_through(tmp_path):
    size = Size(hidden=32, layers=1, context=128, pretrain_epochs=1, finetune_steps=3, further_steps=2)
    figures = experiment(tmp_path, reviews(30, 6), size)
    assert len(figures["lines"]) == 6
    assert {line["accuracy"]["n"] for line in figures["lines"].values()} == {6}
    assert [line["changed"] > 0 for line in figures["lines"].values()] == [False] * 4 + [True] * 2
    assert table(figures).count("\n|") == 8
