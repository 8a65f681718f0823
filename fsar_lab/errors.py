"""Every error that fsar_lab raises on purpose. One base class, one class per remedy."""

from __future__ import annotations

from collections.abc import Sequence


class FsarError(Exception):
    """Base of all errors raised on purpose; its message says what is wrong and what to do."""


class ConfigError(FsarError):
    """The composed configuration cannot work (unknown key, incompatible groups, missing resource)."""


class DataError(FsarError):
    """A data set is missing, incomplete or not in the expected format."""


class TrainingError(FsarError):
    """Training cannot go on (non-finite loss, out of memory, unusable checkpoint)."""


class RunningElsewhereError(TrainingError):
    """Another process is at this run: two would overwrite each other's files."""


class InterruptedTrainingError(TrainingError):
    """Ctrl-C ended the training; its checkpoint is there."""


class ExportError(FsarError):
    """A trained model cannot be expressed in integers within the proven bounds."""


class CodingError(FsarError):
    """Base of everything that can go wrong between images and bytes."""


class SymbolRangeError(CodingError):
    """A symbol, index or image value lies outside what the tables can code."""


class TableError(CodingError):
    """Frequency tables or context maps are inconsistent and were refused."""


class CapacityError(CodingError):
    """An output buffer or a size limit would be exceeded."""


class DamagedStreamError(CodingError):
    """The bytes are truncated, altered or not a stream of this kind.

    Attributes:
        images: numbers of the images that cannot be decoded, where that is known.
    """

    def __init__(self, message: str, images: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.images = tuple(images)


class WrongModelError(CodingError):
    """The blob was written by another model than the one that is loaded."""


class UnsupportedVersionError(CodingError):
    """The file was written by a newer version of fsar_lab."""


class LosslessError(CodingError):
    """Decoded pixels differ from the originals; the run that found it is failed."""
