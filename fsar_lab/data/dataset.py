"""What every data set offers."""

from __future__ import annotations

import torch

from fsar_lab.data.source import ImageSource, Photographs, TensorSource


class Dataset:
    """Three image sources; validation images come from training data, never from the test set."""

    train: ImageSource
    validation: ImageSource
    test: ImageSource | Photographs

    def __init__(
        self,
        train: ImageSource,
        validation: ImageSource,
        test: ImageSource | Photographs,
        side: int,
        about: str,
    ) -> None:
        """Join the sources of square images with `side` pixels a side; `about` names origin and licence."""
        self.train = train
        self.validation = validation
        self.test = test
        self._side = side
        self._about = about

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one training or validation image: (3, H, W)."""
        return 3, self._side, self._side

    def describe(self) -> str:
        """Counts, origin and licence, in one line."""
        trained, held = f"{len(self.train):,} training", f"{len(self.validation):,} validation"
        size = f"images of {self._side}x{self._side}"
        if isinstance(self.test, Photographs):
            return f"{trained} and {held} {size}, {self.test.describe()} for test: {self._about}"
        return f"{trained}, {held} and {len(self.test):,} test {size}: {self._about}"


class TestSet(Dataset):
    """Whole images of any sizes to be coded, and nothing to train on."""

    def __init__(self, test: Photographs, about: str) -> None:
        """Keep the images; `about` names origin and licence."""
        nothing = TensorSource(torch.empty(0, 3, 0, 0, dtype=torch.uint8))
        super().__init__(nothing, nothing, test, 0, about)

    def describe(self) -> str:
        """See Dataset.describe."""
        assert isinstance(self.test, Photographs)
        return f"{self.test.describe()} for test: {self._about}"
