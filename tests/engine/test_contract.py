"""A run directory: what is refused and how, exit codes, the lock, what the command line prints, what it does not load."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from training.engine import contract, methods
from training.engine.messages import Refused

from . import runs

LIGHT = """
import sys
from training.engine import contract, data, methods
from models_registry.lm import inspect
from models_registry.lm.tuning import config
for name in methods.names():
    methods.config_of(name).model_json_schema()
    methods.facts_of(name)
heavy = {"torch", "transformers", "trl", "peft", "numpy", "django"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.slow
def test_describing_every_method_loads_neither_torch_nor_transformers():
    done = subprocess.run([sys.executable, "-c", LIGHT], cwd=runs.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_everything_that_is_wrong_is_told_at_once(tmp_path):
    config = {"lr": -1, "epochs": "three", "wamup": 0.1, "tune": {"kind": "lora", "rank": 0}}
    folder = runs.write_run(tmp_path / "run", "finetune", config, {"base": ["nowhere"], "bsae": []}, seed=-4, also=1)
    with pytest.raises(Refused) as refused:
        contract.read(folder)
    told = " ".join(map(str, refused.value.problems))
    for part in ("“lr”", "“epochs”", "“wamup”. Did you mean “warmup”?", "“tune.rank”", "“seed”", "“also”"):
        assert part in told
    for part in ("no input “bsae”", "“dataset” is missing", "nowhere"):
        assert part in told


@pytest.mark.slow
def test_a_refused_run_ends_with_code_2_before_torch_is_loaded_and_changes_nothing(tmp_path):
    folder = runs.write_run(tmp_path / "run", "pretrain", {"lr": 7, "size": "huge"}, {})
    code = "import sys; from training.engine.__main__ import run; rc = run(__import__('pathlib').Path(sys.argv[1])); "
    code += "assert 'torch' not in sys.modules; sys.exit(rc)"
    done = subprocess.run([sys.executable, "-c", code, folder], cwd=runs.ROOT, capture_output=True, text=True)
    assert done.returncode == contract.REFUSED == 2, done.stderr
    status = runs.status(folder)
    assert status["state"] == "refused"
    assert [problem["params"]["field"] for problem in status["problems"][:2]] == ["lr", "size"]
    assert "dataset" in done.stderr
    assert not (folder / "events.jsonl").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "cannot be read"),
        ("[]", "object"),
        ('{"method": "magic"}', "no method “magic”"),
        ("{}", "“method” is missing"),
    ],
)
def test_a_run_file_that_makes_no_sense_is_refused(tmp_path, text, told):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(Refused, match=told):
        contract.read(tmp_path)


def test_a_run_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(Refused, match=r"no run\.json"):
        contract.read(tmp_path)


def test_what_a_config_says_itself_can_be_translated():
    _config, problems = contract.check_config("classify", {"class_weights": "given", "weights": ["cow"]})
    assert str(problems[0]) == "“weights”: “cow” is not a label, a colon and a number from 0 to a million."
    reason = problems[0].as_json()["params"]["reason"]
    assert reason["text"] == "“%(line)s” is not a label, a colon and a number from 0 to a million"
    assert reason["params"] == {"line": "cow"}


def test_a_text_is_no_number_and_a_number_with_a_fraction_is_no_whole_one():
    _config, problems = contract.check_config("pretrain", {"lr": "0.1", "batch_size": 2.5, "tie_embeddings": "yes"})
    assert [problem.params["field"] for problem in problems] == ["lr", "batch_size", "tie_embeddings"]


def test_settings_of_a_run_from_before_they_were_renamed_are_understood():
    config, problems = contract.check_config("reward", {"learn_theta": False, "theta_lr": 0.03})
    assert problems == []
    assert (config.learn_ties, config.aux_lr) == (False, 0.03)
    assert {"learn_ties", "aux_lr"} <= set(config.model_dump())
    assert contract.check_config("reward", {"aux_lr": 0.03, "theta_lr": 0.01})[0] is None


def test_settings_that_do_not_fit_together_are_refused(tmp_path, corpus):
    config = {"hidden_size": 30, "heads": 4, "kv_heads": 3, "tune": {"kind": "lora"}}
    folder = runs.write_run(tmp_path / "run", "pretrain", config, {"dataset": corpus})
    with pytest.raises(Refused) as refused:
        contract.read(folder)
    assert {problem.id for problem in refused.value.problems} == {"tune-new-model", "width-heads", "heads-kv-heads"}


def test_a_version_of_the_wrong_kind_is_refused(tmp_path, pretrained, corpus):
    chain = [pretrained / "output", pretrained / "output"]
    folder = runs.write_run(tmp_path / "run", "finetune", {}, {"base": list(map(str, chain)), "dataset": corpus})
    with pytest.raises(Refused, match="only the first folder of a chain is a full model"):
        contract.read(folder)


def test_relative_inputs_start_at_the_run(tmp_path):
    folder = runs.write_run(tmp_path / "run", "pretrain", {}, {"dataset": "rows.jsonl"})
    runs.write_rows(folder / "rows.jsonl", runs.stories(3))
    assert contract.read(folder).inputs["dataset"] == folder / "rows.jsonl"


def test_bad_rows_are_refused_with_their_lines(tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "good"}\n{"text": 3}\n{"txet": "x"}\n{"text"\n\n{"text": "good"}\n')
    folder = runs.write_run(tmp_path / "run", "pretrain", runs.TINY, {"dataset": rows})
    assert runs.go(folder) == 2
    told = [problem["params"]["line"] for problem in runs.status(folder)["problems"]]
    assert told == [2, 3, 4]


@pytest.mark.slow
def test_while_one_process_works_on_a_run_a_second_refuses_and_touches_nothing(tmp_path, corpus):
    folder = runs.write_run(tmp_path / "run", "pretrain", runs.TINY, {"dataset": corpus})
    lock = contract.Lock(folder)
    assert not contract.is_running(folder)
    assert lock.acquire()
    assert contract.is_running(folder)
    code, said = runs.ended(runs.start(folder))
    assert code == 2
    assert "Another process" in said
    assert not (folder / "status.json").exists()


def test_a_failure_is_told_in_plain_words_with_code_1(tmp_path, corpus):
    config = {**runs.TINY, "lr": 1.0, "grad_clip": 0, "warmup": 0, "epochs": 50, "schedule": "constant"}
    folder = runs.write_run(tmp_path / "run", "pretrain", config | {"beta2": 0, "epsilon": 1e-30}, {"dataset": corpus})
    broken = folder / "cache" / "tokenizer"
    broken.mkdir(parents=True)  # a cache that was damaged from outside
    assert runs.go(folder) == contract.FAILED == 1
    status = runs.status(folder)
    assert status["state"] == "failed"
    assert "met an error" in status["error"]["cause"]["text"]
    assert "Traceback" in status["error"]["detail"]


def test_a_complete_run_started_again_stays_as_it_is(pretrained):
    before = (pretrained / "status.json").read_bytes()
    assert runs.go(pretrained) == 0
    assert (pretrained / "status.json").read_bytes() == before


@pytest.mark.slow
def test_status_tells_what_the_run_used(pretrained):
    status = runs.status(pretrained)
    assert status["state"] == "complete"
    assert status["attempt"] == 1
    assert status["trained_parameters"] == status["total_parameters"] > 0
    assert status["tokens_seen"] > 0
    assert status["peak_memory"] > 10_000_000
    assert status["wall_s"] > 0
    assert status["progress"] == 1.0
    assert not (pretrained / "output.part").exists()


@pytest.mark.slow
def test_settings_changed_after_the_start_are_refused(tmp_path, corpus):
    config = {**runs.TINY, "max_steps": 4, "checkpoint_every": 2, "delete_checkpoints": False}
    folder = runs.write_run(tmp_path / "run", "pretrain", config, {"dataset": corpus})
    assert runs.go(folder) == 0
    (folder / "output" / "metrics.json").unlink()
    (folder / "output").rename(folder / "gone")
    (folder / "run.json").write_text((folder / "run.json").read_text().replace('"seed": 1', '"seed": 2'))
    assert runs.go(folder) == 2
    assert runs.status(folder)["problems"][0]["id"] == "order-changed"


@pytest.mark.slow
def test_the_command_line_lists_methods_and_prints_schemas():
    def engine(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "training.engine", *arguments], cwd=runs.ROOT, capture_output=True, text=True
        )

    lines = engine("--methods").stdout.splitlines()
    assert [line.split()[0] for line in lines] == methods.names()
    assert {"pretrain", "finetune"} <= set(methods.names())
    schema = json.loads(engine("--schema", "finetune").stdout)
    assert schema["properties"]["lr"]["exclusiveMinimum"] == 0
    assert schema["additionalProperties"] is False
    assert engine("--schema", "magic").returncode == 2


@pytest.mark.parametrize("name", methods.names())
def test_every_setting_says_what_it_is(name):
    for field, info in methods.config_of(name).model_fields.items():
        assert info.title, field
        assert len(info.description or "") > 10, field
        assert (info.json_schema_extra or {}).get("group"), field


@pytest.mark.slow
def test_a_stop_before_the_first_step_loses_nothing(tmp_path, corpus, monkeypatch):
    folder = runs.write_run(tmp_path / "run", "pretrain", {**runs.TINY, "max_steps": 3}, {"dataset": corpus})
    begin = contract.Status.begin

    def begin_and_stop(self) -> None:
        begin(self)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(contract.Status, "begin", begin_and_stop)
    assert runs.go(folder) == contract.STOPPED == 75
    monkeypatch.undo()
    assert runs.status(folder)["state"] == "stopped"
    assert runs.go(folder) == 0
    assert runs.status(folder)["attempt"] == 2


def test_a_chain_of_one_may_be_written_as_a_text(tmp_path, pretrained, examples):
    inputs = {"base": str(pretrained / "output"), "dataset": examples}
    folder = runs.write_run(tmp_path / "run", "finetune", {}, inputs)
    assert contract.read(folder).inputs["base"] == [Path(pretrained / "output")]
