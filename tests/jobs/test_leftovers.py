"""What unfinished work leaves is found by age, also while somebody else removes it."""

import os
from concurrent.futures import ThreadPoolExecutor

from jobs.leftovers import older_than


def test_what_is_old_is_found_and_what_is_young_stays(tmp_path):
    for name in ("old", "young"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / "old", (0, 0))
    assert older_than(3600, tmp_path.iterdir()) == [tmp_path / "old"]


def test_many_may_sweep_one_place_while_others_remove_from_it(tmp_path):
    def come_and_go(number):
        for turn in range(200):
            folder = tmp_path / f"{number}-{turn}"
            folder.mkdir()
            assert older_than(3600, tmp_path.iterdir()) == []
            folder.rmdir()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, range(4)))
