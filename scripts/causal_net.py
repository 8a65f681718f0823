"""Trains and measures the float causal networks of fsar_lab/zoo/causal_net (docs/FRONTIER.md).

python scripts/causal_net.py measure fsar_lab/zoo/causal_net/cifar10_m.safetensors --cifar $FSAR_DATA/cifar10
python scripts/causal_net.py measure fsar_lab/zoo/causal_net/photos_m.safetensors --images $FSAR_DATA/kodak
python scripts/causal_net.py train out.safetensors --cifar $FSAR_DATA/cifar10 --seconds 1500 --spatial

`measure` prints the cross-entropy of the float model, not coded bytes.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fsar_lab.data.npz import read, training_images
from fsar_lab.data.places import npz_files
from fsar_lab.models.coders.causal_net import CausalNet, CausalNetShape, load, save

VALIDATION = 5000  # images held out of training, and how many of them are looked at
LOOKED_AT = 1000
CROP = 64


def measured(net: CausalNet, images: Iterator[Tensor]) -> tuple[float, int]:
    """Mean bits of a sub-pixel and the number of images."""
    bits, samples, count = 0.0, 0, 0
    with torch.no_grad():
        for batch in images:
            bits += float(net(batch).double().sum())
            samples += batch.numel()
            count += len(batch)
    return bits / samples, count


def files_in(folder: Path) -> list[Tensor]:
    """The images of a folder, uint8 [3, H, W]."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".png", ".webp"))
    arrays = (np.array(Image.open(path).convert("RGB")) for path in paths)
    return [torch.from_numpy(array).permute(2, 0, 1) for array in arrays]


def measure(arguments: argparse.Namespace) -> None:
    """Cross-entropy on CIFAR-10 test or on the images of a folder."""
    net, facts = load(arguments.weights)
    if arguments.cifar:
        images = iter(torch.split(read(npz_files(arguments.cifar)[1], 32), 100))
    else:
        images = (image[None] for image in files_in(arguments.images))
    bpd, count = measured(net, images)
    print(
        f"{arguments.weights.name}: {bpd:.4f} bpd estimated on {count} images; {net.shape.macs} MAC a pixel"
    )
    print(facts)


class Source:
    """Random training batches from CIFAR-10, or crops from a folder's images; flipped half of the time."""

    def __init__(self, arguments: argparse.Namespace, device: torch.device) -> None:
        self.batch_size, self.device = arguments.batch, device
        self.large: list[Tensor] = []
        if arguments.cifar:
            train = torch.cat([read(file, 32) for file in npz_files(arguments.cifar)[0]])
            kept = training_images(len(train), VALIDATION)
            train, validation = train[:kept], train[kept:]
            self.train = train.to(device)
            self.validation = torch.split(validation[-LOOKED_AT:].to(device), 100)
        else:
            images = files_in(arguments.images)
            held = max(1, len(images) // 16)
            self.large = [image.to(device) for image in images[:-held]]
            self.validation = tuple(image[None].to(device) for image in images[-held:])

    def batch(self) -> Tensor:
        """uint8 [N, 3, side, side]."""
        if self.large:
            crops = []
            for i in torch.randint(len(self.large), (self.batch_size // 4,)).tolist():
                _, height, width = self.large[i].shape
                y, x = (int(torch.randint(side - CROP + 1, ())) for side in (height, width))
                crops.append(self.large[i][:, y : y + CROP, x : x + CROP])
            images = torch.stack(crops)
        else:
            chosen = torch.randint(len(self.train), (self.batch_size,), device=self.device)
            images = self.train[chosen]
        flipped = torch.rand(len(images), 1, 1, 1, device=self.device) < 0.5
        return torch.where(flipped, images.flip(3), images)


def train(arguments: argparse.Namespace) -> None:
    """Adam for a given time, its rate a cosine of that time; the average of the weights is kept."""
    torch.manual_seed(arguments.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    source = Source(arguments, device)
    chosen = {field.name: getattr(arguments, field.name) for field in fields(CausalNetShape)}
    net = CausalNet(CausalNetShape(**chosen)).to(device)
    average = {name: weight.detach().clone() for name, weight in net.named_parameters()}
    optimizer = torch.optim.Adam(net.parameters(), lr=arguments.lr, betas=(0.9, 0.99))
    fast = torch.compile(net) if device.type == "cuda" else net
    begin, step, share = time.monotonic(), 0, 0.0
    while (share := (time.monotonic() - begin) / arguments.seconds) < 1:
        rate = arguments.lr * min(1, (step + 1) / 300) * (0.0025 + 0.4975 * (1 + math.cos(math.pi * share)))
        optimizer.param_groups[0]["lr"] = rate
        loss = fast(source.batch()).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        step += 1
        with torch.no_grad():
            for name, weight in net.named_parameters():
                average[name].lerp_(weight, 0.002 if step > 500 else 0.05)
        if step % 500 == 0:
            print(f"step {step}, {share:.0%} of the time: {loss.item():.4f} bpd in training", flush=True)
    with torch.no_grad():
        for name, weight in net.named_parameters():
            weight.copy_(average[name])
    bpd, _ = measured(net, iter(source.validation))
    facts = {
        "data": str((arguments.cifar or arguments.images).name),
        "images": step * arguments.batch,
        "seconds": arguments.seconds,
        "batch": arguments.batch,
        "lr": arguments.lr,
        "device": str(device),
        "validation_bpd_estimated": bpd,
        "macs_per_pixel": net.shape.macs,
    }
    save(net, arguments.weights, facts)
    print(f"{arguments.weights}: {bpd:.4f} bpd estimated on held-out images")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    for name, run in (("measure", measure), ("train", train)):
        command = commands.add_parser(name, help=run.__doc__)
        command.set_defaults(run=run)
        command.add_argument("weights", type=Path, help="a .safetensors file")
        data = command.add_mutually_exclusive_group(required=True)
        data.add_argument("--cifar", type=Path, help="folder of CIFAR-10 .npz files")
        data.add_argument("--images", type=Path, help="folder of .png or .webp images")
    command.add_argument("--seconds", type=float, default=1500, help="length of the training")
    command.add_argument("--batch", type=int, default=256, help="images of 32x32, or their pixels in crops")
    command.add_argument("--lr", type=float, default=3e-3)
    command.add_argument("--seed", type=int, default=0)
    for field in fields(CausalNetShape):
        if field.type == "bool":
            command.add_argument(
                f"--{field.name}", action="store_true", help="masked 3x3 convolutions inside"
            )
        else:
            command.add_argument(f"--{field.name}", type=int, default=field.default)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
