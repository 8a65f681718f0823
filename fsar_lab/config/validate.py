"""Whether the parts of a configuration fit together, and whether this machine has what it asks for."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator

from fsar_lab import baselines, wandb_run
from fsar_lab.codec.convolution_prior import fits
from fsar_lab.config import schema
from fsar_lab.config.build import check_target
from fsar_lab.config.schema import TrainConfig
from fsar_lab.config.values import check_values
from fsar_lab.data import places
from fsar_lab.errors import ConfigError, DataError
from fsar_lab.tables.masks import RASTER_3D, mask_taps

# Coders that need no networks and take none.
PIXELS_ALONE = (
    schema.ContextConfig,
    schema.FSARPixelsConfig,
    schema.ConvolutionPixelsConfig,
)
# Quantizers that know what their symbols cost.
OWN_DENSITY = schema.EntropyBottleneckConfig | schema.GaussianLatentsConfig | schema.McQuicConfig
MAX_LEVEL_CODES = 256  # of the finest level at a position of the coarsest: groups of the entropy coder
MAX_ORDER = 4  # neighbours of the finite-state prior, which the entropy coder takes


def validate(
    config: TrainConfig, resources: bool = True, training: bool = True, devices: bool = True
) -> None:
    """Report everything that is wrong with a configuration in one error, before anything is built.

    Args:
        config: What `compose` made.
        resources: Also look whether the data, the devices and the classical codecs are there.
        training: The data are to be trained on, not only coded.
        devices: The devices are among the resources; not so where another machine will train.

    Raises:
        ConfigError: One line for each problem: "key: problem -> remedy".
    """
    problems = list(check_values(config))
    if not problems:  # the checks below divide by these values
        problems = [
            *_targets(config),
            *_parts(config),
            *_backbone(config),
            *_width(config),
            *_levels(config),
            *_side(config),
            *_prior(config),
            *_coder(config),
            *_without_networks(config),
        ]
        problems += [*_trainer(config), *_start(config)]
    if resources:
        problems += [*_data(config, training), *_baselines(config)]
        problems += _loggers(config) if training else []
        problems += _devices(config) if devices else []
    if problems:
        raise ConfigError("\n".join(problems))


def image_side(dataset: object) -> tuple[str, int]:
    """The key for, and the side of a data set's square images in pixels; 0 if they are of any size."""
    if isinstance(dataset, schema.WholeImagesConfig):
        return "", 0
    key = "tile" if hasattr(dataset, "tile") else "side"
    return f"dataset.{key}", int(getattr(dataset, key, 32))


def _targets(config: TrainConfig) -> Iterator[str]:
    for group in ("backbone", "quantizer", "prior", "coder", "dataset", "optimizer", "schedule"):
        try:
            check_target(str(getattr(config, group)._target_))
        except ConfigError as error:
            yield f"{group}.{error}"


def _parts(config: TrainConfig) -> Iterator[str]:
    """Which options of backbone, quantizer, prior and coder go together."""
    if isinstance(config.coder, PIXELS_ALONE):
        parts = [part for part in ("backbone", "quantizer", "prior") if not _absent(getattr(config, part))]
        if parts:
            missing = " ".join(f"{part}=none" for part in parts)
            yield f"coder: it codes pixels from pixels alone, without {', '.join(parts)} -> {missing}"
        return
    if _absent(config.backbone) != _absent(config.quantizer):
        missing = "quantizer=none" if _absent(config.backbone) else "backbone=none"
        yield f"backbone, quantizer: one is none, the other is not -> {missing}, or an option for both"
    elif isinstance(config.quantizer, schema.GaussianLatentsConfig) or isinstance(
        config.coder, schema.BitsBackConfig
    ):
        yield from _bits_back(config)
    elif isinstance(config.quantizer, OWN_DENSITY):
        if not _absent(config.prior):
            yield "prior: the quantizer has a density of its own -> prior=none"
    elif not _absent(config.quantizer) and _absent(config.prior):
        yield "prior: there are latents to code, and the quantizer has no density of its own -> prior=uniform"


def _bits_back(config: TrainConfig) -> Iterator[str]:
    """Sampled latents need the coder that gets their bits back, and the other way round."""
    fitting = {
        "quantizer=gaussian": isinstance(config.quantizer, schema.GaussianLatentsConfig),
        "prior=none": _absent(config.prior),
        "coder=bits_back": isinstance(config.coder, schema.BitsBackConfig),
    }
    if missing := [option for option, fits in fitting.items() if not fits]:
        own = "quantizer: gaussian" if fitting["quantizer=gaussian"] else "coder: bits_back"
        yield f"{own} needs the other parts of bits-back coding -> {' '.join(missing)}"


def _backbone(config: TrainConfig) -> Iterator[str]:
    backbone = config.backbone
    if not isinstance(backbone, schema.ShallowConfig):
        return
    if backbone.long_skip and backbone.residual_blocks == 0:
        yield "backbone.long_skip: there are no blocks to go around -> backbone.residual_blocks=1 or more"
    if backbone.pixel_shuffle and backbone.downsamples == 0:
        yield (
            "backbone.pixel_shuffle: nothing is enlarged without down-sampling -> backbone.downsamples=1, "
            "or backbone.pixel_shuffle=false"
        )


def _absent(part: object) -> bool:
    return isinstance(part, schema.NoneConfig)


def _width(config: TrainConfig) -> Iterator[str]:
    if isinstance(config.quantizer, schema.GaussianLatentsConfig) and not _absent(config.backbone):
        yield from _means_and_variances(config.backbone.width, config.quantizer.channels)
    if _absent(config.backbone) or not isinstance(
        config.quantizer, schema.VectorQuantizerConfig | schema.McQuicConfig
    ):
        return
    width, groups, dim = config.backbone.width, config.quantizer.groups, config.quantizer.dim
    if groups * dim == width:
        return
    if width % dim == 0:
        remedy = f"quantizer.groups={width // dim}"
    elif width % groups == 0:
        remedy = f"quantizer.dim={width // groups}"
    else:
        remedy = f"backbone.width={groups * dim}"
    yield (
        f"quantizer.groups: {groups} codebooks of {dim}-dimensional vectors need a backbone of width "
        f"{groups * dim}, but backbone.width is {width} -> {remedy}"
    )


def _levels(config: TrainConfig) -> Iterator[str]:
    quantizer = config.quantizer
    if not isinstance(quantizer, schema.McQuicConfig):
        return
    levels = len(quantizer.codebook_sizes)
    most = MAX_LEVEL_CODES >> 2 * (levels - 1)
    if quantizer.groups > most:
        yield (
            f"quantizer.groups: {quantizer.groups} codes at each position of {levels} levels, at most {most} "
            f"can be -> quantizer.groups={most}, or fewer quantizer.codebook_sizes"
        )


def _means_and_variances(width: int, channels: int) -> Iterator[str]:
    if width == 2 * channels:
        return
    remedy = f"backbone.width={2 * channels}" if width % 2 else f"quantizer.channels={width // 2}"
    yield (
        f"quantizer.channels: {channels} means and {channels} log variances need a backbone of width "
        f"{2 * channels}, but backbone.width is {width} -> {remedy}"
    )


def _side(config: TrainConfig) -> Iterator[str]:
    if _absent(config.backbone):
        return
    (key, side), halvings = image_side(config.dataset), config.backbone.downsamples
    levels = len(config.quantizer.codebook_sizes) if isinstance(config.quantizer, schema.McQuicConfig) else 0
    factor = 2 ** (halvings + levels)
    if side % factor:
        fitting = max(factor, side - side % factor)
        halved, fewer = f"backbone.downsamples={halvings} times", "downsamples"
        if levels:
            halved = (
                f"{halvings + levels} times (backbone.downsamples={halvings}, {levels} levels of codebooks)"
            )
            fewer = "quantizer.codebook_sizes"
        yield (
            f"{key}: images of {side}x{side} cannot be halved {halved} -> {key}={fitting}, or fewer {fewer}"
        )


def _prior(config: TrainConfig) -> Iterator[str]:
    prior = config.prior
    if _absent(config.quantizer) and not _absent(prior):
        yield "prior: there are no latents to code (quantizer=none) -> prior=none"
        return
    if isinstance(prior, schema.ConvolutionConfig) and isinstance(
        quantizer := config.quantizer, schema.VectorQuantizerConfig
    ):
        sizes = quantizer.groups, quantizer.codebook_size, quantizer.dim
        yield from _convolution("prior", prior.mask, prior.kernel, *sizes)
    if not isinstance(prior, schema.FSARConfig):
        return
    key, offsets = "prior.offsets", prior.offsets
    if isinstance(config.quantizer, schema.GaussianLatentsConfig | schema.McQuicConfig):
        return  # said above
    yield from _offsets(key, offsets, config.quantizer.groups, "quantizer.groups")
    order = len(offsets)
    if order < 1:
        yield f"{key}: no neighbours -> prior=uniform"
    elif order > MAX_ORDER:
        yield f"{key}: {order} neighbours, tables exist up to order {MAX_ORDER} -> prior=fsar_o2s"
    if isinstance(prior, schema.CatReduceConfig) and prior.alpha_min > prior.alpha_max:
        low, high = prior.alpha_min, prior.alpha_max
        yield f"prior.alpha_min: {low} is above prior.alpha_max={high} -> exchange them"


def _convolution(part: str, mask: str, kernel: int, groups: int, size: int, dim: int) -> Iterator[str]:
    """Whether the codec can hold a convolution over `groups` of `size` vectors of `dim` numbers."""
    fitting = [
        side for side in range(3, kernel + 1, 2) if fits(len(mask_taps(mask, side)), groups, size, dim)
    ]
    if kernel in fitting:
        return
    remedy = f"{part}.kernel={fitting[-1]}" if fitting else "fewer or smaller codebooks"
    yield (
        f"{part}.kernel: {kernel} with {part}.mask={mask} makes a table too large for a codec "
        f"({groups * size} symbols with vectors of {dim}) -> {remedy}"
    )


def _offsets(key: str, offsets: list[list[int]], groups: int, groups_key: str) -> Iterator[str]:
    """Neighbours of a finite-state prior."""
    for offset in offsets:
        if len(offset) != 3:
            yield f"{key}: {offset} is not [group, row, column] -> e.g. [0,-1,0] for the latent above"
        elif offset >= [0, 0, 0]:
            yield (
                f"{key}: {offset} is not decoded yet when it is needed (order: group, row, column) -> "
                "e.g. [0,-1,0] above, [0,0,-1] left"
            )
        elif -offset[0] >= groups:
            yield (
                f"{key}: {offset} points {-offset[0]} groups back, but {groups_key} is {groups} -> "
                f"[0,{offset[1]},{offset[2]}] or more groups"
            )
    if len({tuple(offset) for offset in offsets}) < len(offsets):
        yield f"{key}: {offsets} names a neighbour twice -> name it once"


def _start(config: TrainConfig) -> Iterator[str]:
    """What is taken from a finished run."""
    start, parts = config.start, ("backbone", "quantizer", "prior", "coder")
    if start.run is None:
        return
    if not os.path.isfile(os.path.join(start.run, "config.yaml")):
        yield f"start.run: {start.run} has no config.yaml -> give the directory that a training printed"
    there = {part for part in parts if not _absent(getattr(config, part))}
    if lost := [part for part in start.load if part not in there]:
        yield f"start.load: the model has no {', '.join(lost)} -> leave it out"
    if unknown := [part for part in start.freeze if part not in start.load]:
        yield f"start.freeze: {', '.join(unknown)} not in start.load: it would stay untrained -> load it, too"
    if there <= set(start.freeze):
        yield "start.freeze: nothing is left to train -> leave a part out"


def _coder(config: TrainConfig) -> Iterator[str]:
    coder = config.coder
    if isinstance(coder, schema.FSARPixelsConfig):
        yield from _offsets("coder.offsets", coder.offsets, 3, "the number of colours")
        if not 1 <= len(coder.offsets) <= MAX_ORDER:
            yield (
                f"coder.offsets: {len(coder.offsets)} neighbours, there can be 1 to {MAX_ORDER} -> "
                "e.g. coder=fsar_pixels_o2s"
            )
    if isinstance(coder, schema.ConvolutionPixelsConfig):
        colours = 1 if coder.mask == RASTER_3D else 3  # in three dimensions they share the weights
        yield from _convolution("coder", coder.mask, coder.kernel, colours, 256, coder.dim)
    if isinstance(coder, schema.CausalNetConfig) and coder.pair and not _absent(config.backbone):
        yield (
            "coder.pair: a network for two pixels at a time has no conditions -> "
            "backbone=none quantizer=none prior=none, or coder.pair=false"
        )
    if isinstance(coder, (*PIXELS_ALONE, schema.CausalNetConfig)):
        return
    low, high = config.coder.log_scale_min, config.coder.log_scale_max
    if low >= high:
        yield f"coder.log_scale_min: {low} is not below coder.log_scale_max={high} -> -7.0 and 0.0 are usual"
    if isinstance(config.quantizer, schema.GaussianLatentsConfig):
        low, high = config.quantizer.log_scale_min, config.quantizer.log_scale_max
        if low >= high:
            yield (
                f"quantizer.log_scale_min: {low} is not below quantizer.log_scale_max={high} -> "
                "-3.5 and 1.0 are usual"
            )


def _without_networks(config: TrainConfig) -> Iterator[str]:
    """Whether the coder can do without a synthesis network, if there is none."""
    if not _absent(config.backbone) or not _absent(config.quantizer):
        return
    if not isinstance(config.coder, (*PIXELS_ALONE, schema.CausalNetConfig)):
        yield (
            "coder: it needs a synthesis network -> backbone=shallow_c32 quantizer=v2dvq prior=fsar_o2s, "
            "or coder=context"
        )


def _trainer(config: TrainConfig) -> Iterator[str]:
    trainer = config.trainer
    if trainer.batch_size % trainer.devices:
        fitting = max(1, trainer.batch_size // trainer.devices) * trainer.devices
        yield (
            f"trainer.batch_size: {trainer.batch_size} does not divide over "
            f"trainer.devices={trainer.devices} -> trainer.batch_size={fitting}"
        )
    if trainer.train_images < trainer.batch_size:
        yield (
            f"trainer.train_images: {trainer.train_images} is less than one batch of "
            f"{trainer.batch_size} -> trainer.train_images={trainer.batch_size} or more"
        )


def _data(config: TrainConfig, training: bool) -> Iterator[str]:
    if training and isinstance(config.dataset, schema.WholeImagesConfig):
        option = type(config.dataset).__name__.removesuffix("Config").lower()
        yield (
            f"dataset: {option} is a test set, there is nothing to train on -> train with another one, then "
            f"python -m fsar_lab.evaluate run=DIRECTORY dataset={option}"
        )
        return
    try:
        places.check(config.dataset)
    except DataError as error:
        yield f"dataset.root: {error}"


def _devices(config: TrainConfig) -> Iterator[str]:
    wanted = config.trainer.devices
    if config.trainer.accelerator == "gpu":
        import torch  # here, so that everything else is checked without waiting for it

        there = torch.cuda.device_count()
        if there == 0:
            yield "trainer.accelerator: torch sees no GPU on this machine -> trainer=cpu"
        elif wanted > there:
            yield f"trainer.devices: {wanted} GPUs asked for, there are {there} -> trainer.devices={there}"
    elif config.trainer.accelerator == "cpu":
        cores = os.cpu_count() or 1
        if wanted > cores:
            yield (
                f"trainer.devices: {wanted} processes asked for, this machine has {cores} cores -> "
                "trainer.devices=1 (one process uses all cores)"
            )


def _baselines(config: TrainConfig) -> Iterator[str]:
    wanted = [name for name in config.callbacks.coding.baselines if name in baselines.names()]
    there = {codec.name for codec in baselines.available(wanted)}
    if missing := [name for name in wanted if name not in there]:
        yield (
            f"callbacks.coding.baselines: {', '.join(missing)} need imagecodecs, which is not installed -> "
            "pip install 'fsar_lab[bench]', or leave them out"
        )


def _loggers(config: TrainConfig) -> Iterator[str]:
    if config.logger.mode == "online" and not wandb_run.has_key():
        yield (
            "logger.mode: online, but W&B has no key here, or WANDB_MODE=offline forbids it -> "
            "`wandb login`, or logger=wandb_offline"
        )
    packages = ("tensorboardX", "tensorboard")  # Lightning's logger writes with either
    if config.logger.tensorboard and not any(importlib.util.find_spec(name) for name in packages):
        yield (
            "logger.tensorboard: neither tensorboardX nor tensorboard is installed -> "
            "pip install 'fsar_lab[tensorboard]', or logger=wandb_offline"
        )
