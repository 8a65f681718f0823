"""The training stream: deterministic, divided over ranks, resumable; evaluation batches: all images once."""

from __future__ import annotations

import pytest
import torch

from fsar_lab.config.schema import FakeConfig
from fsar_lab.data.crops import CropSource
from fsar_lab.data.fake import Fake
from fsar_lab.data.source import ImageSource, TensorSource
from fsar_lab.data.stream import TrainStream, batches

COUNT, BATCH, STEPS = 50, 12, 10  # batches run across the borders of epochs


def sources() -> list[ImageSource]:
    images = torch.randint(0, 256, (COUNT, 3, 8, 8), dtype=torch.uint8)
    photos = [torch.randint(0, 256, (3, 40, 56), dtype=torch.uint8) for _ in range(2)]
    return [TensorSource(images, flip=True), CropSource(photos, 8, flip=True)]


@pytest.mark.parametrize("source", sources(), ids=["tensor", "crops"])
class TestTrainStream:
    def test_is_a_function_of_seed_and_step(self, source: ImageSource) -> None:
        first = torch.stack(list(TrainStream(source, BATCH, STEPS, seed=3)))
        assert first.shape == (STEPS, BATCH, 3, 8, 8)
        assert first.dtype == torch.uint8
        torch.rand(5)  # the global generator has no part in it
        assert torch.equal(first, torch.stack(list(TrainStream(source, BATCH, STEPS, seed=3))))
        assert not torch.equal(first, torch.stack(list(TrainStream(source, BATCH, STEPS, seed=4))))

    def test_resumes_as_if_never_interrupted(self, source: ImageSource) -> None:
        whole = list(TrainStream(source, BATCH, STEPS))
        rest = TrainStream(source, BATCH, STEPS, start_step=7)
        assert len(rest) == STEPS - 7
        assert torch.equal(torch.stack(whole[7:]), torch.stack(list(rest)))
        assert len(TrainStream(source, BATCH, STEPS, start_step=99)) == 0

    def test_ranks_partition_the_global_batch(self, source: ImageSource) -> None:
        whole = TrainStream(source, BATCH, STEPS)
        ranks = [TrainStream(source, BATCH, STEPS, rank=rank, world_size=4) for rank in range(4)]
        for batch, *shares in zip(whole, *ranks, strict=True):
            assert torch.equal(batch, torch.cat(shares))

    def test_fixed_batches_repeat(self, source: ImageSource) -> None:
        first, second, third, *_ = TrainStream(source, BATCH, STEPS, fixed_batches=2)
        assert torch.equal(first, third)
        assert not torch.equal(first, second)


def test_every_epoch_sees_every_image_once() -> None:
    stream = TrainStream(TensorSource(torch.zeros(COUNT, 3, 1, 1)), BATCH, 100)
    order = torch.cat([stream.indices(step) for step in range(25)]).view(-1, COUNT)
    assert len(order) == 6
    assert torch.equal(order.sort(1).values, torch.arange(COUNT).expand(6, -1))
    assert not torch.equal(order[0], order[1])
    assert len(TrainStream(TensorSource(torch.zeros(5, 3, 1, 1)), BATCH, 100).indices(1)) == BATCH


def test_refuses_what_cannot_be_divided() -> None:
    source = TensorSource(torch.zeros(4, 3, 2, 2, dtype=torch.uint8))
    with pytest.raises(ValueError, match="does not divide over 3 ranks"):
        TrainStream(source, 4, 1, world_size=3)
    with pytest.raises(ValueError, match="no images"):
        TrainStream(TensorSource(torch.zeros(0, 3, 2, 2)), 4, 1)


def test_flips_half_of_the_images() -> None:
    images = torch.arange(4, dtype=torch.uint8).expand(1000, 3, 2, 4)
    batch = TensorSource(images, flip=True).batch(torch.arange(1000), torch.Generator().manual_seed(0))
    straight = (batch == images).all(-1).all(-1).all(-1)
    mirrored = (batch == images.flip(-1)).all(-1).all(-1).all(-1)
    assert torch.equal(straight, ~mirrored)
    assert 400 < int(straight.sum()) < 600
    assert torch.equal(TensorSource(images).batch(torch.arange(5)), images[:5])


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_evaluation_batches_are_the_whole_source_once(world_size: int) -> None:
    images = torch.arange(100, dtype=torch.uint8).view(-1, 1, 1, 1).expand(100, 3, 2, 2)
    shares = [batches(TensorSource(images), 7, rank, world_size) for rank in range(world_size)]
    for _ in range(2):  # they can be iterated again
        seen = [list(share) for share in shares]
        assert [len(share) for share in shares] == [len(s) for s in seen]
        assert all(len(batch) <= 7 for s in seen for batch in s)
        assert torch.equal(
            torch.cat([torch.cat(s) for s in seen])[:, 0, 0, 0].sort().values, images[:, 0, 0, 0]
        )


def test_fake_images_are_smooth_and_repeatable() -> None:
    config = FakeConfig(train_images=8, validation_images=4, test_images=2, side=16)
    data, again = Fake(config), Fake(config)
    assert (len(data.train), len(data.validation), len(data.test)) == (8, 4, 2)
    assert data.shape == (3, 16, 16)
    images = torch.cat(list(batches(data.validation, 3)))
    assert torch.equal(images, torch.cat(list(batches(again.validation, 4))))
    steps = images.int().diff(dim=-1).abs().float().mean()
    assert steps < 0.5 * images.float().std()
    assert images.float().std() > 20
    assert "8 training" in data.describe()
