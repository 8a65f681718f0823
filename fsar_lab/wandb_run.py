"""Starting and finishing a run of Weights & Biases, by the rules of this project. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fsar_lab.config.schema import LoggerConfig
from fsar_lab.errors import ConfigError


def start(settings: LoggerConfig, folder: Path, **about: Any) -> Any:
    """Start a run; `finished` must be around it.

    Args:
        settings: Project, entity, group, tags, and whether it is `online` or `offline`.
        folder: W&B writes to `folder/wandb`.
        **about: More of wandb.init's arguments: name, config, job_type.

    Returns:
        The wandb run.

    Raises:
        ConfigError: W&B refuses, for want of a key or of a network.
    """
    import wandb

    online = settings.mode == "online"
    try:
        return wandb.init(
            project=settings.project,
            entity=settings.entity,
            group=settings.group,
            tags=list(settings.tags),
            dir=folder,
            mode="online" if online else "offline",
            settings=wandb.Settings(silent=not online, console="off", disable_code=True),
            **about,
        )
    except wandb.errors.Error as error:
        reason = str(error).partition("\n")[0]
        remedy = "`wandb login`, or offline (logger=wandb_offline, wandb=offline), or none"
        raise ConfigError(f"W&B ({settings.mode}) did not start: {reason} -> {remedy}") from error


def has_key() -> bool:
    """Whether W&B finds a key (environment, settings, .netrc); does not ask for one, nor check it."""
    import wandb

    return bool(wandb.login(prompt=False, verify=False))


@contextmanager
def finished() -> Iterator[None]:
    """Finish the run that is started inside, whatever happens.

    A run left open would be taken over silently by the next one in the same process (a sweep), so one that is
    still open at the start is finished too. After an exception the run ends with exit code 1, and its summary
    says `error`.
    """
    import wandb

    if wandb.run is not None:
        wandb.finish()
    exit_code = 1
    try:
        yield
        exit_code = 0
    except BaseException as error:
        if wandb.run is not None:
            wandb.run.summary["error"] = f"{type(error).__name__}: {error}"
        raise
    finally:
        wandb.finish(exit_code=exit_code)
