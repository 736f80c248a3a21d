"""A run's curves for other programs, and the run made again: CSV, TensorBoard, reproduce.json."""

import csv
import io
import json
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from labeling.models import Dataset
from people.errors import Refusal
from tests import factories
from training import exports, reproduce
from training.engine import environment
from training.models import Run

from . import make

pytestmark = pytest.mark.django_db
EVENTS = [
    {"t": 10.0, "kind": "attempt", "attempt": 1, "step": 0},
    {"t": 11.0, "step": 1, "loss": 2.5, "progress": 0.1, "eta_s": 3.0},
    {"t": 12.0, "step": 1, "heldout_loss": 2.25},
    {"t": 12.5, "kind": "sample", "step": 1, "slot": 0, "prompt": "Once", "text": "upon a time"},
    {"t": 13.0, "step": 2, "loss": None},
    {"t": 20.0, "kind": "attempt", "attempt": 2, "step": 2},
    {"t": 21.0, "step": 3, "loss": 1e-07},
]


@pytest.fixture
def run(client):
    admin = factories.admin()
    client.force_login(admin)
    made = make.run(actor=admin, name="Tales", seed=5)
    make.write_events(made.folder, *EVENTS)
    with open(made.folder / "events.jsonl", "a") as file:
        file.write('{"t": 22.0, "step": 4, "lo')  # it is being written
    return made


def test_csv_has_a_line_an_event_and_a_column_a_curve(client, run):
    answer = client.get(f"{run.get_absolute_url()}events.csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert rows == [
        {"attempt": "1", "step": "1", "t": "11.0", "loss": "2.5", "heldout_loss": ""},
        {"attempt": "1", "step": "1", "t": "12.0", "loss": "", "heldout_loss": "2.25"},
        {"attempt": "1", "step": "2", "t": "13.0", "loss": "", "heldout_loss": ""},
        {"attempt": "2", "step": "3", "t": "21.0", "loss": "1e-07", "heldout_loss": ""},
    ]
    assert client.get(f"/api/v1/runs/{run.pk}/events.csv").getvalue() == "".join(exports.as_csv(run)).encode()


@pytest.mark.slow
def test_tensorboard_reads_the_same_numbers(client, run):
    answer = client.get(f"/api/v1/runs/{run.pk}/tensorboard.zip")
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    (name,) = archive.namelist()
    assert name.startswith(f"pretrain-{str(run.pk)[:8]}/events.out.tfevents.")
    assert name.endswith(".peringkat")
    scalars, texts = read_events(archive.read(name))
    assert scalars == [
        ["train/loss", 1, 11.0, 2.5],
        ["heldout/loss", 1, 12.0, 2.25],
        ["train/loss", 3, 21.0, pytest.approx(1e-7)],
    ]
    assert texts == [["samples/0/text_summary", 1]]


def read_events(data: bytes) -> tuple[list, list]:
    """Records by their framing: length, its checksum, an Event, its checksum."""
    from tensorboardX.proto.event_pb2 import Event

    at, scalars, texts = 0, [], []
    while at < len(data):
        (size,) = struct.unpack("<Q", data[at : at + 8])
        event = Event.FromString(data[at + 12 : at + 12 + size])
        at += 16 + size
        for value in event.summary.value:
            if value.HasField("simple_value"):
                scalars.append([value.tag, event.step, event.wall_time, value.simple_value])
            else:
                texts.append([value.tag, event.step])
    return scalars, texts


@pytest.mark.slow
def test_the_web_process_loads_no_torch_for_it(run):
    code = (
        "import django, sys; django.setup(); from training.models import Run; from training import exports; "
        "import training.views; assert 'torch' not in sys.modules and 'tensorboardX' not in sys.modules"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PERINGKAT_TEST_DATA": str(settings.DATA), "PATH": ""}
    subprocess.run([sys.executable, "-c", code], cwd=settings.BASE_DIR, env=environment, check=True)


# The run made again -----------------------------------------------------------------------------------------------------


def hashed(dataset: Dataset) -> Dataset:
    """With the manifest that an upload writes."""
    path = dataset.folder / "data.jsonl"
    dataset.manifest = {
        "files": [{"path": path.name, "size": path.stat().st_size, "sha256": environment.hash_of(path)}]
    }
    dataset.save()
    return dataset


@pytest.fixture
def described(run, client, tmp_path) -> Path:
    """The file that the run's page offers; the run was computed with this program, but for one package."""
    hashed(run.inputs.get().dataset)
    environment.note(run.folder, 1)
    known = environment.read(run.folder)
    known[0]["packages"]["torch"] = "1.13.1"
    (run.folder / environment.FILE).write_text(json.dumps(known))
    file = tmp_path / "reproduce.json"
    file.write_bytes(client.get(f"{run.get_absolute_url()}reproduce.json").content)
    return file


def again(reference) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("train", "--reproduce", str(reference), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_what_describes_a_run_makes_the_same_run_of_the_very_same_files(run, described):
    # The data set has another name and number now: what counts is what is in it.
    Dataset.objects.update(name="Called otherwise")
    _out, err = again(described)
    second = Run.objects.exclude(pk=run.pk).get()
    for same in ("name", "method", "config", "seed", "output_name"):
        assert getattr(second, same) == getattr(run, same)
    assert second.inputs.get().dataset == run.inputs.get().dataset
    assert "torch: 1.13.1 then" in err
    assert len(err.splitlines()) == 1
    again(run.pk)
    assert Run.objects.count() == 3


def test_changed_and_missing_inputs_are_refused(run, described):
    data = run.inputs.get().dataset
    (data.folder / "data.jsonl").write_text('{"text": "another"}\n')
    with pytest.raises(CommandError, match=r"the content of data\.jsonl has changed"):
        again(described)
    content = json.loads(described.read_text())
    content["inputs"]["dataset"]["digest"] = "f" * 64
    described.write_text(json.dumps(content))
    with pytest.raises(CommandError, match="no data set here has the rows of “Texts"):
        again(described)
    assert Run.objects.count() == 1


@pytest.mark.parametrize("text", ["no json", "[]", '{"format": "something-else"}'])
def test_what_describes_no_run_is_refused(text):
    with pytest.raises(Refusal):
        reproduce.read(text)


def test_a_method_or_a_run_must_be_named():
    for arguments in ([], ["pretrain", "--reproduce", "x"], ["--reproduce", "nothing-here"]):
        with pytest.raises(CommandError):
            call_command("train", *arguments)


def test_a_run_made_again_takes_no_other_settings(run):
    with pytest.raises(CommandError, match="leave out --set, --seed, --base"):
        call_command("train", "--reproduce", str(run.pk), "--set", "lr=1", "--seed", "3", "--base", "other:v1")
    assert Run.objects.count() == 1


def test_by_hand_the_engine_says_what_differs(run, described, capsys):
    """run.json carries the hashes along: `python -m training.engine RUN_DIR --verify`."""
    from training.engine.__main__ import main
    from training.engine.contract import write_json
    from training.queries import run_file

    write_json(run.folder / "run.json", run_file(run))
    assert main([str(run.folder), "--verify"]) == 2
    assert capsys.readouterr().out.startswith("torch: then 1.13.1, here ")
    (run.folder / environment.FILE).unlink()
    assert main([str(run.folder), "--verify"]) == 0
    data = run.inputs.get().dataset.folder
    (data / "data.jsonl").write_text("changed")
    assert main([str(run.folder), "--verify"]) == 2
    assert "is another file than it was" in capsys.readouterr().out
    shutil.rmtree(data)
    assert main([str(run.folder), "--verify"]) == 2
    assert "is missing" in capsys.readouterr().out
