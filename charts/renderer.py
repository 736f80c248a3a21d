"""Draws Vega-Lite charts in a process of its own: a JSON array of specs a line in, a JSON array of SVGs a line out.

vl-convert holds Python's lock while it draws (some 20 ms a chart) and brings a JavaScript engine of 100 MB along; in the web process
every other page would wait for both. `draw` starts the process when first needed; it ends by itself when unused.

    python charts/renderer.py
"""

import json
import select
import subprocess
import sys
import threading

IDLE_SECONDS = 300
_lock = threading.Lock()
_process: subprocess.Popen | None = None


def draw(specs: list[dict], locale: dict) -> list[str]:
    """The SVG of each spec. `locale` is a d3 number format. Raises OSError if the renderer cannot be started or dies twice."""
    global _process
    request = json.dumps({"specs": specs, "locale": locale}).encode() + b"\n"
    with _lock:
        for attempt in (1, 2):
            if _process is None or _process.poll() is not None:
                _process = _start()
            try:
                _process.stdin.write(request)
                _process.stdin.flush()
                if answer := _process.stdout.readline():
                    return json.loads(answer)
            except BrokenPipeError:
                pass
            # It ended in the very moment it was asked; a second one will answer.
            _process.kill()
            _process.wait()
            _process = None
            if attempt == 2:
                raise OSError("The chart renderer died.")
    raise AssertionError


def warm() -> None:
    """Start the process now, for who is going to draw in a moment: it takes a while to be ready."""
    global _process
    if _lock.acquire(blocking=False):
        try:
            if _process is None or _process.poll() is not None:
                _process = _start()
        finally:
            _lock.release()


def _start() -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, __file__],  # by its path: the package would bring Django along
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def main() -> None:
    import vl_convert

    while select.select([sys.stdin], [], [], IDLE_SECONDS)[0]:
        if not (line := sys.stdin.readline()):
            return  # the web process is gone
        asked = json.loads(line)
        svgs = [
            vl_convert.vegalite_to_svg(spec, format_locale=asked["locale"], allowed_base_urls=[])
            for spec in asked["specs"]
        ]
        sys.stdout.write(json.dumps(svgs) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
