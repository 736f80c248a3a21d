"""Where a run computes, what it was computed with, and which of its checkpoints stay."""

import json
import os
import subprocess
import sys

import pytest
import torch

from training.engine import contract, devices, environment
from training.engine.messages import Refused

from . import runs

TINY = runs.TINY | {"max_steps": 6, "batch_size": 2, "checkpoint_every": 1, "eval_every": 6}


@pytest.fixture
def corpus(tmp_path):
    return runs.write_rows(tmp_path / "corpus.jsonl", runs.stories(20))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there_is_refused_in_plain_words(tmp_path, corpus):
    folder = runs.write_run(tmp_path / "run", "pretrain", TINY | {"device": "cuda:1"}, {"dataset": corpus})
    assert runs.go(folder) == contract.REFUSED
    (problem,) = runs.status(folder)["problems"]
    assert problem["id"] == "no-device"
    assert problem["text"] % problem["params"] == (
        "This machine has no device “cuda:1” that training can use. Choose another, or automatic."
    )


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:-1", "", "CPU"])
def test_what_names_no_device_is_refused_before_torch_is_loaded(device):
    config, problems = contract.check_config("pretrain", {"device": device})
    assert config is None
    assert str(problems[0]).startswith("“device” cannot be")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("visible", "wanted", "left"),
    [
        (None, "auto", None),
        ("2,5", "auto", "2,5"),
        (None, "cpu", ""),
        (None, "cuda:1", "1"),
        ("2,5", "cuda:1", "5"),
        ("2,5", "cuda", "2"),
        ("2,5", "cuda:2", ""),  # there is no third
    ],
)
def test_a_run_sees_no_gpu_but_its_own(visible, wanted, left):
    """In a process of its own, which has not loaded torch: that is where the engine's command line calls it."""
    code = f"""
import os
from training.engine import devices
devices.see_only({wanted!r})
print(os.environ.get("CUDA_VISIBLE_DEVICES"))
"""
    environ = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
    environ |= {"CUDA_VISIBLE_DEVICES": visible} if visible is not None else {}
    done = subprocess.run([sys.executable, "-c", code], cwd=runs.ROOT, env=environ, capture_output=True, text=True)
    assert done.stdout.strip() == str(left)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_machine_with_a_gpu_each_device_is_found():
    assert devices.find("auto").type == "cuda"
    assert devices.find("cpu").type == "cpu"
    assert devices.find("cuda:0") == torch.device("cuda", 0)
    assert {each["name"] for each in devices.available()} >= {"cpu", "cuda:0"}
    with pytest.raises(Refused):
        devices.find(f"cuda:{torch.cuda.device_count()}")


@pytest.mark.slow
def test_a_run_on_the_processor_says_so_and_what_it_was_computed_with(tmp_path, corpus):
    folder = runs.write_run(tmp_path / "run", "pretrain", TINY | {"device": "cpu"}, {"dataset": corpus})
    code, said = runs.ended(runs.start(folder))
    assert code == 0, said
    assert runs.status(folder)["device"] == "cpu"
    (first,) = environment.read(folder)
    assert first["attempt"] == 1
    assert first["packages"]["torch"] == torch.__version__
    assert [what for what, _then, _now in environment.program_differences(first) if what != "code"] == []
    assert not (folder / "checkpoints").exists()  # complete: its result is what counts


@pytest.mark.slow
def test_so_many_checkpoints_are_kept_as_were_wanted_and_the_last_ones_where_they_are_to_stay(tmp_path, corpus):
    config = TINY | {"keep_checkpoints": 3, "delete_checkpoints": False}
    folder = runs.write_run(tmp_path / "run", "pretrain", config, {"dataset": corpus})
    assert runs.go(folder) == 0
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"step-4", "step-5", "step-6"}


def test_an_attempt_with_other_programs_is_written_down_and_one_with_the_same_is_not(tmp_path, monkeypatch):
    environment.note(tmp_path, 1)
    environment.note(tmp_path, 2)
    assert [each["attempt"] for each in environment.read(tmp_path)] == [1]
    real = environment.facts()
    other = real | {"packages": real["packages"] | {"torch": "9.9"}, "code": "0" * 64}
    monkeypatch.setattr(environment, "facts", lambda: other)
    environment.note(tmp_path, 3)
    first, second = environment.read(tmp_path)
    assert second["attempt"] == 3
    differences = list(environment.program_differences(first))
    assert ("torch", real["packages"]["torch"], "9.9") in differences
    assert [what for what, _then, _now in differences] == ["torch", "code"]


def test_the_hash_of_the_program_follows_its_files(tmp_path, monkeypatch):
    (tmp_path / "labeling").mkdir()
    file = tmp_path / "labeling" / "ranking.py"
    file.write_text("a = 1\n")
    monkeypatch.setattr(environment, "_ROOT", tmp_path)
    before = environment.facts()["code"]
    assert environment.facts()["code"] == before
    file.write_text("a = 2\n")
    assert environment.facts()["code"] != before


def test_the_command_line_lists_the_devices(capsys):
    from training.engine.__main__ import main

    assert main(["--devices"]) == 0
    assert json.loads(capsys.readouterr().out)[0] == {"name": "cpu"}
