"""REST of the runs: the same verbs, the same refusals, the same rights."""

import pytest
from rest_framework.test import APIClient

from people.models import Role
from tests import factories
from training.models import Run

from . import make

pytestmark = pytest.mark.django_db


@pytest.fixture
def api():
    client = APIClient()
    client.force_authenticate(factories.admin())
    return client


def test_a_run_is_started_followed_and_stopped(api):
    data = make.dataset(name="Tales")
    sent = {"method": "pretrain", "inputs": {"dataset": "Tales"}, "config": {"max_steps": 3}, "seed": 4}
    made = api.post("/api/v1/runs/", sent, format="json")
    assert made.status_code == 201
    run = made.json()
    assert (run["state"], run["seed"], run["config"]["max_steps"]) == ("queued", 4, 3)
    assert run["inputs"] == {"dataset": data.digest}

    make.write_events(Run.objects.get().folder, {"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0})
    address = f"/api/v1/runs/{run['id']}/"
    first = api.get(address + "events/").json()
    assert [event["loss"] for event in first["events"]] == [2.0, 1.0]
    assert api.get(address + "events/", {"after": first["next"]}).json()["events"] == []

    assert api.post(address + "stop/").json()["state"] == "stopped"
    refused = api.post(address + "stop/")
    assert refused.status_code == 409
    assert "already ended" in refused.json()["problems"][0]
    assert api.post(address + "resume/").json()["state"] == "queued"
    assert [each["id"] for each in api.get("/api/v1/runs/", {"state": "active"}).json()["results"]] == [run["id"]]


def test_all_problems_come_at_once(api):
    answer = api.post(
        "/api/v1/runs/",
        {"method": "pretrain", "inputs": {}, "config": {"lr": 7, "nonsense": 1}},
        format="json",
    )
    assert answer.status_code == 400
    assert len(answer.json()["problems"]) == 3
    for inputs in ({"dataset": "nothing"}, {"bogus": "x"}):
        answer = api.post("/api/v1/runs/", {"method": "pretrain", "inputs": inputs}, format="json")
        assert answer.status_code in (400, 404)
    assert not Run.objects.exists()


def test_methods_tell_their_inputs_and_their_schema(api):
    names = [each["name"] for each in api.get("/api/v1/methods/").json()]
    assert names[0] == "pretrain"
    schema = api.get("/api/v1/methods/ppo/").json()["schema"]
    assert schema["properties"]["kl_coef"]["description"]
    assert api.get("/api/v1/methods/alchemy/").status_code == 404


@pytest.mark.parametrize(("role", "see", "steer"), [(Role.ANNOTATOR, 403, 403), (Role.RESEARCHER, 200, 403)])
def test_rights(role, see, steer):
    run = make.run()
    client = APIClient()
    client.force_authenticate(factories.user(role))
    for address in ("/api/v1/runs/", f"/api/v1/runs/{run.pk}/", f"/api/v1/runs/{run.pk}/events/", "/api/v1/methods/"):
        assert client.get(address).status_code == see
    for verb in ("stop", "resume", "register"):
        assert client.post(f"/api/v1/runs/{run.pk}/{verb}/").status_code == steer
    assert client.post("/api/v1/runs/", {"method": "pretrain"}, format="json").status_code == steer
