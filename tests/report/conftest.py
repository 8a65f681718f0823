"""Made run directories: a sweep without a second of training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml
from PIL import Image

from fsar_lab.config import resolvers, store
from fsar_lab.config.build import plain_hash, to_plain
from fsar_lab.config.compose import compose

BASELINES = [
    {"codec": "png", "bpd": 5.8, "bytes": 5800, "encode_MBps": 10.0, "decode_MBps": 30.0, "lossless": True},
    {"codec": "jxl_e7", "bpd": 4.0, "bytes": 4000, "encode_MBps": 1.0, "decode_MBps": 9.0, "lossless": True},
]
SPEED = {
    "threads": 1, "batch": 32, "encode_MBps": 3.0, "encode_network_MBps": 4.0, "encode_coder_MBps": 12.0,
    "decode_MBps": 5.0, "decode_network_MBps": 6.0, "decode_coder_MBps": 30.0, "decode_ms": 0.6,
    "decode_network_ms": 0.5, "decode_coder_ms": 0.1,
}  # fmt: skip


class Make(Protocol):
    def __call__(
        self, name: str, seed: int = 0, bpd: float | None = 4.5, /, *overrides: str, **result: Any
    ) -> Path: ...


@pytest.fixture(scope="session")
def plain_config() -> dict[str, Any]:
    store.register()
    resolvers.register()
    return to_plain(compose(["dataset=fake", "trainer.train_images=50_000", "trainer.batch_size=100"]))


@pytest.fixture
def make(tmp_path: Path, plain_config: dict[str, Any]) -> Make:
    """Makes `tmp_path/sweep/<name>-<seed>`; without a bpd the run is still going on."""
    return maker(tmp_path / "sweep", plain_config)


def maker(folder: Path, plain_config: dict[str, Any]) -> Make:
    """Makes run directories in `folder`."""

    def run(name: str, seed: int = 0, bpd: float | None = 4.5, /, *overrides: str, **result: Any) -> Path:
        config = json.loads(json.dumps(plain_config)) | {"name": name, "seed": seed}
        for override in overrides:
            keys, _, value = override.partition("=")
            *parents, last = keys.split(".")
            part = config
            for key in parents:
                part = part[key]
            part[last] = yaml.safe_load(value)
        path = folder / "-".join([name, str(seed), *overrides])
        (path / ".hydra").mkdir(parents=True)
        (path / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump([f"seed={seed}", *overrides]))
        (path / "config.yaml").write_text(yaml.safe_dump(config))
        log = path / "logs" / "version_0"
        log.mkdir(parents=True)
        (log / "metrics.csv").write_text(
            "epoch,step,train/bpd_estimated,val/bpd_estimated,val/perplexity,val/dead_codes\n"
            "0,99,6.5,,,\n0,99,,6.0,90.0,12.0\n0,249,,5.0,120.5,3.0\n0,374,4.9,,,\n"
        )
        (path / "pictures").mkdir()
        Image.new("RGB", (600, 200), (200, 60, 20)).save(path / "pictures" / "step_0000100.png")
        if bpd is not None:
            figures = {
                "status": "ok", "name": name, "config_hash": plain_hash(config), "lossless": True,
                "images": 64, "image_shape": [32, 32, 3], "bytes": 1000, "bpd": bpd, "bpd_latents": 0.5,
                "bpd_pixels": bpd - 0.51, "bpd_overhead": 0.01, "bpd_estimated": bpd - 0.02,
                "bpd_float_estimated": bpd - 0.03, "encode_MBps": 3.0, "decode_MBps": 5.0,
                "codec_bytes": 270_000, "table_bytes": 500_000,
                "train_images": config["trainer"]["train_images"], "train_seconds": 100.0,
                "baselines": BASELINES, "siblings": [], "parameters": {"backbone": 7},
                "git": {"commit": "0123456789", "dirty": False},
                "coding_speed": {"about": "MB are made", "rows": [SPEED]},
            }  # fmt: skip
            (path / "result.json").write_text(json.dumps(figures | result))
        return path

    return run
