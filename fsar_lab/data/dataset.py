"""What every data set offers."""

from __future__ import annotations

from fsar_lab.data.source import ImageSource


class Dataset:
    """Three image sources; validation images come from training data, never from the test set."""

    train: ImageSource
    validation: ImageSource
    test: ImageSource

    def __init__(
        self, train: ImageSource, validation: ImageSource, test: ImageSource, side: int, about: str
    ) -> None:
        """Join the sources of square images with `side` pixels a side; `about` names origin and licence."""
        self.train = train
        self.validation = validation
        self.test = test
        self._side = side
        self._about = about

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image: (3, H, W)."""
        return 3, self._side, self._side

    def describe(self) -> str:
        """Counts, origin and licence, in one line."""
        return (
            f"{len(self.train):,} training, {len(self.validation):,} validation and {len(self.test):,} test "
            f"images of {self._side}x{self._side}: {self._about}"
        )
