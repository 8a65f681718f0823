"""Images to bytes and back with an exported model: the road through all parts, in one place."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, groupby, pairwise
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.codec import blob, engines, tiling
from fsar_lab.codec.arguments import Images, check_images, chosen_numbers
from fsar_lab.codec.bits_back import ChainCoder, sample
from fsar_lab.codec.blob import Kind
from fsar_lab.codec.model import CodecModel
from fsar_lab.codec.parts import LatentCoder, WaveCoder
from fsar_lab.codec.posterior import Posterior
from fsar_lab.codec.tiling import Groups, Image
from fsar_lab.cores import available_cores
from fsar_lab.errors import CodingError, DamagedStreamError

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Encoded:
    """Bytes and where their bits went.

    Attributes:
        data: the blob.
        samples: sub-pixels, the sum of H * W * 3.
        latents, pixels: bits, exactly as the entropy coder spent them; padding of edge tiles included.
        initial: bits that chains of bits-back coding began with; part of the overhead.
    """

    data: bytes
    samples: int
    latents: float
    pixels: float
    initial: float = 0.0

    @property
    def overhead(self) -> float:
        """Bits of everything else: final states, container."""
        return 8 * len(self.data) - self.latents - self.pixels

    @property
    def bpd(self) -> float:
        """Bits per sub-pixel, all included."""
        return 8 * len(self.data) / max(1, self.samples)


@dataclass
class Coded:
    """What groups became.

    Attributes:
        streams: of every group.
        checksums: CRC-32 of its pixels.
        kinds: how it is to be read.
        latents, pixels, initial: bits, as in `Encoded`.
    """

    streams: list[bytes]
    checksums: list[int]
    kinds: list[Kind]
    latents: float
    pixels: float
    initial: float = 0.0

    def add(self, other: Coded) -> None:
        """Append the groups that follow."""
        self.streams += other.streams
        self.checksums += other.checksums
        self.kinds += other.kinds
        self.latents += other.latents
        self.pixels += other.pixels
        self.initial += other.initial


class Codec:
    """Codes RGB images of any sizes. Several threads may use one codec at a time.

    The bytes depend on the model and the images alone, not on threads, engine or machine.

    Args:
        model: the integer model.
        threads: that share a call; None takes all cores that the process may use.
        engine: what runs the networks, "c" or "torch"; the bits are the same.
        device: where torch runs them, "cpu" or "cuda"; the bits are the same.
    """

    def __init__(
        self, model: CodecModel, threads: int | None = None, engine: str = "c", device: str = "cpu"
    ) -> None:
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        self.model, self.engine, self.device = model, engine, device
        self.threads = threads or available_cores()
        self.networks: tuple[engines.Analysis, engines.Synthesis] | None = None
        if model.networks:
            self.networks = engines.make_networks(model.networks, engine, device, self.threads)
        self.pixel_coder = engines.make_pixel_coder(model.pixels, engine, device)

    @cached_property
    def latent_coder(self) -> LatentCoder | None:
        """The prior's tables, made when first wanted: that takes longer than all the rest of loading."""
        return self.model.prior.make_coder() if self.model.prior else None

    @cached_property
    def chain_coder(self) -> ChainCoder | None:
        """Bits-back coding, if the model samples its latents."""
        return self.model.make_chain_coder()

    @property
    def wave_coder(self) -> WaveCoder:
        """The pixel coder of a model whose large images are waves."""
        return cast(WaveCoder, self.pixel_coder)

    @staticmethod
    def load(path: str | Path, threads: int | None = None, engine: str = "c", device: str = "cpu") -> Codec:
        """A codec from a `codec.fsarm` file; see CodecModel.load for what is refused."""
        return Codec(CodecModel.load(path), threads, engine, device)

    def with_uniform_prior(self) -> Codec:
        """The sibling that codes the same latents without a learned prior."""
        return Codec(self.model.with_uniform_prior(), self.threads, self.engine, self.device)

    @property
    def table_bytes(self) -> int:
        """Bytes of the entropy tables as they are held for coding."""
        if self.chain_coder:
            return self.chain_coder.nbytes
        latents = self.latent_coder.expanded_nbytes if self.latent_coder else 0
        return latents + self.pixel_coder.expanded_nbytes

    # --- images to bytes ------------------------------------------------------------------------

    def encode(self, images: Images) -> bytes:
        """Images -> a blob. See `encode_parts`."""
        return self.encode_parts(images).data

    def encode_parts(self, images: Images) -> Encoded:
        """Code images and say where the bits went.

        Args:
            images: uint8 [N, H, W, 3], or a list or tuple of uint8 [H, W, 3] of any sizes; at least one.

        Raises:
            TypeError: not uint8 arrays.
            CodingError: no images, or not of a shape that can be coded.
            CapacityError: more or larger images than one blob can name.
        """
        check_images(images)
        sizes = tiling.size_runs(images)
        blob.check_capacity(sizes)
        cut = self.model.cut
        parts = tiling.in_groups(sizes, cut, self.threads)
        out = io.BytesIO()  # streams go where they stay as soon as they are made: no second copy of all
        out.write(bytes(blob.directory_bytes(sizes, sum(map(len, parts)))))
        lengths: list[int] = []
        total = Coded([], [], [], 0.0, 0.0)
        for coded in self._map(lambda part: self._encode_part(part, part.cut(images)), parts):
            out.writelines(coded.streams)
            lengths += map(len, coded.streams)
            total.add(replace(coded, streams=[]))
        is_array = isinstance(images, np.ndarray)
        about = self.model.id, is_array, sizes, cut
        directory = blob.Directory(*about, lengths, total.checksums, total.kinds)
        out.write(directory.end)
        size = out.tell()
        out.seek(0)
        out.write(directory.pack())
        samples = sum(3 * run.count * run.height * run.width for run in sizes)
        if len(images) == 1 and size >= blob.LONE_BYTES + samples:
            plain = blob.stored(self.model.id, is_array, images[0], cut.lanes)
            if plain is not None:
                return Encoded(plain, samples, 0.0, 8.0 * samples)
        return Encoded(out.getvalue(), samples, total.latents, total.pixels, total.initial)

    def _encode_part(self, part: Groups, lanes: NDArray[np.uint8]) -> Coded:
        """Groups and their tiles [n, h, w, 3] -> what they became; as they are where that is shorter."""
        coded = self._encode_groups(part, lanes)
        raw = [lanes[i : i + part.lanes] for i in range(0, len(lanes), part.lanes)]
        if all(len(stream) < tiles.nbytes for stream, tiles in zip(coded.streams, raw, strict=True)):
            return coded
        if len(part) == 1:
            return Coded([raw[0].tobytes()], coded.checksums, [Kind.STORED], 0.0, 8.0 * raw[0].nbytes)
        total = Coded([], [], [], 0.0, 0.0)  # one by one, so that the bits of each are known
        for number, tiles in zip(part.numbers, raw, strict=True):
            total.add(self._encode_part(part.single(number), tiles))
        return total

    def _encode_groups(self, part: Groups, lanes: NDArray[np.uint8]) -> Coded:
        """The same, always with the model."""
        sums = blob.pixel_checksums(lanes, part.lanes)
        kinds = [Kind.CODED] * len(sums)
        if self.chain_coder and self.networks:
            chains = self.chain_coder.encode_all(lanes, self.networks)
            bits = [
                sum(each) for each in zip(*((c.latents, c.pixels, c.initial) for c in chains), strict=True)
            ]
            return Coded([c.stream for c in chains], sums, kinds, *bits)
        if part.wave:
            kinds = [Kind.RECALL if has_few_colours(tile) else Kind.CODED for tile in lanes]
            recall = [kind == Kind.RECALL for kind in kinds]
            streams, spent = zip(*map(self.wave_coder.encode_wave, lanes, recall), strict=True)
            return Coded(list(streams), sums, kinds, 0.0, sum(spent))
        encoder = entropy.Encoder(len(lanes))
        indices = parameters = None
        if self.networks:
            indices = self.networks[0](lanes)
            parameters = self.networks[1](indices)
        self.pixel_coder.push(encoder, lanes, parameters)
        pixel_bits = encoder.information()
        if self.latent_coder and indices is not None:
            self.latent_coder.push(encoder, indices)
        return Coded(encoder.finish(), sums, kinds, encoder.information() - pixel_bits, pixel_bits)

    # --- bytes to images ------------------------------------------------------------------------

    @overload
    def decode(
        self, data: bytes, only: None = None, salvage: Literal[False] = False
    ) -> NDArray[np.uint8] | list[Image]: ...
    @overload
    def decode(self, data: bytes, only: int, salvage: bool = False) -> Image | None: ...
    @overload
    def decode(
        self, data: bytes, only: Sequence[int] | None = None, salvage: bool = False
    ) -> NDArray[np.uint8] | list[Image | None]: ...

    def decode(self, data: bytes, only: int | Sequence[int] | None = None, salvage: bool = False) -> Any:
        """A blob -> what was encoded, checked against the pixels' checksums.

        Args:
            data: the blob.
            only: number of one image, or numbers of several, negative ones counted from the end: nothing
                is decoded but the groups of tiles that they need.
            salvage: return what is intact of a damaged or truncated blob.

        Returns:
            uint8 [N, H, W, 3] if an array was encoded, else a list of uint8 [H, W, 3]; of the images that
            `only` names, or the one image that it names. With `salvage` always a list (or one image), with
            None in place of what cannot be restored.

        Raises:
            DamagedStreamError: its `images` are those that cannot be restored. Never wrong pixels.
            WrongModelError, UnsupportedVersionError: not for this model, not of this version.
            IndexError: there is no such image.
        """
        parsed = blob.parse(memoryview(data).cast("B"), self.model.id, self.model.cut)
        run, number = parsed.directory.sizes[0], parsed.directory.number
        chosen, single = chosen_numbers(only, number)
        images, lost = self._restore(parsed, None if only is None else set(chosen))
        if not salvage and (lost or not parsed.complete):
            raise _damage(lost, parsed.complete)
        if single:
            return images[chosen[0]]
        if only is None and not salvage and isinstance(images, np.ndarray):
            return images
        picked = [images[i] for i in chosen]
        if salvage or not parsed.directory.is_array:
            return picked
        return np.asarray(picked, np.uint8).reshape(len(picked), run.height, run.width, 3)

    def _restore(
        self, parsed: blob.Parsed, chosen: set[int] | None
    ) -> tuple[NDArray[np.uint8] | list[Image | None], list[int]]:
        """All images or the chosen ones, None for the others, and the numbers of those that are lost."""
        directory = parsed.directory
        sizes, number = directory.sizes, directory.number
        parts = tiling.in_groups(sizes, directory.cut, self.threads)
        missing = {group for group, stream in enumerate(parsed.streams) if stream is None}
        lost: set[int] = set()
        images: NDArray[np.uint8] | list[Image | None]
        if chosen is None and not missing and directory.is_array:
            images = np.empty((number, sizes[0].height, sizes[0].width, 3), np.uint8)
        else:
            wanted = set(range(number)) if chosen is None else chosen
            lost = wanted & tiling.images_of(parts, missing)
            images = tiling.allocate(sizes, wanted - lost)
            needed = tiling.groups_of(parts, wanted - lost, number)
            parts = tiling.in_groups(sizes, directory.cut, self.threads, needed)

        for damaged in self._map(lambda part: self._decode_part(part, parsed, images), parts):
            lost.update(damaged if chosen is None else chosen.intersection(damaged))
        if lost:
            images = [None if i in lost else image for i, image in enumerate(images)]
        return images, sorted(lost)

    def _decode_part(
        self, part: Groups, parsed: blob.Parsed, images: NDArray[np.uint8] | list[Image | None]
    ) -> list[int]:
        """Decode groups into `images`; returns the images that are damaged."""
        these = slice(part.first, part.first + len(part))
        kinds = parsed.directory.kinds[these]
        if len(set(kinds)) > 1:
            starts = accumulate((sum(1 for _ in same) for _, same in groupby(kinds)), initial=part.first)
            runs = [part.between(*run) for run in pairwise(starts)]
            return [image for run in runs for image in self._decode_part(run, parsed, images)]
        streams = [stream for stream in parsed.streams[these] if stream is not None]
        try:
            lanes = self._decode_groups(streams, part, kinds[0])
        except CodingError:
            if len(part) == 1:
                return part.images()
            each = [self._decode_part(part.single(number), parsed, images) for number in part.numbers]
            return [image for damaged in each for image in damaged]
        part.paste(lanes, images)
        sums = blob.pixel_checksums(lanes, part.lanes)
        pairs = zip(part.numbers, parsed.directory.checksums[these], sums, strict=True)
        return [image for n, was, now in pairs if was != now for image in part.single(n).images()]

    def _decode_groups(self, streams: Sequence[memoryview], part: Groups, kind: Kind) -> NDArray[np.uint8]:
        """Streams of groups of one kind -> their tiles, uint8 [n, h, w, 3]."""
        number, shape = len(part.tiles), part.shape
        if kind == Kind.STORED:
            return np.frombuffer(b"".join(streams), np.uint8).reshape(number, *shape, 3)
        if self.chain_coder and self.networks:
            return self.chain_coder.decode_all(streams, number, shape, self.networks)
        if part.wave:
            recall = kind == Kind.RECALL
            return np.stack([self.wave_coder.decode_wave(stream, shape, recall) for stream in streams])
        decoder = entropy.Decoder(streams, number)
        parameters = None
        if self.networks and self.latent_coder and self.model.prior:
            height, width = (side // self.model.factor for side in shape)
            indices = self.latent_coder.pop(decoder, (number, self.model.prior.groups, height, width))
            parameters = self.networks[1](indices)
        lanes = self.pixel_coder.pop(decoder, parameters, (number, *shape))
        decoder.finish()
        return lanes

    # --- networks by themselves, and threads ------------------------------------------------------

    def analyse(self, images: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """uint8 [N, H, W, 3] -> indices uint16 [N, G, h, w]; with bits-back coding, samples.

        Raises:
            CodingError: a side is no multiple of the model's factor (only `encode` pads), or there are no
                networks.
        """
        y, networks = self.analysis_outputs(images), self.model.networks
        if networks and isinstance(networks.search, Posterior):
            return sample(networks.search, y)
        return y

    def analysis_outputs(self, images: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """The indices; with bits-back coding (mean, scale) indices of the posterior, uint16 [N, 2 G, h, w].

        Raises:
            CodingError: see `analyse`.
        """
        analysis, _ = self._both_networks()
        if images.shape[1] % self.model.factor or images.shape[2] % self.model.factor:
            raise CodingError(
                f"sides of {images.shape[1]}x{images.shape[2]} must be multiples of {self.model.factor} "
                "for the networks alone; pad or crop"
            )
        parts = _slices(len(images), images.shape[1] * images.shape[2])
        return np.concatenate(list(self._map(lambda part: analysis(images[part]), parts)))

    def synthesise(self, indices: NDArray[np.uint16]) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """Indices [N, G, h, w] -> logit int16 and scale uint8, both [N, 3, H, W]."""
        _, synthesis = self._both_networks()
        parts = _slices(len(indices), indices.shape[2] * indices.shape[3] * self.model.factor**2)
        logits, scales = zip(*self._map(lambda part: synthesis(indices[part]), parts), strict=True)
        return np.concatenate(logits), np.concatenate(scales)

    def _both_networks(self) -> tuple[engines.Analysis, engines.Synthesis]:
        if self.networks is None:
            raise CodingError("this model has no networks: it codes pixels from pixels alone")
        return self.networks

    def _map(self, work: Callable[[A], B], parts: Sequence[A]) -> Iterator[B]:
        """Results in order. C releases the interpreter's lock, so threads share the parts."""
        if self.threads < 2 or len(parts) < 2:
            yield from map(work, parts)
            return
        with ThreadPoolExecutor(min(self.threads, len(parts))) as pool:
            yield from pool.map(work, parts)


def _slices(number: int, pixels: int) -> list[slice]:
    """Of `number` images of so many pixels, as many at a time as groups would be."""
    size = max(1, tiling.RUN_PIXELS // max(1, pixels))
    return [slice(start, start + size) for start in range(0, number, size)]


def has_few_colours(image: NDArray[np.uint8]) -> bool:
    """Whether remembering its colours is worth the time: photographs that were JPEG files, graphics."""
    height, width, _ = image.shape
    return bool(10 * entropy.count_colours(image) <= 3 * height * width)


def _damage(lost: Sequence[int], complete: bool) -> DamagedStreamError:
    """What is wrong with a blob whose directory is right."""
    what = "is damaged" if complete else "does not end where it should"
    named = ", ".join(map(str, lost[:10])) + (", ..." if len(lost) > 10 else "")
    which = f"{len(lost)} images cannot be restored ({named})" if lost else "the images asked for are intact"
    return DamagedStreamError(f"the blob {what}: {which}; salvage=True returns what is intact", lost)
