"""Every YAML file under conf/ is found, composed and validated, and says what it is."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from omegaconf import OmegaConf

from fsar_lab.config import options
from fsar_lab.config.compose import compose
from fsar_lab.config.options import CONFIG_DIR
from fsar_lab.config.schema import (
    CausalNetConfig,
    ConstantConfig,
    FSARConfig,
    PhotosConfig,
    ShallowConfig,
    STHQConfig,
    TrainConfig,
    WarmupCosineConfig,
)
from fsar_lab.config.store import SCHEMAS

OPTIONS = [(group, name) for group, names in options.groups().items() if group != "local" for name in names]
BUDGETS = {"smoke": 2_000, "small": 50_000, "medium": 500_000}
# METHOD 7: learning rate, batch, images (epochs times images), and the share of the training in which an
# annealed value halves (exp200 of 1,000 epochs, exp10 of 100 and of 250).
CIFAR10_RECIPE = (1e-3, 1000, 1000 * 50_000, 200 / 1000)
RECIPES = {
    "imagenet32": (1e-4, 1024, 100 * 1_281_167, 10 / 100),
    "imagenet64": (1e-4, 256, 100 * 1_281_167, 10 / 100),
    "openimages": (1e-4, 64, 250 * 213_000, 10 / 250),
}


# The parts of a model are composed one by one, with what each needs beside the defaults.
MODEL = ("backbone", "quantizer", "prior", "coder")
WIDE = ["quantizer.groups=2"]
FOUR = ["backbone=shallow", "quantizer.groups=4", "quantizer.dim=16"]
NO_NETWORKS = ["backbone=none", "quantizer=none", "prior=none"]
NOTHING = [*NO_NETWORKS, "coder=context"]
PIXELS_ALONE = [name for name in options.groups()["coder"] if name == "context" or "fsar_pixels" in name]
NEEDS = {
    "backbone=none": NOTHING,
    "backbone=nods": WIDE,
    "backbone=shallow": WIDE,
    "backbone=shallow_ps": WIDE,
    "backbone=shallow_r4": WIDE,
    "backbone=shallow_r8": WIDE,
    "backbone=shallow_skip": WIDE,
    "backbone=standard": ["quantizer.groups=8", "prior=fsar_o1s"],
    "quantizer=none": NOTHING,
    "quantizer=entropy_bottleneck": ["prior=none"],
    "quantizer=mcquic": ["prior=none", "backbone=shallow"],
    "quantizer=gaussian": ["prior=none", "backbone=shallow", "coder=bits_back"],
    "coder=bits_back": ["prior=none", "backbone=shallow", "quantizer=gaussian"],
    "prior=none": NOTHING,
    "prior=fsar_c": FOUR,
    "prior=fsar_c2": FOUR,
    "prior=fsar_c2lt": FOUR,
    "prior=fsar_cl": FOUR,
    "prior=fsar_clt": FOUR,
    **{f"coder={name}": NO_NETWORKS for name in PIXELS_ALONE},
}

# Each round composes one option of every other group at once, until every option had its turn.
GROUPS = {
    group: names
    for group, names in options.groups().items()
    if group not in ("local", "experiment", "sweep", *MODEL)
}
ROUNDS = [
    {group: names[turn % len(names)] for group, names in GROUPS.items()}
    for turn in range(max(map(len, GROUPS.values())))
]


def base(group: str, option: str) -> type:
    """The dataclass that an option's YAML file builds upon."""
    name = (CONFIG_DIR / group / f"{option}.yaml").read_text().split("[base_")[1].split(",")[0]
    return SCHEMAS[group][name]


@pytest.mark.parametrize("chosen", ROUNDS, ids=lambda chosen: "-".join(chosen.values()))
def test_every_option_composes(chosen: dict[str, str]) -> None:
    config = compose([f"{group}={option}" for group, option in chosen.items()])
    paper = RECIPES.get(chosen["dataset"], CIFAR10_RECIPE)[2]
    assert config.trainer.train_images == BUDGETS.get(chosen["budget"], paper)
    assert config.trainer.accelerator == chosen["trainer"]
    for group in ("dataset", "optimizer", "schedule"):
        assert type(getattr(config, group)) is base(group, chosen[group])


@pytest.mark.parametrize(("group", "option"), [pair for pair in OPTIONS if pair[0] in MODEL])
def test_every_part_of_a_model_composes(group: str, option: str) -> None:
    chosen = f"{group}={option}"
    config = compose([o for o in NEEDS.get(chosen, []) if not o.startswith(f"{group}=")] + [chosen])
    assert type(getattr(config, group)) is base(group, option)


def test_every_option_has_its_turn() -> None:
    turns = {pair for chosen in ROUNDS for pair in chosen.items()}
    assert turns == {pair for pair in OPTIONS if pair[0] not in ("experiment", "sweep", *MODEL)}
    files = {(file.parent.name, file.stem) for file in CONFIG_DIR.glob("*/[!_]*.yaml")}
    assert files - {("local", "default")} == set(OPTIONS)


@pytest.fixture(scope="module")
def experiments() -> dict[str, TrainConfig]:
    return {name: compose([f"experiment={name}"]) for name in options.groups()["experiment"]}


def test_every_experiment_composes(experiments: dict[str, TrainConfig]) -> None:
    assert all(config.name == name for name, config in experiments.items())
    assert experiments["demo"].callbacks.coding.baselines == ["png", "webp", "jxl_e3", "jxl_e7", "context"]


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_says_what_it_is(group: str, option: str) -> None:
    lines = (CONFIG_DIR / group / f"{option}.yaml").read_text().splitlines()
    if lines[0].startswith("# @package"):
        lines = lines[1:]
    assert lines[0].startswith("# ")
    assert len(options.about(group, option)) > 10


@pytest.mark.parametrize(("group", "option"), [pair for pair in OPTIONS if pair[0] in SCHEMAS])
def test_holds_only_what_differs(group: str, option: str) -> None:
    content: Any = OmegaConf.to_container(OmegaConf.load(CONFIG_DIR / group / f"{option}.yaml"))
    base, own = content.pop("defaults")
    assert own == "_self_"
    defaults = SCHEMAS[group][base.removeprefix("base_")]()
    assert [key for key, value in _flat(content) if _get(defaults, key) == value] == []


def test_defaults() -> None:
    config = compose()
    assert config.backbone == ShallowConfig(width=32, downsamples=3)
    assert config.quantizer == STHQConfig(groups=1, dim=32, codebook_size=256)
    assert config.prior == FSARConfig(offsets=[[0, -1, 0], [0, 0, -1]], train_share=0.25)
    learned = {"round_from": 0.0, "weights": "photos_58k", "lr_share": 0.1}
    assert config.coder == CausalNetConfig(width=64, blocks=4, **learned)
    assert config.dataset == PhotosConfig()
    assert config.schedule == WarmupCosineConfig()
    assert config.trainer.accelerator == "cpu"
    assert config.logger.mode == "offline"


def test_the_coding_runs_differ_only_in_their_parts(experiments: dict[str, TrainConfig]) -> None:
    runs = [experiments[f"coder_ar_c32_{name}"] for name in ("sthq_fsar_o2s_arid", "sthq", "vq")]
    assert {run.trainer.train_images for run in runs} == {300_000}
    assert {run.dataset.root for run in runs} == {runs[0].paths.data + "/cifar10"}
    same = ("backbone", "coder", "dataset", "optimizer", "schedule", "trainer", "callbacks")
    assert all(getattr(run, part) == getattr(runs[0], part) for run in runs for part in same)
    assert runs[0].quantizer == runs[1].quantizer != runs[2].quantizer
    assert runs[0].prior != runs[1].prior == runs[2].prior


def test_overlays_apply_in_order_and_the_command_line_wins() -> None:
    config = compose(["experiment=coder_ar_c32_sthq_fsar_o2s_arid", "debug=one_batch", "budget=small"])
    assert (config.trainer.train_images, config.trainer.validate_every) == (50_000, 1.0)
    config = compose(["trainer.train_images=999", "trainer.batch_size=32", "budget=small"])
    assert config.trainer.train_images == 999


def recipe(config: TrainConfig) -> tuple[float, int, int, float]:
    trainer = config.trainer
    return config.optimizer.lr, trainer.batch_size, trainer.train_images, config.anneal.half_life


@pytest.mark.parametrize("dataset", options.groups()["dataset"])
def test_every_budget_of_every_data_set(dataset: str) -> None:
    for budget, images in BUDGETS.items():
        assert recipe(compose([f"dataset={dataset}", f"budget={budget}"])) == (4e-3, 16, images, 0.2)
    config = compose(["experiment=coder_ar_c32_sthq", f"dataset={dataset}", "budget=paper"])
    assert recipe(config) == RECIPES.get(dataset, CIFAR10_RECIPE)
    assert isinstance(config.schedule, ConstantConfig)
    own = ["anneal=exp50", "optimizer.lr=0.01", "trainer.batch_size=500", "trainer.train_images=5000"]
    assert recipe(compose([f"dataset={dataset}", *own, "budget=paper"])) == (0.01, 500, 5000, 0.05)


def test_recipes_are_of_options_that_exist() -> None:
    files = {file.relative_to(CONFIG_DIR / "recipe").as_posix() for file in CONFIG_DIR.glob("recipe/*/*")}
    assert files == {f"{group}/_paper_{name}.yaml" for group in ("anneal", "budget") for name in RECIPES}
    assert set(RECIPES) <= set(options.groups()["dataset"])


def test_the_budget_of_the_paper_brings_its_recipe() -> None:
    """METHOD 7: batch, learning rate and schedule; each can still be set."""
    config = compose(["experiment=coder_ar_c32_sthq", "trainer=gpu", "budget=paper"])
    assert (config.trainer.batch_size, config.optimizer.lr) == (1000, 1e-3)
    assert isinstance(config.schedule, ConstantConfig)
    config = compose(
        ["budget=paper", "schedule=warmup_cosine", "optimizer.lr=0.01", "trainer.batch_size=500"]
    )
    assert (config.trainer.batch_size, config.optimizer.lr) == (500, 0.01)
    assert isinstance(config.schedule, WarmupCosineConfig)


@pytest.mark.parametrize("debug", options.groups()["debug"])
def test_debug_changes_neither_data_nor_model(debug: str) -> None:
    plain, debugged = compose(), compose([f"debug={debug}"])
    for part in ("backbone", "quantizer", "prior", "coder", "dataset", "optimizer", "schedule", "callbacks"):
        assert getattr(plain, part) == getattr(debugged, part)
    assert plain.trainer != debugged.trainer


def test_paths_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSAR_DATA", "/d")
    monkeypatch.setenv("FSAR_OUTPUT", "/o")
    config = compose(["dataset=cifar10"])
    assert (config.dataset.root, config.paths.output) == ("/d/cifar10", "/o")


def test_every_schema_is_used() -> None:
    text = "".join(file.read_text() for file in CONFIG_DIR.glob("*/*.yaml"))
    assert [n for names in SCHEMAS.values() for n in names if f"[base_{n}, " not in text] == []


def _flat(content: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found = []
    for key, value in content.items():
        nested = isinstance(value, dict)
        found += _flat(value, f"{prefix}{key}.") if nested else [(f"{prefix}{key}", value)]
    return found


def _get(config: Any, key: str) -> Any:
    for part in key.split("."):
        assert part in {field.name for field in dataclasses.fields(config)}
        config = getattr(config, part)
    return config
