"""Why a process died, in plain words."""

import signal

import pytest
from django.utils import translation

from training.failures import Death, causes, out_of_memory_kills, said


def sentences(death: Death) -> str:
    return " ".join(said([cause.as_json() for cause in causes(death)]))


@pytest.mark.parametrize(
    ("death", "words"),
    [
        (
            Death(-signal.SIGKILL, peak_bytes=3 * 2**30, out_of_memory=True),
            "Memory ran out; the run held up to 3.0 GiB",
        ),
        (Death(-signal.SIGKILL, peak_bytes=2**30), "ended the process without warning when it held up to 1.0 GiB"),
        (Death(1, log=("MemoryError",)), "Memory ran out"),
        (Death(1, log=("OSError: [Errno 28] No space left on device",)), "The disk is full"),
        (Death(-signal.SIGSEGV), "crashed with signal SIGSEGV"),
        (Death(3, log=("Traceback", "ValueError: no", "bye")), "exit code 3 before its work was done. ValueError: no"),
        (Death(None), "ended before its work was done"),
    ],
)
def test_each_end_has_its_cause_and_says_what_is_kept(death, words):
    assert words in sentences(death)
    assert "checkpoint" in sentences(death) or "disk" in sentences(death)


def test_stored_causes_are_read_in_the_readers_language():
    stored = [{"id": "x", "text": "running", "params": {}}]
    with translation.override("en"):
        assert said(stored) == ["running"]


def test_the_kernels_count_of_kills_can_be_read():
    assert out_of_memory_kills() >= 0
