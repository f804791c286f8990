"""Images per second of one core up to the batch, against Pillow and torchvision.transforms in the same run.

Reference: ``Image.open().convert("RGB")``, Resize (bicubic), RandomHorizontalFlip, Pad, RandomCrop, ToTensor,
Normalize and stacking, image by image, as both releases load. Ours: the project's own sampler and data set up to the
uint8 batch; its normalisation, which runs on the device, is reported apart (last column, on this CPU). Repeats
alternate between the pipelines; the figures are medians, and the ratio is the median of the ratios of neighbours.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

from dgreid.data.cache import Cache, open_crops
from dgreid.data.sampling import IdentitySampler
from dgreid.data.sets import TrainingImages
from dgreid.data.transforms import IMAGENET_MEAN, IMAGENET_STD, TrainTransform, normalise
from dgreid.types import ReIDRecord

HEIGHT, WIDTH, PAD = 256, 128, 10
IDENTITIES, IMAGES = 16, 4
PEOPLE, IMAGES_OF_PERSON = 64, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--batches", type=int, default=6, help="batches of 64 images in a repeat")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for height, width in ((128, 64), (256, 128), (280, 110)):
            records = write_people(Path(folder) / f"{height}x{width}", height, width)
            rows += compare(records, Path(folder) / "cache", f"{height}x{width}", arguments.repeats, arguments.batches)
    print_table(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


def write_people(folder: Path, height: int, width: int) -> list[ReIDRecord]:
    """JPEGs of smooth noise on structure, about as large as pedestrian crops of this size."""
    folder.mkdir()
    generator = np.random.default_rng(height)
    records = []
    for number in range(PEOPLE * IMAGES_OF_PERSON):
        rough = generator.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC), dtype=float)
        grain = generator.normal(0, 6, (height, width, 1))
        path = folder / f"{number:05d}.jpg"
        Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save(path, quality=90)
        records.append(ReIDRecord(path, number // IMAGES_OF_PERSON, number % 4))
    return records


def compare(records: list[ReIDRecord], cache_folder: Path, size: str, repeats: int, batches: int) -> list[dict]:
    pipelines = {
        "Pillow + transforms": reference(records),
        "files": ours(records, "none", cache_folder),
        "cache": ours(records, "disk", cache_folder),
    }
    rates: dict[str, list[float]] = {name: [] for name in pipelines}
    for pipeline in pipelines.values():
        next(pipeline)
    for _ in range(repeats):
        for name, pipeline in pipelines.items():
            rates[name].append(rate(pipeline, batches))
    bytes_of_image = statistics.mean(record.path.stat().st_size for record in records)
    images = next(pipelines["cache"])
    on_cpu = statistics.median(microseconds(lambda: normalise(images)) for _ in range(repeats)) / len(images)
    base = rates["Pillow + transforms"]
    return [
        {
            "jpeg": size,
            "kilobytes": round(bytes_of_image / 1e3, 1),
            "pipeline": name,
            "images_per_second": round(statistics.median(values)),
            "ratio": round(statistics.median(value / other for value, other in zip(values, base, strict=True)), 2),
            "normalise_microseconds": None if values is base else round(on_cpu, 1),
        }
        for name, values in rates.items()
    ]


def reference(records: list[ReIDRecord]) -> Iterator[torch.Tensor]:
    transform = transforms.Compose(
        [
            transforms.Resize((HEIGHT, WIDTH), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.RandomHorizontalFlip(0.5),
            transforms.Pad(PAD),
            transforms.RandomCrop((HEIGHT, WIDTH)),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )
    for plan in sampler(records):
        yield torch.stack([transform(load(records[index].path)) for index in plan.indices])


def load(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def ours(records: list[ReIDRecord], cache: Cache, cache_folder: Path) -> Iterator[torch.Tensor]:
    crops = open_crops([record.path for record in records], HEIGHT, WIDTH, cache, cache_folder)
    dataset = TrainingImages(records, crops, TrainTransform(flip=0.5, pad=PAD), seed=0, domain="bench")
    for plan in sampler(records):
        yield dataset[plan].images


def sampler(records: list[ReIDRecord]) -> IdentitySampler:
    return IdentitySampler(
        records,
        identities_per_batch=IDENTITIES,
        images_per_identity=IMAGES,
        sampling="cross_camera",
        seed=0,
        domain="bench",
    )


def rate(pipeline: Iterator[torch.Tensor], batches: int) -> float:
    """Images per second of CPU time: the machine may be shared, the process has one thread."""
    start = time.process_time()
    images = sum(len(batch) for batch in islice(pipeline, batches))
    return images / (time.process_time() - start)


def microseconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return 1e6 * (time.process_time() - start)


def print_table(rows: list[dict]) -> None:
    print(f"to {HEIGHT}x{WIDTH}, batches of {IDENTITIES * IMAGES}, one thread, page cache warm")
    print(f"{'JPEG':>8} {'KB':>5}  {'pipeline':<20} {'images/s/core':>13} {'ratio':>6}  normalise us/image")
    for row in rows:
        apart = "-" if row["normalise_microseconds"] is None else row["normalise_microseconds"]
        print(
            f"{row['jpeg']:>8} {row['kilobytes']:>5}  {row['pipeline']:<20} {row['images_per_second']:>13} "
            f"{row['ratio']:>6}  {apart}"
        )


if __name__ == "__main__":
    main()
