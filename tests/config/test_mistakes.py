"""Every mistake gives one message that names the place and the remedy, before anything is built."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from fsar_lab.config.app import check_command_line, jobs
from fsar_lab.config.compose import compose
from fsar_lab.config.options import CONFIG_DIR
from fsar_lab.errors import ConfigError


def message(*overrides: str, resources: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        compose(overrides, resources=resources)
    text = str(caught.value)
    assert all("->" in line for line in text.splitlines()) or "must" in text or "finite" in text
    assert "Traceback" not in text
    return text


def test_unknown_options_name_those_that_exist() -> None:
    text = message("quantizer=vqva", "prior=order9", "budget=smal", "experiment=nope")
    first, second, third, fourth = text.splitlines()
    assert first == "quantizer: no option 'vqva' -> did you mean quantizer=vqvae? There are v2dvq, vqvae"
    assert second == "prior: no option 'order9' -> There are fsar_o1s, fsar_o2s, uniform"
    assert "did you mean budget=small?" in third
    assert "demo" in fourth


def test_misspelt_keys_name_the_full_key() -> None:
    text = message(
        "quantiser=vqvae", "trainer.bach_size=3", "quantizer.restart.untill=.3", "lr=1", "trainer={devicess:2}"
    )
    expected = ("quantizer", "trainer.batch_size", "quantizer.restart.until", "optimizer.lr", "trainer.devices")
    for line, key in zip(text.splitlines(), expected, strict=True):
        assert "unknown key" in line
        assert f"did you mean {key}?" in line


def test_wrong_types_name_key_expected_type_and_value() -> None:
    text = message(
        "trainer.batch_size=abc", "optimizer.lr=fast", "dataset.flip=perhaps", "prior.offsets=3", "quantizer.dim=null"
    )
    lines = text.splitlines()
    assert lines[0] == "trainer.batch_size: 'abc' is of the wrong type -> give a whole number"
    assert lines[1] == "optimizer.lr: 'fast' is of the wrong type -> give a number"
    assert lines[2] == "dataset.flip: 'perhaps' is of the wrong type -> give true or false"
    assert lines[3].startswith("prior.offsets: 3 is of the wrong type -> give a list ([[0,-1,0]])")
    assert lines[4].startswith("quantizer.dim: null")


@pytest.mark.parametrize("override", ["foo=1", "+foo=1", "++foo=1", "+trainer.foo=1"])
def test_unknown_keys_are_refused_even_with_plus(override: str) -> None:
    key = override.lstrip("+").removesuffix("=1")
    assert message(override).startswith(f"{key}: unknown key -> ")


def test_other_slips() -> None:
    assert "write key=value" in message("x")
    assert "add -m" in message("prior=uniform,fsar_o1s")
    assert "needs an option" in message("quantizer=null")
    assert message("dataset.root=${pths.data}").startswith("dataset.root: ")


def test_incompatible_parts_are_reported_together() -> None:
    text = message("backbone=shallow", "dataset.tile=33", "trainer.devices=3", "prior.offsets=[[0,1,0]]")
    width, side, offset, batch = text.splitlines()
    assert width.endswith("backbone.width is 64 -> quantizer.groups=2")
    assert "-> dataset.tile=32" in side
    assert offset.startswith("prior.offsets: [0, 1, 0] is not decoded yet")
    assert batch.endswith("trainer.batch_size=63")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("prior.offsets=[[0,-1,0],[0,0,-1],[0,-1,-1]]", "-> prior=fsar_o2s"),
        ("prior.offsets=[]", "-> prior=uniform"),
        ("prior.offsets=[[0,-1]]", "is not [group, row, column] ->"),
        ("prior.offsets=[[-1,0,0]]", "points 1 groups back, but quantizer.groups is 1"),
        ("prior.offsets=[[0,-1,0],[0,-1,0]]", "names a neighbour twice"),
        ("quantizer.codebook_size=512", "263,169 tables of 512 counts"),
        ("quantizer.codebook_size=65537", "must be between 2 and 65536"),
        ("quantizer._target_=os.system", "quantizer._target_: os.system is not below fsar_lab."),
        ("optimizer.lr=nan", "optimizer.lr: nan is not a finite number"),
        ("optimizer.betas=[0.9]", "optimizer.betas: [0.9] must have 2 elements"),
        ("logger.mode=offlin", "did you mean offline?"),
        ("dataset.test_fraction=1.5", "must be above 0 and below 1"),
        ("callbacks.coding.baselines=[jpg]", "must be png, webp or jxl_e1"),
        ("coder.log_scale_min=1", "is not below coder.log_scale_max"),
        ("trainer.train_images=10", "less than one batch"),
    ],
)
def test_values(override: str, expected: str) -> None:
    assert expected in message(override)


def test_remedy_for_large_tables_works() -> None:
    text = message("quantizer.codebook_size=512")
    remedy = text.split("-> ")[1].split(" or ")[0]
    compose([remedy])
    compose(["quantizer.codebook_size=512", "prior=fsar_o1s"])


def test_missing_data_say_how_to_get_them(tmp_path: Path) -> None:
    assert "scikit-image" in message(f"dataset.root={tmp_path}/nothing", resources=True)
    assert "no photographs in" in message(f"dataset.root={tmp_path}", resources=True)
    text = message("dataset=cifar10_npz", f"paths.data={tmp_path}", resources=True)
    assert text.startswith(f"dataset.root: no folder {tmp_path}/cifar10 -> ")
    assert "dataset=cifar10, which downloads it" in text
    text = message("dataset=cifar10", "dataset.download=false", f"paths.data={tmp_path}", resources=True)
    assert "dataset.download=true fetches it" in text


def test_more_devices_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    text = message("dataset=fake", "trainer.devices=4", resources=True)
    assert text.startswith("trainer.devices: 4 processes asked for, this machine has 2 cores")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    text = message("dataset=fake", "trainer=gpu", "trainer.devices=4", resources=True)
    assert text == "trainer.devices: 4 GPUs asked for, there are 2 -> trainer.devices=2"
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert message("dataset=fake", "trainer=gpu", resources=True).endswith("-> trainer=cpu")


def test_mistakes_in_yaml_files_name_the_file(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    shutil.copytree(CONFIG_DIR, conf)
    (conf / "experiment" / "typo.yaml").write_text("# @package _global_\ntrainer: {bach_size: 3}\n")
    (conf / "prior" / "wrong.yaml").write_text("defaults: [base_fsar, _self_]\nhidden_expansion: much\n")
    with pytest.raises(ConfigError, match=r"experiment/typo.*bach_size.*did you mean batch_size\?"):
        compose(["experiment=typo"], conf)
    with pytest.raises(ConfigError, match=r"prior/wrong.*hidden_expansion.*'much'"):
        compose(["prior=wrong"], conf)
    (conf / "train.yaml").unlink()
    with pytest.raises(ConfigError, match="clone"):
        compose([], conf)


def test_local_settings_apply_and_are_optional(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    shutil.copytree(CONFIG_DIR, conf, ignore=shutil.ignore_patterns("default.yaml.local"))
    (conf / "local").mkdir(exist_ok=True)
    (conf / "local" / "default.yaml").write_text("# @package _global_\npaths: {data: /there}\n")
    assert compose([], conf).paths.data == "/there"
    (conf / "local" / "default.yaml").unlink()
    compose([], conf)


def test_sweeps_are_checked_before_any_job_starts() -> None:
    assert list(jobs(["prior=uniform,fsar_o1s", "seed=range(2)", "name=a"])) == [
        ["prior=uniform", "seed=0", "name=a"],
        ["prior=uniform", "seed=1", "name=a"],
        ["prior=fsar_o1s", "seed=0", "name=a"],
        ["prior=fsar_o1s", "seed=1", "name=a"],
    ]
    check_command_line(["-m", "dataset=fake", "seed=1,2"])
    with pytest.raises(ConfigError, match="no option 'fsar_o9'"):
        check_command_line(["-m", "dataset=fake", "prior=uniform,fsar_o9"])
    with pytest.raises(ConfigError, match="submitit"):
        check_command_line(["-m", "dataset=fake", "trainer.devices=2", "seed=1,2"])
