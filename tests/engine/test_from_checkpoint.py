"""A checkpoint becomes the result that the run would have had if it had ended there; the run itself is not touched."""

import pytest
from safetensors.torch import load_file

from training.engine import contract, export
from training.engine.__main__ import main
from training.engine.messages import Refused

from . import runs

pytestmark = pytest.mark.slow
SETTINGS = {"max_steps": 6, "batch_size": 2, "checkpoint_every": 1, "keep_checkpoints": 6, "delete_checkpoints": False}


@pytest.mark.parametrize("tune", [{"kind": "all"}, {"kind": "lora", "rank": 2}])
def test_the_last_checkpoint_gives_the_very_result_and_an_earlier_one_its_own_weights(
    tune, tmp_path, pretrained, examples
):
    inputs = {"base": [str(pretrained / "output")], "dataset": examples}
    folder = runs.write_run(tmp_path / "run", "finetune", SETTINGS | {"tune": tune}, inputs)
    assert runs.go(folder) == 0
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}

    last = export.prepare(folder, None)
    assert last == export.place(folder, 6)
    assert runs.go(last, only_result=True) == 0
    assert runs.weights(last) == runs.weights(folder)

    third = export.prepare(folder, 3)
    assert runs.go(third, only_result=True) == 0
    trained = load_file(folder / "checkpoints" / "step-3" / "trained.safetensors")
    name = "model.safetensors" if tune["kind"] == "all" else "adapter_model.safetensors"
    saved = load_file(third / "output" / name)
    own = {tensor.shape: tensor for tensor in trained.values()}
    assert any(tensor.equal(own[tensor.shape]) for tensor in saved.values() if tensor.shape in own)
    assert runs.weights(third) != runs.weights(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


def test_what_is_not_there_is_refused_and_leaves_nothing(tmp_path, corpus, capsys):
    folder = runs.write_run(tmp_path / "run", "pretrain", runs.TINY, {"dataset": corpus})
    with pytest.raises(Refused, match="no such checkpoint"):
        export.prepare(folder, None)
    assert main([str(folder), "--from-checkpoint", "7"]) == contract.REFUSED
    assert "no such checkpoint" in capsys.readouterr().err
    assert list(tmp_path.glob("run.step-*")) == []
