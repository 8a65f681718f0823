"""Building objects, plain data, and the hash that tells runs apart."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from fsar_lab.config.build import build, config_hash, decisive, to_plain
from fsar_lab.config.compose import compose
from fsar_lab.config.schema import FakeConfig
from fsar_lab.data.fake import Fake
from fsar_lab.errors import ConfigError


@dataclass
class Target:
    _target_: str


def test_builds_what_the_target_names() -> None:
    assert isinstance(build(FakeConfig(train_images=1, validation_images=1, test_images=1, side=8)), Fake)


@pytest.mark.parametrize("target", ["os.system", "fsar_labs.x", "fsar_lab", "subprocess.run"])
def test_refuses_targets_elsewhere(target: str) -> None:
    with pytest.raises(ConfigError, match="ALLOWED_TARGETS"):
        build(Target(target))


def test_names_a_target_that_does_not_exist() -> None:
    for target in ("fsar_lab.errors.Nothing", "fsar_lab.nothing.Thing"):
        with pytest.raises(ConfigError, match=target.rpartition(".")[2]):
            build(Target(target))


def test_plain_data_survive_json() -> None:
    plain = to_plain(compose())
    assert json.loads(json.dumps(plain)) == plain
    assert plain["quantizer"]["restart"]["until"] == 0.25


def test_hash_ignores_places_and_logging() -> None:
    base = ["dataset=cifar10_npz"]
    elsewhere = ["paths.data=/elsewhere", "paths.output=/x", "logger=none", "callbacks=none", "name=other"]
    expected = config_hash(compose(base))
    assert config_hash(compose([*base, *elsewhere, "trainer.threads=1"])) == expected
    assert config_hash(compose([*base, "dataset.root=/mnt/cifar10"])) == expected


def test_hashes_of_before_stand() -> None:
    """Finished runs are reused by them: what was added since counts only where it is not the default."""
    config = compose(["dataset=fake"])
    kept = decisive(to_plain(config))
    assert "callbacks" not in kept and "calibration_images" not in kept and "start" not in kept
    config.callbacks.coding.calibration_images = 16
    assert decisive(to_plain(config)) == kept | {"calibration_images": 16}
    for name, mask in (("maskconv5x5", None), ("checkerboard5x5", "checkerboard")):
        plain = to_plain(compose([f"experiment=fsar_pixels_{name}", "dataset=fake"]))
        assert decisive(plain)["coder"].get("mask") == mask and "mask" in plain["coder"]


def test_hash_tells_outcomes_apart() -> None:
    config, hashes = compose(), []
    for part, key, value in (
        (config, "seed", 1),
        (config.optimizer, "lr", 0.001),
        (config.trainer, "train_images", 77),
        (config.dataset, "root", "/my/photographs"),
        (config.prior, "offsets", [[0, -1, 0]]),
        (config.callbacks.coding, "calibration_images", 16),
    ):
        hashes.append(config_hash(config))
        setattr(part, key, value)
    assert len({*hashes, config_hash(config)}) == 7
