"""Where the bits of a picture go: validation images beside maps of their cost."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import fsar_lab._torchvision_guard  # noqa: F401  isort: skip

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fsar_lab.callbacks.heatmap import contact_sheet, heat_map
from fsar_lab.loggers import log_picture
from fsar_lab.models.compressor import Compressor, Output

RAW_BITS = 24.0  # bits of an uncompressed pixel: top of the pixel map's scale


class Pictures(Callback):
    """Draws a contact sheet at every validation: to a PNG file, and to W&B and TensorBoard if on.

    Three rows: the images, the bits of each pixel given the latents, and the bits of the latents spread
    over the pixels they stand for. Scales are fixed (uncompressed, and equally likely codes), so that the
    sheets of one run can be compared. Costs are cross-entropies of the float model.

    Args:
        images: uint8 [n, 3, H, W], from the validation set.
        folder: Where `step_<step>.png` goes; made if missing.
    """

    def __init__(self, images: Tensor, folder: Path) -> None:
        self.images = images
        self.folder = folder

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw once, after the first batch.

        Only between the begin and the end of the validation epoch does the model hold its averaged weights.
        """
        if batch_idx or trainer.sanity_checking or not trainer.is_global_zero or not len(self.images):
            return
        model = pl_module.model
        assert isinstance(model, Compressor)
        sheet = draw(model, self.images.to(pl_module.device))
        self.folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sheet).save(self.folder / f"step_{trainer.global_step:07d}.png")
        log_picture(trainer.loggers, "val/bit_maps", sheet, trainer.global_step)


@torch.no_grad()
def draw(model: Compressor, images: Tensor) -> NDArray[np.uint8]:
    """The contact sheet of `images` (uint8 [n, 3, H, W], on the model's device): uint8 [height, width, 3].

    Args:
        model: In evaluation mode, so that the costs are those of coding.
        images: What to draw.
    """
    output: Output = model(images)
    pixels, latents = bit_maps(output)
    rows = [
        (f"{len(images)} validation images", images.permute(0, 2, 3, 1).cpu().numpy()),
        (f"pixels: 0 to {RAW_BITS:.0f} bits each, mean {pixels.mean():.2f}", heat_map(pixels, RAW_BITS)),
    ]
    if model.codebooks:
        symbols = output.indices.shape[1] * output.indices.shape[2] * output.indices.shape[3]
        top = symbols * math.log2(model.codebooks.codebook_size) / (images.shape[2] * images.shape[3])
        label = f"latents: 0 to {top:.2f} bits a pixel, mean {latents.mean():.2f}"
        rows.append((label, heat_map(latents, top)))
    return contact_sheet(rows)


def bit_maps(output: Output) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bits per pixel at every position.

    Returns:
        Pixel part and latent part, each float32 [N, H, W]; the latent part is constant over the block of
        pixels of each latent position, and over all of H and W both maps sum to the image's bits.
    """
    pixels = output.pixel_nats.sum(1) / math.log(2.0)
    latents = output.latent_nats.sum(1) / math.log(2.0)
    height, width = pixels.shape[1:]
    block = height // latents.shape[1], width // latents.shape[2]
    spread = latents.repeat_interleave(block[0], 1).repeat_interleave(block[1], 2) / (block[0] * block[1])
    return pixels.float().cpu().numpy(), spread.float().cpu().numpy()
