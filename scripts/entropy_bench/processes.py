"""Every coder runs in a process of its own, which codes when told to and answers with times.

So peers that crash or hang cost a row and not the run, each coder has its own environment, and coders take
turns on one core: noise of the machine hits all of them.
"""

from __future__ import annotations

import gc
import math
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

from entropy_bench.coder import Coder, Size

PASS_SECONDS = 0.02  # a pass repeats its call until about this long
MOST_CALLS = 100


class CoderError(Exception):
    """A coder failed, crashed or did not answer in time."""


@dataclass(frozen=True)
class Time:
    """Median seconds of a call in one pass."""

    cpu: float
    wall: float


@dataclass(frozen=True)
class Pass:
    """One pass: encoding, decoding, and what was coded."""

    encode: Time
    decode: Time
    size: Size


def timed(call: Callable[[Any], Any], argument: Callable[[], Any]) -> tuple[Any, Time]:
    """Calls once without timing, then often enough; the argument is made anew, untimed, for each call."""
    result, calls = None, 1
    times: list[tuple[float, float]] = []
    while len(times) <= calls:
        value = argument()
        wall, cpu = time.perf_counter(), time.process_time()
        result = call(value)
        times.append((time.process_time() - cpu, time.perf_counter() - wall))
        if len(times) == 1:
            calls = min(MOST_CALLS, math.ceil(PASS_SECONDS / max(times[0][1], 1e-6)))
    cpu_times, wall_times = zip(*times[1:], strict=True)
    return result, Time(median(cpu_times), median(wall_times))


def one_pass(coder: Coder) -> Pass:
    """Encodes, decodes, compares."""
    gc.collect()
    coded, encode = timed(lambda _: coder.encode(), lambda: None)
    size = coder.size(coded)
    decoded, decode = timed(coder.decode, lambda: coder.fresh(coded))
    if not coder.same(decoded):
        raise CoderError("decoded other symbols than were encoded")
    return Pass(encode, decode, size)


def serve(
    connection: Connection,
    make: Callable[[Any], Any],
    environment: dict[str, str],
    cores: set[int],
    run_pass: Callable[[Any], Any],
) -> None:
    """The process: takes the workload, answers with the coder's facts, then with a pass for every message."""
    os.environ.update(environment)
    os.sched_setaffinity(0, cores)
    gc.disable()
    try:
        coder = make(connection.recv())
        connection.send(coder.facts)
        while connection.recv():
            connection.send(run_pass(coder))
    except ModuleNotFoundError as error:
        connection.send(f"{error.name} is not installed: pip install -c constraints.txt '.[peers]'")
    except Exception as error:
        connection.send(f"{type(error).__name__}: {error}")


class CoderProcess:
    """The other end; `facts` are known once the tables are built.

    `run_pass` is what the process does with the coder that `make` made of the workload; its answer must
    not be a string, which is how errors come.
    """

    def __init__(
        self,
        make: Callable[[Any], Any],
        workload: object,
        environment: dict[str, str],
        cores: set[int],
        limit: float,
        run_pass: Callable[[Any], Any] = one_pass,
    ) -> None:
        """Starts the process and waits for its tables; `limit` seconds for this and for every answer.

        Raises:
            CoderError: it failed.
        """
        context = multiprocessing.get_context("spawn")  # a fresh interpreter: no threads, no libraries loaded
        self._connection, theirs = context.Pipe()
        self._limit = limit
        arguments = (theirs, make, environment, cores, run_pass)
        self._process = context.Process(target=serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self.facts = self._ask(workload)

    def run(self) -> Any:
        """One pass.

        Raises:
            CoderError: it failed.
        """
        return self._ask(True)

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _ask(self, message: object) -> Any:
        with suppress(ConnectionError):  # a process that has died is seen when it does not answer
            self._connection.send(message)
        try:
            if not self._connection.poll(self._limit):
                self.close()
                raise CoderError(f"no answer within {self._limit:g} s")
            answer = self._connection.recv()
        except EOFError:
            self._process.join()
            raise CoderError(f"the process died with exit code {self._process.exitcode}") from None
        if isinstance(answer, str):
            self.close()
            raise CoderError(answer)
        return answer


def take_turns(
    starts: Sequence[Callable[[], CoderProcess]], repeats: int
) -> Iterator[tuple[Any, list[Any], str | None]]:
    """Runs coders pass after pass in turns, so that noise hits all of them.

    Args:
        starts: each makes the process of one coder.
        repeats: passes of each.

    Yields:
        For every coder, in order: its facts, its passes and None; or None, its passes so far and what failed.
    """
    running: dict[int, CoderProcess] = {}
    errors: dict[int, str] = {}
    passes: list[list[Any]] = [[] for _ in starts]
    try:
        for number, start in enumerate(starts):
            try:
                running[number] = start()
            except CoderError as error:
                errors[number] = str(error)
        for _ in range(repeats):
            for number in sorted(running.keys() - errors.keys()):
                try:
                    passes[number].append(running[number].run())
                except CoderError as error:
                    errors[number] = str(error)
        for number in range(len(starts)):
            failed = errors.get(number)
            facts = running[number].facts if failed is None else None
            yield facts, passes[number], failed
    finally:
        for process in running.values():
            process.close()
