"""Images to embeddings, in batches, by the net and with the preprocessing of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from dgreid.data.images import FileCrops
from dgreid.data.loading import ShardBatches, batch_loader
from dgreid.data.sets import PlainImages
from dgreid.data.transforms import normalise
from dgreid.errors import InputError, check_one_of
from dgreid.evaluation.flip import FlipAveraged
from dgreid.run.load import LoadedRun
from dgreid.search.images import SearchImage
from dgreid.types import UNKNOWN_CAMERA, ReIDRecord

PRECISIONS = {"32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
ACCELERATORS = ("auto", "cpu", "gpu", "mps")


class Embedder:
    """Embeds images as an evaluation of the run does.

    Args:
        net: module from normalised images to (B, D) embeddings.
        height: rows of a crop, in pixels.
        width: columns.
        mean: RGB mean that the net's images are normalised with, in 0..1.
        std: RGB standard deviation, likewise.
        accelerator: ``auto`` takes a GPU if there is one; ``cpu``, ``gpu`` or ``mps``.
        precision: ``32-true``, ``bf16-mixed`` or ``16-mixed``, as Lightning calls them.
        batch_size: images in a batch.
        workers: processes that load; 0 loads in the main process.

    Raises:
        InputError: no such accelerator or precision, or not on this machine.
    """

    def __init__(
        self,
        net: nn.Module,
        height: int,
        width: int,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        accelerator: str = "cpu",
        precision: str = "32-true",
        batch_size: int = 128,
        workers: int = 0,
    ) -> None:
        check_one_of("precision", precision, PRECISIONS)
        self.device = device_of(accelerator)
        self.net = net.eval().to(self.device)
        self.crops = FileCrops(height, width)
        self.mean, self.std = mean, std
        self.precision = precision
        self.batch_size = batch_size
        self.workers = workers

    def __call__(self, images: Sequence[SearchImage]) -> Iterator[NDArray[np.float32]]:
        """Embeddings of consecutive images, batch by batch: (B, D) at unit length.

        Raises:
            ImageError: an image cannot be read.
            InputError: an embedding is not finite.
        """
        records = [ReIDRecord(Path(image.path), UNKNOWN_CAMERA, UNKNOWN_CAMERA) for image in images]
        batches = ShardBatches(len(records), self.batch_size, rank=0, world_size=1)
        for batch in batch_loader(PlainImages(records, self.crops), batches, self.workers):
            found = self._embed(batch.images).cpu()
            finite = found.isfinite().all(dim=1)
            if not finite.all():
                first = images[int(batch.indices[~finite][0])]
                raise InputError(
                    f"the embedding of {first.path} is not finite; check the weights, or take precision=32-true"
                )
            yield found.numpy()

    @torch.inference_mode()
    def _embed(self, pixels: Tensor) -> Tensor:
        half = PRECISIONS[self.precision]
        context: AbstractContextManager[object] = (
            nullcontext() if half is None else torch.autocast(self.device.type, dtype=half)
        )
        with context:
            found = self.net(normalise(pixels.to(self.device, non_blocking=True), self.mean, self.std))
        return F.normalize(found.float(), dim=1)  # rounding to 16 bits has changed the lengths


def embed_images(
    run: LoadedRun, images: Sequence[str | Path], *, accelerator: str = "auto", batch_size: int = 128
) -> Tensor:
    """Embeds image files as the evaluation of a run does, mirror images included if it averaged them in.

    Args:
        run: whose net, crop size and normalisation are used; its net is left on the device.
        images: files, at least one.
        accelerator: ``auto`` takes a GPU if there is one; ``cpu``, ``gpu`` or ``mps``.
        batch_size: images in a batch.

    Returns:
        (N, D) float32 on the CPU, rows at unit length: the similarity of two images is the inner product of their rows.

    Raises:
        ImageError: a file is missing or no image.
        InputError: no images, or no such accelerator.
    """
    if isinstance(images, str | Path) or not images:
        raise InputError(f"images={images!r}: give a list with one file or more")
    net = FlipAveraged(run.inference_net) if run.record["preprocessing"]["flip_average"] else run.inference_net
    embedder = Embedder(
        net, run.config.data.height, run.config.data.width, run.module.mean, run.module.std,
        accelerator=accelerator, batch_size=batch_size,
    )  # fmt: skip
    files = [SearchImage(str(Path(image).expanduser())) for image in images]
    return torch.cat([torch.from_numpy(rows) for rows in embedder(files)])


def device_of(accelerator: str) -> torch.device:
    """The device that a word means here.

    Raises:
        InputError: no such word, or no such device.
    """
    check_one_of("accelerator", accelerator, ACCELERATORS)
    there = {"gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    chosen = next(name for name, is_there in there.items() if is_there) if accelerator == "auto" else accelerator
    if not there[chosen]:
        raise InputError(f"accelerator={accelerator}: torch sees none on this machine; take accelerator=auto or cpu")
    return torch.device("cuda" if chosen == "gpu" else chosen)
