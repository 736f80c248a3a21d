"""kill -9 of the server while people submit: every acknowledged ranking is there, none twice, and no slot is lost with those who held it."""

import random
from pathlib import Path

import pytest

from bench.labeling_fill import OVERLAP, people
from bench.labeling_load import Load
from bench.labeling_site import HOST, WEB, Site, look
from tests.processes import until

PROJECT = "killed"
MOST_RANKINGS = 60  # in each life of the server; it dies somewhere within


def killed_again_and_again(folder: Path, *, kills: int, annotators: int, tasks: int) -> None:
    site = Site(folder / "site")
    site.folder.mkdir()
    site.fill(annotators=annotators, projects={PROJECT: {"tasks": tasks, "veteran": 0}})
    everyone = people(annotators)
    acknowledged: dict[str, list[str]] = {}
    try:
        with Load(HOST, site.port) as load:
            site.start(WEB)
            acknowledged |= load(people=everyone, slug=PROJECT, count=1).acknowledged
            for _ in range(kills):
                last = rankings(site) + random.randint(1, MOST_RANKINGS)
                load.begin({"people": everyone, "slug": PROJECT, "patient": True, "until_lost": True, "double": 20})
                until(lambda last=last: rankings(site) >= last, every=0.002)
                site.kill()
                site.start(WEB)
                found = load.result()
                acknowledged |= found.acknowledged
                assert found.unanswered > 0, "nobody was waiting for an answer when the server died"
                assert found.errors == []
            with site.database() as connection:
                assert look(connection, acknowledged) == faultless(acknowledged)
                assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",)

            # Half of them never come back. When their leases have ended, the others get all that is left.
            with site.database(changes=True) as connection:
                connection.execute("UPDATE labeling_assignment SET lease_until = '2000-01-01' WHERE state = 'claimed'")
            stayed = dict(list(everyone.items())[: annotators // 2])
            for _ in range(
                2
            ):  # who is told "nothing left" may have asked a moment before the last leases were taken back
                found = load(people=stayed, slug=PROJECT)
                acknowledged |= found.acknowledged
                assert found.errors == []
            with site.database() as connection:
                assert look(connection, acknowledged) == faultless(acknowledged)
                states = connection.execute("SELECT state, COUNT(*) FROM labeling_task GROUP BY state").fetchall()
            assert states == [("complete", tasks)]
            assert len(acknowledged) == tasks * OVERLAP
    finally:
        site.kill()


def rankings(site: Site) -> int:
    with site.database() as connection:
        return connection.execute("SELECT COUNT(*) FROM labeling_ranking").fetchone()[0]


def faultless(acknowledged: dict[str, list[str]]) -> dict[str, int]:
    faults = ("lost", "different", "unknown", "twice", "over_assigned", "wrong_slots")
    return {"acknowledged": len(acknowledged), **dict.fromkeys(faults, 0)}


@pytest.mark.slow
def test_killed_twice(tmp_path):
    killed_again_and_again(tmp_path, kills=2, annotators=4, tasks=250)


@pytest.mark.prove
def test_killed_twenty_times(tmp_path):
    killed_again_and_again(tmp_path, kills=20, annotators=8, tasks=2500)
