"""Batches for training (endless, seeded, resumable, divided over ranks) and for evaluation (once through)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

from fsar_lab.data.source import ImageSource, draw
from fsar_lab.data.threads import in_threads

AHEAD = 2  # batches of slow sources that are ready before they are asked for


class TrainStream:
    """Training batches: a function of seed and step alone.

    The images are seen in the order of one random permutation per epoch, and batches run across the
    borders of epochs. Every rank draws the random numbers of the whole global batch and gathers its own
    share, so the global batch does not depend on the number of ranks. Iterating yields uint8 tensors
    [batch_size / world_size, 3, H, W]; any Lightning trainer takes the object as its train_dataloader.
    """

    def __init__(
        self,
        source: ImageSource,
        batch_size: int,
        steps: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        start_step: int = 0,
        fixed_batches: int = 0,
    ) -> None:
        """Prepare the steps start_step … steps - 1.

        Args:
            source: Where the images come from.
            batch_size: Global: images of one step over all ranks.
            steps: Steps of the whole training, those before `start_step` included.
            seed: Decides order, crops and flips.
            rank: Which share of each global batch to yield.
            world_size: Number of ranks.
            start_step: First step to yield, for a training that goes on.
            fixed_batches: If positive, step s repeats step s mod fixed_batches (overfitting on purpose).

        Raises:
            ValueError: The global batch does not divide over the ranks, or the source is empty.
        """
        if batch_size < 1 or batch_size % world_size:
            raise ValueError(f"batch_size={batch_size} does not divide over {world_size} ranks")
        if len(source) == 0:
            raise ValueError("the training source holds no images")
        self.source = source
        self.batch_size = batch_size
        self.steps = steps
        self.seed = seed
        self.start_step = start_step
        self.fixed_batches = fixed_batches
        share = batch_size // world_size
        self._share = slice(rank * share, (rank + 1) * share)
        self._order: tuple[int, Tensor] | None = None

    def __len__(self) -> int:
        return max(0, self.steps - self.start_step)

    def __iter__(self) -> Iterator[Tensor]:
        steps = range(self.start_step, self.steps)
        if self.source.slow:  # another thread picks the next batches while one is being used
            return in_threads(self.batch, steps, 1, AHEAD)
        return map(self.batch, steps)

    def batch(self, step: int) -> Tensor:
        """This rank's share of the global batch of `step`: uint8 [batch_size / world_size, 3, H, W]."""
        if self.fixed_batches:
            step %= self.fixed_batches
        indices = self.indices(step)[self._share]
        uniform = draw(self.batch_size, self.source.randoms, _generator(self.seed, "step", step))
        return self.source.pick(indices, uniform[self._share])

    def indices(self, step: int) -> Tensor:
        """Indices of the images in the global batch of `step`: int64 [batch_size]."""
        count = len(self.source)
        parts: list[Tensor] = []
        position, end = step * self.batch_size, (step + 1) * self.batch_size
        while position < end:
            epoch, offset = divmod(position, count)
            part = self._permutation(epoch)[offset : offset + end - position]
            parts.append(part)
            position += len(part)
        return torch.cat(parts)

    def _permutation(self, epoch: int) -> Tensor:
        if self._order is None or self._order[0] != epoch:
            generator = _generator(self.seed, "epoch", epoch)
            self._order = epoch, torch.randperm(len(self.source), generator=generator)
        return self._order[1]


class Batches:
    """Every image of a source once, in order, unchanged; can be iterated again and again.

    Yields uint8 tensors [≤ size, 3, H, W]. Rank r takes the images r, r + world_size, …; the shares of the
    ranks differ by one image at most and together are the whole source. Every rank yields the same number
    of batches, since the ranks talk to each other at each; where there are hardly any images, one is empty.
    """

    def __init__(self, source: ImageSource, size: int, rank: int = 0, world_size: int = 1) -> None:
        """Prepare batches of `size` images; see the class."""
        self.source = source
        self.size = size
        first, own = (torch.arange(len(source))[r::world_size] for r in (0, rank))
        self._parts = torch.split(first, size) if len(source) else ()
        if len(own) == len(first):
            self._parts = tuple(part + rank for part in self._parts)
        else:
            self._parts = torch.tensor_split(own, len(self._parts))

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Tensor]:
        generator = _generator(0, "batches", 0)
        for indices in self._parts:
            yield self.source.batch(indices, generator)


def batches(source: ImageSource, size: int, rank: int = 0, world_size: int = 1) -> Batches:
    """Every image of `source` once, in batches of at most `size`; see Batches."""
    return Batches(source, size, rank, world_size)


def unrelated_seed(seed: int, purpose: str, number: int) -> int:
    """A seed for one purpose and number (63 bits), unrelated to that of any other; the same everywhere."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def _generator(seed: int, purpose: str, number: int) -> torch.Generator:
    return torch.Generator().manual_seed(unrelated_seed(seed, purpose, number))
