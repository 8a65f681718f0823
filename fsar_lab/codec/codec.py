"""Images to bytes and back with an exported model: the road through all parts, in one place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.codec import blob
from fsar_lab.codec.model import CodecModel
from fsar_lab.codec.prior import LatentCoder
from fsar_lab.entropy import LANES
from fsar_lab.errors import CodingError, DamagedStreamError

if TYPE_CHECKING:
    from fsar_lab.codec.engine_torch import Analysis, Synthesis

BATCH = 8  # images of 32x32 whose activations fit the cache: faster than large batches
CHUNK_SAMPLES = 1 << 23  # sub-pixels coded at a time: bounds the memory whatever the number of images
NETWORK_PIXELS = 1 << 16  # pixels the networks see at a time, at most (but one image): bounds their memory
MAX_SAMPLES_PER_BYTE = 4096  # more cannot be: a sub-pixel costs at least 0.0056 bits


@dataclass(frozen=True)
class Encoded:
    """Bytes and where their bits went.

    Attributes:
        data: the blob.
        samples: sub-pixels, N * H * W * 3.
        latents, pixels: bits, exactly as the entropy coder spent them.
    """

    data: bytes
    samples: int
    latents: float
    pixels: float

    @property
    def overhead(self) -> float:
        """Bits of everything else: final states, container."""
        return 8 * len(self.data) - self.latents - self.pixels

    @property
    def bpd(self) -> float:
        """Bits per sub-pixel, all included."""
        return 8 * len(self.data) / max(1, self.samples)


class Codec:
    """Codes batches of equally sized RGB images.

    The bytes depend on the model and the images alone, not on batch sizes, threads or machine.

    Args:
        model: the integer model.
        threads: of the networks and of the entropy coder; None takes all cores that the process may use.
        batch: images the networks see at a time; fewer if they are large.
        device: where the networks run, "cpu" or "cuda"; the bits are the same.
    """

    def __init__(
        self, model: CodecModel, threads: int | None = None, batch: int = BATCH, device: str = "cpu"
    ) -> None:
        if batch < 1:
            raise ValueError(f"batch must be at least 1, not {batch}")
        self.model, self.batch, self.device = model, batch, device
        self.threads = threads or available_cores()
        self.latent_coder = LatentCoder(model.prior)
        tables, starts = model.pixels, np.cumsum([0, *map(len, model.pixels.taps)])
        weights = [tables.weights[a:b].tolist() for a, b in pairwise(starts)]
        self.pixel_model = entropy.PixelModel(
            tables.cdf, tables.mean_lut, tables.taps, weights, tables.bias.tolist()
        )
        self._networks: tuple[Analysis, Synthesis] | None = None

    @staticmethod
    def load(path: str | Path, threads: int | None = None, batch: int = BATCH, device: str = "cpu") -> Codec:
        """A codec from a `codec.fsarm` file; see CodecModel.load for what is refused."""
        return Codec(CodecModel.load(path), threads, batch, device)

    def with_uniform_prior(self) -> Codec:
        """The sibling that codes the same latents without a learned prior."""
        return Codec(self.model.with_uniform_prior(), self.threads, self.batch, self.device)

    @property
    def networks(self) -> tuple[Analysis, Synthesis]:
        """What runs the networks; torch is imported here and not before."""
        if self._networks is None:
            from fsar_lab.codec.engine_torch import Analysis, Synthesis

            m = self.model
            self._networks = (
                Analysis(m.analysis, m.search, self.device),
                Synthesis(m.table, m.synthesis, self.device),
            )
        return self._networks

    @property
    def table_bytes(self) -> int:
        """Bytes of the entropy tables as they are held for coding."""
        return self.latent_coder.expanded_nbytes + self.pixel_model.expanded_nbytes

    # --- networks -------------------------------------------------------------------------------

    def analyse(self, images: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """uint8 [N, H, W, 3] -> indices uint16 [N, G, h, w]."""
        number, height, width, _ = images.shape
        network, factor = self.networks[0], self.model.factor
        out = np.empty((number, self.model.prior.groups, height // factor, width // factor), np.uint16)

        def work(part: slice) -> None:
            out[part] = network(images[part])

        self._run(work, number, height * width)
        return out

    def synthesise(self, indices: NDArray[np.uint16]) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """Indices [N, G, h, w] -> logit int16 and scale uint8, both [N, 3, H, W]."""
        network, factor = self.networks[1], self.model.factor
        number, height, width = len(indices), indices.shape[2] * factor, indices.shape[3] * factor
        logits = np.empty((number, 3, height, width), np.int16)
        scales = np.empty((number, 3, height, width), np.uint8)

        def work(part: slice) -> None:
            logits[part], scales[part] = network(indices[part])

        self._run(work, number, height * width)
        return logits, scales

    def _run(self, work: Callable[[slice], None], number: int, pixels: int) -> None:
        """`work` on all of `number` images of so many pixels, a few at a time.

        Work writes into one array: small results kept between the large temporaries of the batches would
        tear the heap apart (measured: 1.1 GB instead of 0.5 GB for 6,000 images of 32x32).
        """
        from fsar_lab.codec.engine_torch import run_batches

        size = max(1, min(self.batch, NETWORK_PIXELS // pixels))
        run_batches(work, list(_batches(number, size)), self.threads)

    # --- images to bytes ------------------------------------------------------------------------

    def encode(self, images: NDArray[np.uint8]) -> bytes:
        """uint8 [N, H, W, 3] -> a blob. See `encode_parts`."""
        return self.encode_parts(images).data

    def encode_parts(self, images: NDArray[np.uint8]) -> Encoded:
        """Code images and say where the bits went.

        Args:
            images: uint8 [N, H, W, 3] with N >= 1, sides multiples of the model's factor.

        Raises:
            TypeError: not uint8.
            CodingError: a shape that this model cannot code.
        """
        self._check(images)
        number, height, width, _ = images.shape
        groups: list[bytes] = []
        checksums: list[int] = []
        pixel_bits = latent_bits = 0.0
        for part in _batches(number, self._chunk(height, width)):
            chunk = np.ascontiguousarray(images[part])
            indices = self.analyse(chunk)
            logits, scales = self.synthesise(indices)
            encoder = entropy.Encoder(len(chunk), self.threads)
            start = encoder.information()
            encoder.push_pixels(self.pixel_model, chunk, logits, scales)
            middle = encoder.information()
            self.latent_coder.push(encoder, indices)
            pixel_bits += middle - start
            latent_bits += encoder.information() - middle
            groups += encoder.finish()
            checksums += [blob.pixel_checksum(chunk[s]) for s in _batches(len(chunk), LANES)]
        packed = blob.pack(blob.Blob(self.model.id, (number, height, width), groups, checksums))
        return Encoded(packed, images.size, latent_bits, pixel_bits)

    # --- bytes to images ------------------------------------------------------------------------

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """A blob -> uint8 [N, H, W, 3], checked against the pixels' checksums.

        Raises:
            DamagedStreamError, WrongModelError, UnsupportedVersionError: never wrong pixels.
        """
        parsed = blob.parse(bytes(data), self.model.id)
        number, height, width = parsed.shape
        try:
            self._check_size(number, height, width)
        except CodingError as error:
            raise DamagedStreamError(f"the blob claims impossible sizes: {error}") from error
        if number * height * width * 3 > MAX_SAMPLES_PER_BYTE * len(data):
            raise DamagedStreamError("the blob claims more pixels than its bytes can hold")
        images = np.empty((number, height, width, 3), np.uint8)
        for part in _batches(number, self._chunk(height, width)):
            streams = parsed.groups[part.start // LANES : blob.group_count(part.stop)]
            images[part] = self._decode_chunk(streams, part.stop - part.start, height, width)
            for group in _batches(part.stop - part.start, LANES):
                first = part.start + group.start
                pixels = images[first : part.start + group.stop]
                if blob.pixel_checksum(pixels) != parsed.checksums[first // LANES]:
                    raise DamagedStreamError(
                        f"images {first}..{first + len(pixels) - 1} do not match their checksum"
                    )
        return images

    def _decode_chunk(
        self, streams: Sequence[bytes], number: int, height: int, width: int
    ) -> NDArray[np.uint8]:
        decoder = entropy.Decoder(streams, number, self.threads)
        factor = self.model.factor
        shape = (number, self.model.prior.groups, height // factor, width // factor)
        indices = self.latent_coder.pop(decoder, shape)
        logits, scales = self.synthesise(indices)
        images = decoder.pop_pixels(self.pixel_model, logits, scales)
        decoder.finish()
        return images

    # --- checks ---------------------------------------------------------------------------------

    def _chunk(self, height: int, width: int) -> int:
        """Images coded at a time, whole groups of 32."""
        return max(1, CHUNK_SAMPLES // (3 * height * width * LANES)) * LANES

    def _check(self, images: NDArray[np.uint8]) -> None:
        if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
            raise TypeError(
                "images must be a numpy array of uint8; 16-bit and float images are not supported"
            )
        if images.ndim != 4 or images.shape[3] != 3:
            raise CodingError(
                f"images must have shape [N, H, W, 3], not {list(images.shape)}; convert to RGB"
            )
        self._check_size(*images.shape[:3])

    def _check_size(self, number: int, height: int, width: int) -> None:
        factor = self.model.factor
        if number < 1 or height < 1 or width < 1:
            raise CodingError(f"nothing to code in {number} images of {height}x{width}")
        if height % factor or width % factor:
            raise CodingError(
                f"sides of {height}x{width} must be multiples of {factor} for this model; "
                f"pad to {-(-height // factor) * factor}x{-(-width // factor) * factor} or crop"
            )


def available_cores() -> int:
    """Cores that this process may use, which in a container can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _batches(number: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover range(number)."""
    for start in range(0, number, size):
        yield slice(start, min(number, start + size))
