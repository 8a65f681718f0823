"""Every grid under conf/sweep composes, and the command line overrides it as anything else."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import fsar_lab
from fsar_lab.config import options
from fsar_lab.config.app import check_command_line
from fsar_lab.config.compose import compose
from fsar_lab.errors import ConfigError
from fsar_lab.sweep import SweepJob

SWEEPS = options.groups()["sweep"]
# Rows of METHOD 8 that a sweep must hold.
ROWS = {
    "coding": 3,
    "model_shallow": 14,
    "ablation_quantizer": 16,
    "ablation_prior": 15,
    "ablation_backbone": 12,
    "ablation_backbone_standard": 12,
    "dsar": 12,
    "seeds": 3,
    "frontier": 10,
}


def jobs(*arguments: str) -> Sequence[SweepJob]:
    found = check_command_line([*arguments, "dataset=fake", "paths.output=out"])
    assert found is not None
    return found


def experiments(found: Sequence[SweepJob]) -> list[str]:
    return [o.partition("=")[2] for job in found for o in job.overrides if o.startswith("experiment=")]


@pytest.mark.parametrize("name", SWEEPS)
def test_every_job_of_every_sweep_composes(name: str) -> None:
    found = jobs(f"+sweep={name}", "budget=small")
    assert len(found) == ROWS[name]
    assert {job.run_dir.parent for job in found} == {Path.cwd() / "out" / "sweeps" / name}
    assert len({job.run_dir for job in found}) == len({job.config_hash for job in found}) == len(found)
    assert set(experiments(found)) <= set(options.groups()["experiment"])


def test_every_experiment_of_the_method_is_in_a_sweep_or_named_as_commented_out() -> None:
    text = "".join((options.CONFIG_DIR / "sweep" / f"{name}.yaml").read_text() for name in SWEEPS)
    listed = {word.strip(",") for word in text.split()}
    left = set(options.groups()["experiment"]) - listed
    further = {name for name in left if name.startswith("coder_ar_") or name == "bits_back_c32"}
    assert left - further == {"demo", "causal_photos"}
    assert len(further) == 10  # of METHOD 8 C, commented out there


def test_the_command_line_overrides_a_grid() -> None:
    assert experiments(jobs("+sweep=coding", "experiment=demo")) == ["demo"]
    found = jobs("-m", "+sweep=seeds", "experiment=vqvae_c2,sqvae_c2", "seed=1,2", "trainer.threads=1")
    assert experiments(found) == ["vqvae_c2", "vqvae_c2", "sqvae_c2", "sqvae_c2"]
    threads = jobs("-m", "+sweep=seeds", "experiment=vqvae_c2,sqvae_c2", "seed=1,2", "trainer.threads=2")
    assert [job.run_dir for job in found] == [job.run_dir for job in threads]
    (elsewhere,) = jobs("+sweep=coding", "experiment=demo", "logger.group=mine")
    assert elsewhere.run_dir.parent.name == "mine"


def test_a_sweep_over_data_sets_has_the_recipe_of_each(tmp_path: Path) -> None:
    for folder in ("openimages/clean_train", "openimages/clean_val", "kodak", "CLIC/valid"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "there.png").touch()
    sets = f"dataset=openimages,fake paths.data={tmp_path}"
    found = check_command_line(["-m", *sets.split(), "budget=paper"])
    assert found is not None
    configs = [compose(job.overrides) for job in found]
    assert [(config.trainer.batch_size, config.anneal.half_life) for config in configs] == [
        (64, 0.04),
        (1000, 0.2),
    ]


def test_what_is_no_sweep() -> None:
    assert check_command_line(["dataset=fake"]) is None
    assert check_command_line(["--cfg", "job", "+sweep=seeds", "dataset=fake"]) is None
    single = ["experiment=vqvae_c2", "seed=1", "dataset=fake", "hydra.mode=RUN"]
    assert check_command_line(["+sweep=seeds", *single]) is None


def test_where_jobs_are_submitted_there_need_not_be_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit", reason="of the extra `sweep`")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert len(jobs("+sweep=seeds", "seed=1", "trainer=gpu", "hydra/launcher=submitit_slurm")) == 1
    with pytest.raises(ConfigError, match="torch sees no GPU"):
        jobs("+sweep=seeds", "seed=1", "trainer=gpu", "hydra/launcher=submitit_local")


def test_a_launcher_may_be_chosen_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit", reason="of the extra `sweep`")
    shutil.copytree(options.CONFIG_DIR, tmp_path / "conf")
    own = "# @package _global_\ndefaults:\n  - override /hydra/launcher: submitit_local\n"
    (tmp_path / "conf" / "local" / "default.yaml").write_text(own)
    registered: list[bool] = []
    monkeypatch.setattr("fsar_lab.launchers.register", lambda: registered.append(True))
    asked = ["+sweep=seeds", "dataset=fake", "seed=1", "trainer.devices=2", "paths.output=out"]
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert len(check_command_line(asked, tmp_path / "conf") or []) == 1
    assert registered == [True]


def test_a_launcher_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    monkeypatch.delitem(sys.modules, "fsar_lab.launchers", raising=False)
    monkeypatch.delattr(fsar_lab, "launchers", raising=False)
    with pytest.raises(ConfigError, match=r"submitit is not installed.*pip install 'fsar_lab\[sweep\]'"):
        jobs("+sweep=seeds", "hydra/launcher=submitit_local")
