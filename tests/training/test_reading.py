"""Reading a run's folder: half lines, broken lines, a file that a resume has cut, long runs in little memory."""

import json

import pytest

from training import reading

from .make import write_events


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


def test_a_run_that_has_not_begun_says_nothing(folder):
    events = reading.events(folder)
    assert events.series == {}
    assert reading.log_tail(folder) == []
    assert reading.metrics(folder) == {}
    assert reading.files(folder) == []


def test_curves_notes_samples_and_progress(folder):
    write_events(
        folder,
        {"kind": "attempt", "attempt": 1, "step": 0},
        {"step": 1, "loss": 3.0, "progress": 0.1, "eta_s": 9.0},
        {"step": 1, "heldout_loss": 4.0},
        {"step": 2, "loss": 2.0, "lr": 0.1, "progress": 0.2, "eta_s": 8.0},
        {"kind": "note", "level": "warning", "message": {"id": "x", "text": "Mind", "params": {}}},
        {"kind": "sample", "step": 2, "slot": 0, "prompt": "p", "text": "t"},
        {"kind": "progress", "progress": 0.3, "eta_s": 7.0},
    )
    events = reading.events(folder)
    assert events.series["loss"].points == [(1, 3.0), (2, 2.0)]
    assert events.series["heldout_loss"].points == [(1, 4.0)]
    assert events.latest == {"loss": 2.0, "heldout_loss": 4.0, "lr": 0.1}
    assert (events.step, events.progress, events.eta_seconds, events.attempt) == (2, 0.3, 7.0, 1)
    assert [note["level"] for note in events.notes] == ["warning"]
    assert [sample["text"] for sample in events.samples] == ["t"]


def test_half_a_line_is_left_for_the_next_look(folder):
    write_events(folder, {"step": 1, "loss": 3.0})
    line = json.dumps({"step": 2, "loss": 2.0}) + "\n"
    with open(folder / "events.jsonl", "a") as file:
        file.write(line[:9])
        file.flush()
        assert reading.events(folder).series["loss"].points == [(1, 3.0)]
        assert reading.raw_events(folder, 0)[0] == [{"step": 1, "loss": 3.0}]
        file.write(line[9:])
    events = reading.events(folder)
    assert events.series["loss"].points == [(1, 3.0), (2, 2.0)]
    assert events.broken_lines == 0


def test_a_broken_line_is_counted_and_passed_over(folder):
    write_events(folder, {"step": 1, "loss": 3.0})
    with open(folder / "events.jsonl", "ab") as file:
        file.write(b'{"step": 2, "lo\x00\xff\n[1]\n\n')
    write_events(folder, {"step": 3, "loss": 1.0})
    events = reading.events(folder)
    assert events.series["loss"].points == [(1, 3.0), (3, 1.0)]
    assert events.broken_lines == 2


def test_what_a_resume_cut_away_is_forgotten_even_when_the_file_is_longer_again(folder):
    write_events(folder, *({"step": step, "loss": float(step)} for step in range(1, 6)))
    assert len(reading.events(folder).series["loss"].points) == 5
    path = folder / "events.jsonl"
    kept = path.read_bytes().splitlines(keepends=True)[:2]
    path.write_bytes(b"".join(kept))
    write_events(folder, {"kind": "attempt", "attempt": 2, "step": 2})
    write_events(folder, *({"step": step, "loss": float(-step)} for step in range(3, 9)))
    events = reading.events(folder)
    assert [value for _step, value in events.series["loss"].points] == [1.0, 2.0, -3.0, -4.0, -5.0, -6.0, -7.0, -8.0]
    assert events.attempt == 2


def test_an_answer_does_not_change_when_the_file_grows(folder):
    write_events(folder, {"step": 1, "loss": 3.0})
    before = reading.events(folder)
    write_events(folder, {"step": 2, "loss": 2.0}, {"step": 2, "kl": 1.0})
    reading.events(folder)
    assert before.series.keys() == {"loss"}
    assert len(before.series["loss"].points) == 1


def test_what_was_no_number_is_named_and_not_drawn(folder):
    write_events(folder, {"step": 1, "loss": None}, {"step": 2, "loss": 1.0, "finite": True})
    events = reading.events(folder)
    assert events.not_finite == {"loss"}
    assert events.series["loss"].points == [(2, 1.0)]
    assert events.series.keys() == {"loss"}


def test_a_long_curve_keeps_its_shape_in_bounded_memory():
    series = reading.Series()
    for step in range(1, 100_001):
        series.add(step, float(step))
    assert len(series.points) < reading.MOST_POINTS
    assert (series.first, series.last) == (1.0, 100_000.0)
    # Each point is the mean of its bucket, and stands at the bucket's last step.
    for step, value in series.points:
        assert value == pytest.approx(step - (series.stride - 1) / 2)


def test_raw_events_go_on_where_the_last_answer_ended(folder):
    write_events(folder, {"step": 1}, {"step": 2})
    first, offset = reading.raw_events(folder, 0)
    write_events(folder, {"step": 3})
    second, end = reading.raw_events(folder, offset)
    assert [event["step"] for event in [*first, *second]] == [1, 2, 3]
    assert reading.raw_events(folder, end) == ([], end)
    assert reading.raw_events(folder, end + 1000)[0] == [{"step": 1}, {"step": 2}, {"step": 3}]


def test_the_log_shows_the_last_state_of_a_progress_bar(folder):
    folder.mkdir()
    (folder / "log.txt").write_bytes("first\n 10 %\r 50 %\r100 %\nlast é\n".encode())
    assert reading.log_tail(folder) == ["first", "100 %", "last é"]
    assert reading.log_tail(folder, lines=1) == ["last é"]
