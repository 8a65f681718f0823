"""Hydra's submitit launchers, for sweeps that outlive their jobs: `submitit_local` and `submitit_slurm`.

The originals start all jobs at once (or in batches, and a job that is killed ends the sweep with its batch),
and stop waiting at the first one that was killed. Here a job starts when another has ended, and every job is
waited for. Needs the extra `sweep`.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import submitit
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra_plugins.hydra_submitit_launcher import config as stock_options
from hydra_plugins.hydra_submitit_launcher import submitit_launcher as stock

from fsar_lab import slurm
from fsar_lab.cores import available_cores

log = logging.getLogger(__name__)

LONG = 60 * 24 * 30  # minutes: a job on this machine has no time limit


def register() -> None:
    """Let the options submitit_local and submitit_slurm mean the classes below.

    Hydra builds only plugins whose name begins with `hydra_plugins`: they take the place of the originals.
    """
    plugins = Plugins.instance()
    for launcher in (LocalLauncher, SlurmLauncher):
        plugins.class_name_to_class[f"{stock.__name__}.{launcher.__name__}"] = launcher
    options = stock_options.LocalQueueConf(timeout_min=LONG)
    ConfigStore.instance().store(group="hydra/launcher", name="submitit_local", node=options)


class _Patient(stock.BaseSubmititLauncher):  # type: ignore[misc]  # installed without types
    """Keeps as many jobs going as there is room for until all have ended, however they end."""

    POLL_SECONDS: float

    def prepare(self, trainers: Sequence[Any]) -> None:
        """Called once before the first job starts, with the part `trainer` of every job's configuration."""
        raise NotImplementedError

    def has_room(self, trainer: Any, running: Sequence[Any]) -> bool:
        """Whether a job may start beside those that run; it does if so."""
        raise NotImplementedError

    def has_ended(self, job: submitit.Job[JobReturn]) -> bool:
        """Whether a job has a result, or will not have one any more."""
        return job.done()

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run every job in a process of its own; what came of it stands in its run directory."""
        executor = self._executor()
        waiting = deque(enumerate(job_overrides, initial_job_idx))
        trainers = dict(enumerate(map(self._trainer, job_overrides), initial_job_idx))
        self.prepare(list(trainers.values()))
        running: dict[int, submitit.Job[JobReturn]] = {}
        ended: dict[int, JobReturn] = {}
        log.info("%d jobs; their output: %s", len(waiting), self.params["submitit_folder"])
        try:
            while waiting or running:
                while waiting and self.has_room(trainers[waiting[0][0]], [trainers[n] for n in running]):
                    number, overrides = waiting.popleft()
                    log.info("\t#%d : %s", number, " ".join(filter_overrides(overrides)))
                    arguments = (list(overrides), "hydra.sweep.dir", number, f"job_id_for_{number}")
                    running[number] = executor.submit(self, *arguments, Singleton.get_state())
                time.sleep(self.POLL_SECONDS)
                for number, job in list(running.items()):
                    if self.has_ended(job):
                        ended[number] = _collect(running.pop(number), number)
        except KeyboardInterrupt:
            for job in running.values():
                job.cancel()
            raise
        return [ended[number] for number in sorted(ended)]

    def _executor(self) -> submitit.AutoExecutor:
        """As the original's."""
        params = dict(self.params)
        folder, timeouts = params.pop("submitit_folder"), params.pop("max_num_timeout", None)
        limits = {} if timeouts is None else {f"{self._EXECUTOR}_max_num_timeout": timeouts}
        executor = submitit.AutoExecutor(folder=folder, cluster=self._EXECUTOR, **limits)
        common = {field.name for field in dataclasses.fields(stock_options.BaseQueueConf)}
        executor.update_parameters(
            **{key if key in common else f"{self._EXECUTOR}_{key}": value for key, value in params.items()}
        )
        return executor

    def _trainer(self, overrides: Sequence[str]) -> Any:
        """The part `trainer` of a job's configuration, which its overrides and overlays decide."""
        assert self.config is not None and self.hydra_context is not None
        return self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides)).trainer


class LocalLauncher(_Patient):
    """Jobs on this machine: as many at once as its cores allow, each by itself that wants a GPU."""

    _EXECUTOR = "local"
    POLL_SECONDS = 0.5

    def prepare(self, trainers: Sequence[Any]) -> None:
        """Jobs that do not say trainer.threads have those of OMP_NUM_THREADS, else they share the cores."""
        self.cores = available_cores()
        self.share = int(os.environ.get("OMP_NUM_THREADS", 0)) or max(1, self.cores // len(trainers))

    def has_room(self, trainer: Any, running: Sequence[Any]) -> bool:
        """Whether the threads of all its processes fit beside those of the others; one always runs."""
        if running and sum(map(self._cores_of, [trainer, *running])) > self.cores:
            return False
        os.environ["OMP_NUM_THREADS"] = str(
            self._threads(trainer)
        )  # the job inherits it; torch begins with it
        return True

    def _threads(self, trainer: Any) -> int:
        return int(trainer.threads or self.share)

    def _cores_of(self, trainer: Any) -> int:
        return self.cores if trainer.accelerator == "gpu" else self._threads(trainer) * int(trainer.devices)


class SlurmLauncher(_Patient):
    """Jobs in the queue of a cluster, at most array_parallelism of them at once."""

    _EXECUTOR = "slurm"
    POLL_SECONDS = 2.0

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.most: int = self.params.pop("array_parallelism")

    def prepare(self, trainers: Sequence[Any]) -> None:
        """All jobs are submitted alike, with the cores that the one of most threads wants."""
        if self.params["cpus_per_task"] is None:
            self.params["cpus_per_task"] = max((t.threads for t in trainers if t.threads), default=None)

    def has_room(self, trainer: Any, running: Sequence[Any]) -> bool:
        """Up to array_parallelism, the cluster decides."""
        return len(running) < self.most

    def has_ended(self, job: submitit.Job[JobReturn]) -> bool:
        """Also on a cluster without accounting, where submitit never hears of a job that was killed."""
        if job.done():
            return True
        if job.watcher.get_state(job.job_id, mode="cache") != "UNKNOWN":
            return False
        return slurm.has_ended(job.job_id)


def _collect(job: submitit.Job[JobReturn], number: int) -> JobReturn:
    """What a job returned; of one that was killed, a stand-in, so that the sweep goes on."""
    try:
        if not job.done():  # the queue has lost it; `result` would wait for ever
            raise submitit.core.utils.UncompletedJobError("it is not in the queue any more")
        return job.result()
    except Exception as error:  # of submitit: killed, or its result cannot be read
        log.error("#%d ended without a result: %s", number, str(error).partition("\n")[0])
        return JobReturn(_return_value=float("nan"), status=JobStatus.COMPLETED)
