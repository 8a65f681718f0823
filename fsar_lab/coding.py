"""Coding a set of images for real: bytes, a second process that decodes them, every pixel compared."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fsar_lab.callbacks.coding_speed import equal_images, load_images, measure_in_new_process
from fsar_lab.codec import tiling
from fsar_lab.codec.arguments import Images
from fsar_lab.codec.codec import Codec, Encoded
from fsar_lab.config.schema import CallbacksConfig
from fsar_lab.data.source import ImageSource, Photographs
from fsar_lab.data.stream import batches
from fsar_lab.errors import CodingError, LosslessError
from fsar_lab.exporting.estimates import estimated_bits, float_bits
from fsar_lab.models.compressor import Compressor

Say = Callable[[str], None]
SINGLE_IMAGES = 32  # that are coded by themselves where that costs more
ESTIMATED_TILES = 1024  # of photographs, at a time: bounds the memory


def to_images(source: ImageSource | Photographs) -> Images:
    """All images of a source: uint8 [N, H, W, 3], or a list of uint8 [H, W, 3] if they are of any sizes."""
    if isinstance(source, Photographs):
        return [np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in source.images]
    images, done = np.empty((0, 0, 0, 3), np.uint8), 0
    for batch in batches(source, 1024):
        if not done:
            images = np.empty((len(source), *batch.shape[2:], 3), np.uint8)
        images[done : done + len(batch)] = batch.permute(0, 2, 3, 1).numpy()
        done += len(batch)
    return images


def code(
    compressor: Compressor, codec_path: Path, images: Images, config: CallbacksConfig, say: Say
) -> dict[str, Any]:
    """Encode images, decode them in a separate process, compare, and measure.

    Args:
        compressor: the float model that the codec was exported from, for the labelled estimates.
        codec_path: the exported model; the decoding process gets it and the bytes, nothing else.
        images: uint8 [N, H, W, 3], or a list of uint8 [H, W, 3].
        config: siblings, baselines and speed measurement.
        say: told what is going on.

    Returns:
        The figures of result.json that come from coding.

    Raises:
        LosslessError: a decoded pixel differs.
    """
    codec = Codec.load(codec_path)
    say(f"encoding {len(images):,} images")
    encoded = codec.encode_parts(images)
    say("decoding them in a separate process")
    decode_elsewhere(codec_path, encoded.data, images)
    figures = _parts(encoded)
    if codec.model.chained:
        figures |= _chain(codec, encoded, images)
    say("estimates")
    figures |= _estimates(compressor, codec, images, encoded.samples)
    if config.coding_speed.enabled:
        say("coding speed")
        figures |= measure_in_new_process(codec_path, images, config.coding_speed)
    figures["siblings"] = [] if config.coding.siblings else None  # None: nobody asked
    prior = codec.model.prior
    if config.coding.siblings and prior and not prior.uniform and not codec.model.chained:
        say("the same latents with the uniform prior")
        figures["siblings"].append(_uniform_sibling(codec, images))
    figures["baselines"] = []
    if config.coding.baselines:
        from fsar_lab.baselines import measure

        say("classical codecs")
        figures["baselines"] = measure(config.coding.baselines, images)
    return {
        "lossless": True,
        "engine": codec.engine,
        "images": len(images),
        "image_shape": list(images[0].shape) if len(tiling.size_runs(images)) == 1 else None,
        "images_hash": images_hash(images),
        "samples": encoded.samples,
        "table_bytes": codec.table_bytes,
        "codec_bytes": codec_path.stat().st_size,
        **figures,
    }


def images_hash(images: Images) -> str:
    """What tells these images from others, wherever they lie: 16 hexadecimal digits of shapes and pixels."""
    digest = hashlib.sha256()
    for image in images:
        digest.update(repr(image.shape).encode())
        digest.update(image.tobytes())
    return digest.hexdigest()[:16]


def decode_elsewhere(codec_path: Path, data: bytes, images: Images) -> None:
    """Decode `data` in a new process and compare with `images`.

    Raises:
        CodingError: the process failed. LosslessError: a pixel differs.
    """
    with tempfile.TemporaryDirectory() as folder:
        blob, out = Path(folder) / "images.blob", Path(folder) / "images.npy"
        blob.write_bytes(data)
        command = [sys.executable, "-m", "fsar_lab.codec.decode_blob", str(codec_path), str(blob), str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CodingError(f"the decoding process failed: {done.stderr.strip()[-2000:]}")
        decoded = load_images(out)
    if len(decoded) != len(images):
        raise LosslessError(f"{len(decoded)} images were decoded instead of {len(images)}")
    wrong = [i for i, image in enumerate(images) if not np.array_equal(decoded[i], image)]
    if wrong:
        raise LosslessError(
            f"{len(wrong)} of {len(images)} images differ after decoding, the first is image {wrong[0]}"
        )


def _parts(encoded: Encoded) -> dict[str, Any]:
    return {
        "bytes": len(encoded.data),
        "bpd": encoded.bpd,
        "bpd_latents": encoded.latents / encoded.samples,
        "bpd_pixels": encoded.pixels / encoded.samples,
        "bpd_overhead": encoded.overhead / encoded.samples,
    }


def _chain(codec: Codec, encoded: Encoded, images: Images) -> dict[str, float]:
    """What the first bits of bits-back coding weigh: in this chain, and if every image began a chain."""
    alone = [images[i : i + 1] for i in range(min(SINGLE_IMAGES, len(images)))]
    single = sum(len(codec.encode(image)) for image in alone)
    return {
        "bits_initial": encoded.initial,
        "bpd_initial": encoded.initial / encoded.samples,
        "bpd_single_image": 8 * single / sum(image[0].size for image in alone),
    }


def _estimates(compressor: Compressor, codec: Codec, images: Images, samples: int) -> dict[str, float]:
    estimated, in_floats = np.zeros(2), np.zeros(2)
    for part in _arrays(codec, images):
        estimated += estimated_bits(compressor, codec, part)
        in_floats += float_bits(compressor, part)
    figures = {}
    for label, (latents, pixels) in (("estimated", estimated), ("float_estimated", in_floats)):
        figures[f"bpd_{label}"] = float(latents + pixels) / samples
        figures[f"bpd_latents_{label}"] = float(latents) / samples
        figures[f"bpd_pixels_{label}"] = float(pixels) / samples
    return figures


def _arrays(codec: Codec, images: Images) -> Iterator[NDArray[np.uint8]]:
    """Images of one size as they are; those of any sizes as the padded tiles that are coded."""
    if isinstance(images, np.ndarray):
        yield images
        return
    cut = replace(codec.model.cut, lanes=ESTIMATED_TILES)
    for part in tiling.in_groups(tiling.size_runs(images), cut):
        yield part.cut(images)


def _uniform_sibling(codec: Codec, images: Images) -> dict[str, Any]:
    sibling = codec.with_uniform_prior()
    encoded = sibling.encode_parts(images)
    if not equal_images(sibling.decode(encoded.data), images):
        raise LosslessError("the sibling with the uniform prior does not decode to the same pixels")
    about = {"codec": "the same with the uniform prior", "prior": "uniform", "lossless": True}
    return about | _parts(encoded)
