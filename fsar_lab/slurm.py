"""What SLURM's queue says of a job."""

from __future__ import annotations

import subprocess

_WAITING_OR_RUNNING = (
    "PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED", "STAGE_OUT",
)  # fmt: skip


def has_ended(job: str) -> bool:
    """Whether a job neither waits nor runs any more.

    Not if the queue does not answer just now; where there is no squeue, nothing of SLURM runs.
    """
    command = ["squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return True
    if asked.returncode and "Invalid job id" not in asked.stderr:
        return False
    return asked.stdout.strip() not in _WAITING_OR_RUNNING
