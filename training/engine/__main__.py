"""The command line: `python -m training.engine RUN_DIR`, `--methods`, `--schema METHOD`, `--explain METHOD`, `--devices`; loads torch only when a
run passes its checks."""

import argparse
import json
import sys
import threading
import traceback
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from . import contract, devices, environment, export, methods, processes, reference
from .messages import Message, Refused, Stopped, _

if TYPE_CHECKING:
    from .context import Context


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.engine",
        description="Runs, or resumes, what RUN_DIR/run.json says. Exit codes: 0 complete, 75 stopped (start it again to go on), "
        "2 refused (nothing was done; see status.json), 1 failed.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("run_dir", nargs="?", type=Path, metavar="RUN_DIR", help="folder with a run.json")
    what.add_argument("--methods", action="store_true", help="list the methods, a line each")
    what.add_argument("--schema", metavar="METHOD", help="print the JSON Schema of a method's settings")
    what.add_argument(
        "--explain", metavar="METHOD", help="print a method's settings with their defaults and what they do"
    )
    what.add_argument(
        "--devices", action="store_true", help="print, as JSON, the devices that a run can compute on here"
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="compute nothing; say whether the inputs of RUN_DIR are what its run.json expects, and what it was computed "
        "with that is another version here. Exit codes: 0 all the same, 2 something differs",
    )
    parser.add_argument(
        "--from-checkpoint",
        metavar="STEP|newest",
        help="make the result that the run would have if it ended at this checkpoint, in RUN_DIR.step-N beside it; the run may "
        "go on meanwhile",
    )
    options = parser.parse_args(arguments)
    if options.methods:
        for name in methods.names():
            print(f"{name:<12} {methods.facts_of(name).summary}")
        return contract.COMPLETE
    if options.devices:
        print(json.dumps(devices.available()))
        return contract.COMPLETE
    if method := options.schema or options.explain:
        if method not in methods.names():
            print(f"There is no method {method!r}. The methods are: {', '.join(methods.names())}.", file=sys.stderr)
            return contract.REFUSED
        schema = methods.config_of(method).model_json_schema()
        print(json.dumps(schema, indent=2, ensure_ascii=False) if options.schema else reference.text(method))
        return contract.COMPLETE
    if options.verify:
        return verify(options.run_dir)
    if options.from_checkpoint:
        if processes.launched().number > 1:
            parser.error("--from-checkpoint takes one process")
        return from_checkpoint(options.run_dir, options.from_checkpoint)
    return run(options.run_dir, alone=True)


def from_checkpoint(run_dir: Path, which: str) -> int:
    """Print the folder that holds the result."""
    try:
        folder = export.prepare(run_dir.absolute(), None if which == "newest" else int(which))
    except (Refused, ValueError) as refused:
        print(refused, file=sys.stderr)
        return contract.REFUSED
    code = run(folder, alone=True, only_result=True)
    print(folder)
    return code


def verify(run_dir: Path) -> int:
    """Print what differs from what the run was made of and computed with."""
    if not (run_dir / "run.json").is_file():
        print(f"There is no run.json in {run_dir}.", file=sys.stderr)
        return contract.REFUSED
    differences = list(environment.input_differences(run_dir))
    if known := environment.read(run_dir):
        programs = environment.program_differences(known[-1])
        differences += [f"{name}: then {then}, here {here}" for name, then, here in programs]
    print("\n".join(differences) or "Everything is the same.")
    return contract.REFUSED if differences else contract.COMPLETE


def run(
    run_dir: Path,
    *,
    method: Callable[["Context"], None] | None = None,
    without: Collection[str] = (),
    alone: bool = False,
    only_result: bool = False,
) -> int:
    """Carry out or resume one run; returns the exit code. status.json holds the truth about it.

    `alone`: this process does nothing else, so GPUs that are not this run's are hidden from it. `only_result`: see export.py. From Python: `method` takes the place of the method's own run(ctx), for what a run.json cannot say (a reward function), and `without` names
    the inputs that are then not needed.
    """
    run_dir = run_dir.absolute()
    if not run_dir.is_dir():
        print(f"There is no folder {run_dir}.", file=sys.stderr)
        return contract.REFUSED
    launched = processes.launched()
    lock = contract.Lock(run_dir) if launched.is_main else None
    if lock is not None and not lock.acquire():
        print(f"Another process works on {run_dir}.", file=sys.stderr)
        return contract.REFUSED
    stop = threading.Event()
    processes.listen(stop.set)

    status = contract.Status(run_dir, writes=launched.is_main)
    if (run_dir / "output" / "metrics.json").is_file():
        # Complete; or killed between putting the result in its place and saying so.
        if contract.read_status(run_dir).get("state") != "complete":
            status.end("complete", progress=1.0, eta_s=0.0)
        return contract.COMPLETE
    try:
        order = contract.read(run_dir, without=without)
        if launched.number > 1 and not methods.facts_of(order.method).shares:
            text = _("This method runs in one process; the launcher started %(number)s. Start it with one.")
            raise Refused(Message("one-process", text, {"number": launched.number}))
    except Refused as refused:
        return _refuse(status, refused)
    together = getattr(order.config, "processes", 1) if alone and not only_result else 1
    with processes.started(together, [sys.executable, "-m", "training.engine", str(run_dir)]):
        if alone:
            devices.see_only(getattr(order.config, "device", "auto"))
        status.begin()
        if launched.is_main:
            environment.note(run_dir, status.attempt)
        return _attempt(run_dir, order, status, stop, method, only_result)


def _attempt(
    run_dir: Path,
    order: contract.Order,
    status: contract.Status,
    stop: threading.Event,
    method: Callable[["Context"], None] | None,
    only_result: bool,
) -> int:
    from .context import Context, cause_of

    context = None
    try:
        # The method's code comes first: what the libraries take that it loads is not the run's.
        work = method or methods.run_of(order.method)
        context = Context(run_dir, order, status, stop, only_result=only_result)
        work(context)
        last = context.complete()
    except Stopped:
        status.end("stopped", **_figures(context))
        return contract.STOPPED
    except Refused as refused:
        return _refuse(status, refused)
    except Exception as error:
        cause = cause_of(error)
        traceback.print_exc()
        print(cause, file=sys.stderr)
        detail = traceback.format_exc()[-8000:]
        status.end("failed", error={"cause": cause.as_json(), "detail": detail}, **_figures(context))
        return contract.FAILED
    finally:
        if context is not None:
            context.close()
    status.end("complete", **_figures(context), **last)
    return contract.COMPLETE


def _figures(context: "Context | None") -> dict:
    return context.figures() if context is not None else {}


def _refuse(status: contract.Status, refused: Refused) -> int:
    for problem in refused.problems if processes.launched().is_main else []:
        print(problem, file=sys.stderr)
    status.end("refused", problems=[problem.as_json() for problem in refused.problems])
    return contract.REFUSED


if __name__ == "__main__":
    sys.exit(main())
