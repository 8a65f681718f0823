"""Every mistake gives one message that names the place and the remedy, before anything is built."""

from __future__ import annotations

import copy
import functools
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fsar_lab.config.app import check_command_line, jobs
from fsar_lab.config.compose import compose
from fsar_lab.config.options import CONFIG_DIR
from fsar_lab.config.schema import CIFAR10Config, FakeConfig, NoneConfig, PhotosConfig, TrainConfig
from fsar_lab.config.validate import validate
from fsar_lab.data import places
from fsar_lab.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def default() -> TrainConfig:
    return compose()


def changed(config: TrainConfig, key: str, value: Any) -> TrainConfig:
    """A copy with another value, as if YAML or the command line had given it."""
    *parents, name = key.split(".")
    copied = copy.deepcopy(config)
    setattr(functools.reduce(getattr, parents, copied), name, value)
    return copied


def message(*overrides: str, resources: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        compose(overrides, resources=resources)
    text = str(caught.value)
    assert all("->" in line for line in text.splitlines()) or "must" in text or "finite" in text
    assert "Traceback" not in text
    return text


def test_unknown_options_name_those_that_exist() -> None:
    text = message("quantizer=vqva", "prior=turbo", "budget=smal", "experiment=nope")
    first, second, third, fourth = text.splitlines()
    assert first.startswith("quantizer: no option 'vqva' -> did you mean quantizer=vqvae? There are ")
    assert "none" in first and "v2dvq" in first
    assert second.startswith("prior: no option 'turbo' -> There are ") and "fsar_o2s" in second
    assert "did you mean budget=small?" in third
    assert "demo" in fourth


def test_misspelt_keys_name_the_full_key() -> None:
    text = message(
        "quantiser=vqvae",
        "trainer.bach_size=3",
        "quantizer.restart.untill=.3",
        "lr=1",
        "trainer={devicess:2}",
    )
    expected = (
        "quantizer",
        "trainer.batch_size",
        "quantizer.restart.until",
        "optimizer.lr",
        "trainer.devices",
    )
    for line, key in zip(text.splitlines(), expected, strict=True):
        assert "unknown key" in line
        assert f"did you mean {key}?" in line


def test_wrong_types_name_key_expected_type_and_value() -> None:
    text = message(
        "trainer.batch_size=abc",
        "optimizer.lr=fast",
        "dataset.flip=perhaps",
        "prior.offsets=3",
        "quantizer.dim=null",
    )
    lines = text.splitlines()
    assert lines[0] == "trainer.batch_size: 'abc' is of the wrong type -> give a whole number"
    assert lines[1] == "optimizer.lr: 'fast' is of the wrong type -> give a number"
    assert lines[2] == "dataset.flip: 'perhaps' is of the wrong type -> give true or false"
    assert lines[3].startswith("prior.offsets: 3 is of the wrong type -> give a list ([[0,-1,0]])")
    assert lines[4].startswith("quantizer.dim: null")


@pytest.mark.parametrize("override", ["foo=1", "+foo=1", "+trainer.foo=1"])
def test_unknown_keys_are_refused_even_with_plus(override: str) -> None:
    key = override.lstrip("+").removesuffix("=1")
    assert message(override).startswith(f"{key}: unknown key -> ")


def test_other_slips() -> None:
    text = message("x", "prior=uniform,fsar_o1s", "quantizer=null")
    for line, remedy in zip(text.splitlines(), ("write key=value", "add -m", "one of "), strict=True):
        assert remedy in line
    assert message("dataset.root=${pths.data}").startswith("dataset.root: ")


def test_incompatible_parts_are_reported_together() -> None:
    text = message(
        "backbone=shallow", "dataset.tile=33", "trainer={batch_size:64,devices:3}", "prior.offsets=[[0,1,0]]"
    )
    width, side, offset, batch = text.splitlines()
    assert width.endswith("backbone.width is 64 -> quantizer.groups=2")
    assert "-> dataset.tile=32" in side
    assert offset.startswith("prior.offsets: [0, 1, 0] is not decoded yet")
    assert batch.endswith("trainer.batch_size=63")


def test_convolution_priors() -> None:
    assert "prior.kernel: 4 must be an odd number" in message("prior=maskconv3x3", "prior.kernel=4")
    assert "did you mean raster?" in message("prior=maskconv3x3", "prior.mask=rastr")
    planes = message("prior=maskconv3x3", "prior.mask=raster3d")  # codebooks are not shared
    assert "raster3d must be one of raster, checkerboard" in planes
    text = message("backbone=none", "quantizer=none", "prior=checkerboard5x5")
    assert text.startswith("prior: there are no latents to code")
    wide = ("backbone.width=128", "quantizer.groups=4", "quantizer.codebook_size=512")
    text = message(*wide, "prior=checkerboard5x5", "prior.kernel=15")
    assert text.startswith("prior.kernel: 15 with prior.mask=checkerboard") and text.endswith(
        "-> prior.kernel=5"
    )
    assert message(*wide[:2], "quantizer.codebook_size=4096", "prior=maskconv3x3").endswith(
        "smaller codebooks"
    )


def test_coders_without_networks() -> None:
    text = message("coder=context", "quantizer=none", "prior=none")
    assert text.splitlines()[0].endswith("-> backbone=none")
    assert message("coder=fsar_pixels_o2s").endswith("-> backbone=none quantizer=none prior=none")
    alone = ("backbone=none", "quantizer=none", "prior=none")
    assert "needs a synthesis network" in message(*alone, "coder=gaussian")
    offsets = message(*alone, "coder=fsar_pixels_o1s", "coder.offsets=[[-3,0,0],[0,0,1]]").splitlines()
    assert "the number of colours is 3" in offsets[0] and "not decoded yet" in offsets[1]
    assert "coder.kernel: 4 must be" in message(*alone, "coder=fsar_pixels_maskconv3x3", "coder.kernel=4")
    three = message(*alone, "coder=fsar_pixels_maskconv5x5x5", "coder.kernel=11")
    assert "coder.mask=raster3d makes a table too large" in three and three.endswith("-> coder.kernel=9")
    assert "did you mean raster3d?" in message(*alone, "coder=fsar_pixels_maskconv3x3", "coder.mask=raster3")
    assert "coder.dim" in message(*alone, "coder=fsar_pixels_maskconv3x3", "coder.dim=257")
    assert "coder.states" in message(*alone, "coder=context", "coder.states=65")
    pair = message("coder=causal_net", "coder.pair=true")
    assert pair.startswith("coder.pair: ") and pair.endswith("prior=none, or coder.pair=false")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("prior.offsets=[[0,-1,0],[0,0,-1],[0,-1,-1],[0,-1,1],[0,-2,0]]", "-> prior=fsar_o2s"),
        ("prior.offsets=[]", "-> prior=uniform"),
        ("prior.offsets=[[0,-1]]", "is not [group, row, column] ->"),
        ("prior.offsets=[[-1,0,0]]", "points 1 groups back, but quantizer.groups is 1"),
        ("prior.offsets=[[0,-1,0],[0,-1,0]]", "names a neighbour twice"),
        ("start.freeze=[backbones]", "did you mean backbone?"),
        ("quantizer.codebook_size=65537", "must be between 2 and 65536"),
        ("quantizer._target_=os.system", "quantizer._target_: os.system is not below fsar_lab."),
        ("optimizer.lr=.nan", "optimizer.lr: nan is not a finite number"),
        ("optimizer.betas=[0.9]", "optimizer.betas: [0.9] must have 2 elements"),
        ("logger.mode=offlin", "did you mean offline?"),
        ("dataset.test_fraction=1.5", "must be above 0 and below 1"),
        ("callbacks.coding.baselines=[jxl_e5]", "each element must be one of qoi, png, webp"),
        ("prior.train_share=0", "above 0 and at most 1"),
        ("seed=-1", "between 0 and 4294967295"),
        ("trainer.train_images=10", "less than one batch"),
    ],
)
def test_values(default: TrainConfig, override: str, expected: str) -> None:
    key, _, value = override.partition("=")
    with pytest.raises(ConfigError) as caught:
        validate(changed(default, key, yaml.safe_load(value)), resources=False)
    assert expected in str(caught.value)


def test_values_of_a_coder_with_scales() -> None:
    assert "is not below coder.log_scale_max" in message("coder=gaussian", "coder.log_scale_min=1")


def test_any_number_of_contexts_is_fine(default: TrainConfig) -> None:
    """They are reduced to classes (docs/ARCHITECTURE.md, section 5)."""
    large = changed(default, "quantizer.codebook_size", 4096)
    validate(changed(large, "prior.offsets", [[0, -1, 0], [0, 0, -1], [0, -1, -1]]), resources=False)


def test_a_start_from_another_run(default: TrainConfig, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    there = changed(default, "start.run", str(tmp_path))
    validate(there, resources=False)
    for key, value, expected in (
        ("start.run", str(tmp_path / "nothing"), "has no config.yaml"),
        ("start.load", ["backbone"], "start.freeze: quantizer, coder not in start.load"),
        ("start.freeze", ["backbone", "quantizer", "coder", "prior"], "nothing is left to train"),
        ("prior", NoneConfig(), "nothing is left to train"),
    ):
        with pytest.raises(ConfigError) as caught:
            validate(changed(there, key, value), resources=False)
        assert expected in str(caught.value)


def test_catreduce() -> None:
    assert "did you mean fixed?" in message("prior=fsar_o2s_catreduce15", "prior.alpha_mode=fix")
    assert "exchange them" in message("prior=fsar_o2s_catreduce15", "prior.alpha_min=1.6")


def test_missing_data_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no folder .*nothing -> .*scikit-image"):
        places.check(PhotosConfig(root=f"{tmp_path}/nothing"))
    with pytest.raises(DataError, match=r"no photographs in .* -> "):
        places.check(PhotosConfig(root=str(tmp_path)))
    with pytest.raises(DataError, match=r"-> dataset.download=true fetches it"):
        places.check(CIFAR10Config(root=str(tmp_path), download=False))
    places.check(CIFAR10Config(root=str(tmp_path)))
    text = message("dataset=cifar10_npz", f"paths.data={tmp_path}", resources=True)
    assert text.startswith(f"dataset.root: no folder {tmp_path}/cifar10 -> ")
    assert "dataset=cifar10, which downloads it" in text


def test_more_devices_than_there_are(default: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    asked = changed(changed(default, "dataset", FakeConfig()), "trainer.devices", 4)
    with pytest.raises(
        ConfigError, match=r"^trainer.devices: 4 processes asked for, this machine has 2 cores"
    ):
        validate(asked)
    asked.trainer.accelerator = "gpu"
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(
        ConfigError, match=r"^trainer.devices: 4 GPUs asked for, there are 2 -> trainer.devices=2$"
    ):
        validate(asked)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(ConfigError, match=r"-> trainer=cpu$"):
        validate(asked)


def test_a_classical_codec_that_is_not_installed(
    default: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = changed(
        changed(default, "dataset", FakeConfig()), "callbacks.coding.baselines", ["png", "jxl_e7"]
    )
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(
        ConfigError, match=r"^callbacks\.coding\.baselines: jxl_e7 need imagecodecs.*pip install"
    ):
        validate(asked)


def test_tensorboard_without_a_package_that_writes_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    text = message("logger=tensorboard", "dataset=fake", resources=True)
    assert text.startswith("logger.tensorboard: neither tensorboardX nor tensorboard is installed")
    assert "pip install 'fsar_lab[tensorboard]'" in text


def test_mistakes_in_yaml_files_name_the_file(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    shutil.copytree(CONFIG_DIR, conf)
    (conf / "experiment" / "typo.yaml").write_text("# @package _global_\ntrainer: {bach_size: 3}\n")
    (conf / "prior" / "wrong.yaml").write_text("defaults: [base_fsar, _self_]\nhidden_expansion: much\n")
    with pytest.raises(
        ConfigError, match=r"conf/experiment/typo.yaml, trainer.*bach_size.*did you mean batch_size\?"
    ):
        compose(["experiment=typo"], conf)
    with pytest.raises(ConfigError, match=r"conf/prior/wrong.yaml, prior.*hidden_expansion.*'much'"):
        compose(["prior=wrong"], conf)
    (conf / "prior" / "wrong.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match=r"prior/wrong.yaml"):
        compose(["prior=wrong"], conf)
    (conf / "train.yaml").unlink()
    with pytest.raises(ConfigError, match="clone"):
        compose([], conf)


def test_local_settings_apply(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    shutil.copytree(CONFIG_DIR, conf)
    (conf / "local").mkdir(exist_ok=True)
    (conf / "local" / "default.yaml").write_text("# @package _global_\npaths: {data: /there}\n")
    assert compose([], conf).paths.data == "/there"


def test_sweeps_are_checked_before_any_job_starts() -> None:
    assert list(jobs(["prior=uniform,fsar_o1s", "seed=range(2)", "name=a"])) == [
        ["prior=uniform", "seed=0", "name=a"],
        ["prior=uniform", "seed=1", "name=a"],
        ["prior=fsar_o1s", "seed=0", "name=a"],
        ["prior=fsar_o1s", "seed=1", "name=a"],
    ]
    with pytest.raises(ConfigError, match="no option 'fsar_o9'"):
        check_command_line(["-m", "dataset=fake", "prior=uniform,fsar_o9"])
    with pytest.raises(ConfigError, match="submitit"):
        check_command_line(["-m", "dataset=fake", "trainer.devices=2", "seed=1,2"])


def test_backbones_that_cannot_be() -> None:
    assert message("backbone=shallow_skip", "quantizer.groups=2", "backbone.residual_blocks=0") == (
        "backbone.long_skip: there are no blocks to go around -> backbone.residual_blocks=1 or more"
    )
    text = message("backbone=shallow_ps", "quantizer.groups=2", "backbone.downsamples=0")
    assert text.startswith("backbone.pixel_shuffle: nothing is enlarged") and "downsamples=1" in text


@pytest.mark.parametrize(
    "coder", ["gaussian_mean_offset", "logistic", "logistic_linear_ar", "logistic_mixture"]
)
def test_coders_whose_numbers_cannot_be(coder: str) -> None:
    text = message(f"coder={coder}", "coder.num_scales=1")
    assert text.startswith("coder.num_scales: 1 must be between 2 and 256")
    assert "coder.log_scale_min: 1.0 is not below" in message(f"coder={coder}", "coder.log_scale_min=1")


def test_the_range_of_a_mixtures_weights() -> None:
    assert message("coder=logistic_mixture", "coder.weight_range=17").startswith("coder.weight_range: 17")
