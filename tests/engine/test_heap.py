"""What large tensors leave is kept, by the C libraries of today and of some years ago."""

import ctypes

import pytest

from training.engine import heap


class Library:
    """glibc as far as heap.py uses it: before 2.35 a threshold above 32 MiB is refused, and stays at 128 KiB once anything has been set."""

    def __init__(self, most: int) -> None:
        self.most, self.threshold = most, 128 << 10

    def mallopt(self, parameter: int, value: int) -> int:
        if parameter == heap.M_MMAP_THRESHOLD and value > self.most:
            return 0
        if parameter == heap.M_MMAP_THRESHOLD:
            self.threshold = value
        return 1


@pytest.mark.parametrize(("most", "threshold"), [(1 << 63, 1 << 30), (32 << 20, 32 << 20)])
def test_tensors_of_many_megabytes_are_kept(most, threshold, monkeypatch):
    library = Library(most)
    monkeypatch.setattr(heap.platform, "libc_ver", lambda: ("glibc", "2.31"))
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: library)
    heap.keep()
    assert library.threshold == threshold
