"""What single values may be: sizes positive, shares between 0 and 1, names among those that exist."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any

from fsar_lab import baselines
from fsar_lab.config import schema

# A rule returns None if the value is fine, else what it must be.
Rule = Callable[[Any], str | None]

MAX_CODEBOOK_SIZE = 65536  # indices are stored as unsigned 16-bit integers
MAX_STATIC_SIZE = 32768  # the entropy coder's tables of 2^16 counts have one at least for each symbol
MAX_SCALES = 256  # scale indices are stored as bytes


def at_least(low: float) -> Rule:
    """The value must be `low` or more."""
    return lambda value: None if value >= low else f"must be {low} or more"


def between(low: float, high: float) -> Rule:
    """The value must lie in [low, high]."""
    return lambda value: None if low <= value <= high else f"must be between {low} and {high}"


def exactly(only: float) -> Rule:
    """The value must be `only`."""
    return lambda value: None if value == only else f"must be {only}"


def positive(value: Any) -> str | None:
    """The value must be above 0."""
    return None if value > 0 else "must be above 0"


def share(value: Any) -> str | None:
    """The value must lie in (0, 1]."""
    return None if 0 < value <= 1 else "must be above 0 and at most 1"


def below_one(value: Any) -> str | None:
    """The value must lie in [0, 1)."""
    return None if 0 <= value < 1 else "must be 0 or more and below 1"


def inside(value: Any) -> str | None:
    """The value must lie in (0, 1)."""
    return None if 0 < value < 1 else "must be above 0 and below 1"


def optional(rule: Rule) -> Rule:
    """None is fine, anything else must obey `rule`."""
    return lambda value: None if value is None else rule(value)


def each(rule: Rule, count: int | None = None) -> Rule:
    """Every element must obey `rule`; there must be `count` of them if given."""

    def check(values: Any) -> str | None:
        if count is not None and len(values) != count:
            return f"must have {count} elements"
        return next((f"each element {wrong}" for value in values if (wrong := rule(value))), None)

    return check


def between_elements(low: int, high: int) -> Rule:
    """The list must have `low` to `high` elements."""
    return lambda values: None if low <= len(values) <= high else f"must have {low} to {high} elements"


def both(first: Rule, second: Rule) -> Rule:
    """The value must obey two rules; the second is asked only if the first is content."""
    return lambda value: first(value) or second(value)


def one_of(*names: str) -> Rule:
    """The value must be one of `names`."""

    def check(value: Any) -> str | None:
        if value in names:
            return None
        near = get_close_matches(str(value), names, 1)
        return f"must be one of {', '.join(names)}" + (f" -> did you mean {near[0]}?" if near else "")

    return check


def fours_up_to(most: int) -> Rule:
    """A multiple of 4, from 4 to `most`."""
    return lambda value: None if 4 <= value <= most and value % 4 == 0 else f"is not 4, 8, ..., {most}"


def one_of_numbers(*numbers: int) -> Rule:
    """The value must be one of `numbers`."""
    return lambda value: None if value in numbers else f"must be one of {', '.join(map(str, numbers))}"


def odd_up_to(high: int) -> Rule:
    """The value must be odd, 3 or more and at most `high`."""
    return lambda value: (
        None if value % 2 and 3 <= value <= high else f"must be an odd number between 3 and {high}"
    )


def filled(value: Any) -> str | None:
    """The text must not be empty."""
    return None if value.strip() else "must not be empty"


_IMAGES: dict[str, Rule] = {"validation_images": at_least(1), "test_images": optional(at_least(1))}
_WHOLE_IMAGES: dict[str, Rule] = {
    "root": filled,
    "test_images": optional(at_least(1)),
    "test_multiple": at_least(1),
}
_SCALES: dict[str, Rule] = {"num_scales": between(2, MAX_SCALES)}
_QUANTIZER: dict[str, Rule] = {
    "groups": at_least(1),
    "codebook_size": between(2, MAX_CODEBOOK_SIZE),
    "dim": at_least(1),
    "commitment_weight": at_least(0),
}
_FSAR: dict[str, Rule] = {"hidden_expansion": at_least(1), "train_share": share}
_PARTS = each(one_of("backbone", "quantizer", "prior", "coder"))
_ADAM: dict[str, Rule] = {"lr": positive, "betas": each(below_one, 2), "weight_decay": at_least(0)}

# Dataclass -> field -> rule. Fields of other types than numbers, and free texts, have none.
RULES: dict[type, dict[str, Rule]] = {
    schema.TrainConfig: {"name": filled, "seed": between(0, 2**32 - 1)},
    schema.ShallowConfig: {
        "width": at_least(1),
        "downsamples": between(0, 6),
        "residual_blocks": at_least(0),
    },
    schema.RestartConfig: {"until": between(0, 1), "every_steps": at_least(1), "min_share": below_one},
    schema.STHQConfig: {
        **_QUANTIZER,
        "selection": one_of("straight_through", "soft", "hard"),
        "gumbel_temperature": positive,
        "variance": positive,
        "rate": one_of("sample", "posterior"),
        "entropy_weight": at_least(0),
        "gap_start": between(0, 1),
        "init_range": optional(positive),
    },
    schema.VQVAEConfig: {**_QUANTIZER, "codebook_weight": at_least(0)},
    schema.FSARConfig: _FSAR,
    schema.CatReduceConfig: {
        **_FSAR,
        "alpha_mode": one_of("fixed", "annealed", "trained"),
        "alpha_min": between(1.05, 2),  # alpha = 1 would be softmax, which drops nothing
        "alpha_max": between(1.05, 2),
        "half_life": positive,
    },
    schema.VQVAEEMAConfig: {**_QUANTIZER, "decay": inside, "epsilon": positive},
    schema.EntropyBottleneckConfig: {**_QUANTIZER, "dim": exactly(1), "components": at_least(1)},
    schema.GaussianLatentsConfig: {
        "channels": at_least(1),
        "limit": positive,
        "num_scales": between(2, MAX_SCALES),
    },
    schema.McQuicConfig: {
        "groups": at_least(1),
        "dim": at_least(1),
        "codebook_sizes": both(between_elements(1, 4), each(between(2, MAX_STATIC_SIZE))),
    },
    schema.AnnealConfig: {
        "shape": one_of("constant", "exponential", "linear", "step"),
        "half_life": positive,
        "floor": share,
    },
    schema.GaussianConfig: _SCALES,
    schema.GaussianLinearARConfig: {**_SCALES, "fit_images": at_least(0)},
    schema.GaussianMeanOffsetConfig: _SCALES,
    schema.BitsBackConfig: _SCALES,
    schema.LogisticConfig: _SCALES,
    schema.LogisticLinearARConfig: {**_SCALES, "fit_images": at_least(0)},
    schema.LogisticMixtureConfig: {**_SCALES, "weight_range": between(0.1, 16)},
    schema.ContextConfig: {"states": between(2, 64), "fit_images": at_least(1)},
    schema.CausalNetConfig: {
        "radius": between(1, 7),
        "width": fours_up_to(256),
        "blocks": between(0, 8),
        "inner": fours_up_to(256),
        "hidden": fours_up_to(64),
        "mixtures": between(1, 6),
        "conditions": fours_up_to(64),
        "round_from": between(0, 1),
        "lr_share": positive,
        "weights": optional(filled),
    },
    schema.FSARPixelsConfig: {**_FSAR, "dim": at_least(1)},
    schema.ConvolutionPixelsConfig: {
        "mask": one_of("raster", "checkerboard", "raster3d"),
        "kernel": odd_up_to(15),
        "dim": between(1, 256),
    },
    schema.ConvolutionConfig: {"mask": one_of("raster", "checkerboard"), "kernel": odd_up_to(15)},
    schema.PhotosConfig: {**_IMAGES, "root": optional(filled), "tile": at_least(1), "test_fraction": inside},
    schema.CIFAR10Config: {**_IMAGES, "root": filled},
    schema.NPZConfig: {**_IMAGES, "root": filled, "side": at_least(1)},
    schema.ImageNetConfig: {
        **_IMAGES,
        "root": filled,
        "side": one_of_numbers(8, 16, 32, 64),
        "counts": optional(each(at_least(1), 2)),
        "cache": optional(filled),
    },
    schema.AugmentConfig: {"gamma": between(1, 4)},
    schema.FolderConfig: {
        **_IMAGES,
        "root": optional(filled),
        "tile": at_least(1),
        "validation_fraction": inside,
        "test_fraction": inside,
        "memory_gb": at_least(0),
    },
    schema.OpenImagesConfig: {
        **_IMAGES,
        "root": filled,
        "tile": at_least(1),
        "test_roots": between_elements(1, 16),
        "test_multiple": at_least(1),
    },
    schema.KodakConfig: _WHOLE_IMAGES,
    schema.CLIC2020Config: _WHOLE_IMAGES,
    schema.FakeConfig: {**_IMAGES, "side": at_least(2), "train_images": at_least(1)},
    schema.AdamConfig: _ADAM,
    schema.AdamWConfig: _ADAM,
    schema.WarmupCosineConfig: {"warmup": below_one, "final": between(0, 1)},
    schema.TrainerConfig: {
        "accelerator": one_of("cpu", "gpu"),
        "devices": at_least(1),
        "train_images": at_least(1),
        "batch_size": at_least(1),
        "validate_every": share,
        "checkpoint_minutes": at_least(0),
        "gradient_clip": at_least(0),
        "ema_decay": below_one,
        "threads": optional(at_least(1)),
        "overfit_batches": at_least(0),
    },
    schema.StartConfig: {"run": optional(filled), "load": _PARTS, "freeze": _PARTS},
    schema.LoggerConfig: {"mode": one_of("offline", "online", "none")},
    schema.CodingConfig: {
        "calibration_images": at_least(1),
        "baselines": each(one_of(*baselines.names())),
    },
    schema.CodingSpeedConfig: {
        "batch_sizes": each(at_least(0)),
        "max_images": at_least(1),
        "repeats": at_least(1),
        "max_seconds": positive,
    },
    schema.PicturesConfig: {"images": at_least(1)},
}


def check_values(config: Any, key: str = "") -> Iterator[str]:
    """Every value below a configuration dataclass that cannot be, as "key: problem"."""
    rules = RULES.get(type(config), {})
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        place = f"{key}.{field.name}" if key else field.name
        if dataclasses.is_dataclass(value):
            yield from check_values(value, place)
        elif isinstance(value, float) and not math.isfinite(value):
            yield f"{place}: {value} is not a finite number"
        elif (rule := rules.get(field.name)) and (wrong := rule(value)):
            yield f"{place}: {value} {wrong}"
