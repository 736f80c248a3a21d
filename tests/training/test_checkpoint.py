"""What a run has learned so far becomes a version, through the button of its page."""

import shutil

import pytest
from django.urls import reverse

from jobs.models import Job
from jobs.worker import run_all_waiting
from models_registry.models import Version
from people.errors import Refusal
from tests import factories
from tests.engine import runs
from training import actions
from training.engine import contract
from training.engine.export import checkpoints
from training.models import Run
from training.queries import run_file

from . import make

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def test_a_stopped_runs_checkpoint_becomes_a_version_with_its_lineage(client):
    admin = factories.admin()
    client.force_login(admin)
    config = make.NANO | runs.TINY | {"checkpoint_every": 1, "delete_checkpoints": False}
    run = make.run(actor=admin, config=config, output_name="half-way")
    assert "Register checkpoint" not in client.get(run.get_absolute_url()).content.decode()
    with pytest.raises(Refusal, match="no checkpoint"):
        actions.request_checkpoint(actor=admin, run=run)

    run.folder.mkdir(parents=True)
    contract.write_json(run.folder / "run.json", run_file(run))
    assert runs.go(run.folder) == 0
    # As it is where the run was stopped one update before its end.
    shutil.rmtree(run.folder / "output")
    before, last = checkpoints(run.folder)
    shutil.rmtree(run.folder / "checkpoints" / f"step-{last}")
    Run.objects.update(state=Run.State.STOPPED)

    assert "Register checkpoint" in client.get(run.get_absolute_url()).content.decode()
    answer = client.post(reverse("run-checkpoint", args=[run.pk]))
    job = Job.objects.get(what="register-checkpoint")
    assert answer["Location"] == reverse("job", args=[job.pk])
    run_all_waiting()
    job.refresh_from_db()
    assert job.state == Job.State.DONE, job.error
    version = Version.objects.get()
    assert str(version) == "half-way:v1"
    assert (version.origin["run"], version.origin["checkpoint"]) == (str(run.pk), before)
    assert job.result["url"] == version.get_absolute_url()
    run.refresh_from_db()
    assert (run.state, run.produced) == (Run.State.STOPPED, None)
    assert [path.name for path in run.folder.parent.glob(f"{run.pk}*")] == [str(run.pk)]
