"""gunicorn's worker with threads, which leaves a new connection to the worker that holds fewer.

A browser keeps its connection, so whoever accepts it serves that person from then on, and a worker's threads compute on one core between them. Left to
chance, seven of eight annotators may sit at one worker while the other idles.
"""

import time

from gunicorn.workers.gthread import ThreadWorker

PAUSE_SECONDS, LONGEST_PAUSE = 0.0005, 0.005


class Worker(ThreadWorker):
    def accept(self, listener) -> None:
        # All workers are woken. Nobody needs to know of the others: the more connections one holds, the later it comes.
        time.sleep(min(self.nr_conns * PAUSE_SECONDS, LONGEST_PAUSE))
        super().accept(listener)  # which does nothing if another was first
