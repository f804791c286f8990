"""Lightning's view of the data: one module for each domain, and one that joins sources and targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from pytorch_lightning import LightningDataModule
from pytorch_lightning.utilities import CombinedLoader
from torch.utils.data import DataLoader

from dgreid.data.cache import Cache, open_crops
from dgreid.data.domains.base import Domain, Use, domain_info
from dgreid.data.holdout import split_holdout
from dgreid.data.images import CropReader
from dgreid.data.loading import ShardBatches, batch_loader, share_workers
from dgreid.data.sampling import IdentitySampler, Sampling
from dgreid.data.sets import PlainImages, RetrievalSet, TrainingImages, retrieval_set
from dgreid.data.transforms import TrainTransform, check_crops
from dgreid.data.verification import check_readable
from dgreid.distributed import rank_and_world_size
from dgreid.errors import InputError
from dgreid.types import DomainInfo, ReIDBatch, ReIDRecord, SameCamera

Loader = DataLoader[ReIDBatch]


class DomainDataModule(LightningDataModule):
    """One domain, as a source or as a target; usable on its own.

    Nothing is read before it is asked for, so a target needs no training set and a source no query set.

    Args:
        domain: lists the images.
        use: which of them to train on.
        height: rows of a crop, in pixels.
        width: columns of a crop.
        identities_per_batch: P, over all ranks.
        images_per_identity: K.
        sampling: rule that chooses the K images.
        transform: augmentation of training images; None for that of the releases.
        workers: processes that load, over all ranks; 0 loads in the main processes.
        cache: ``disk`` keeps resized crops in a memory map.
        cache_folder: where; None for the user's cache folder.
        test_batch_size: images in a batch without augmentation, for each rank.
        seed: the run's seed.
        holdout: share of the training identities kept out of training.
        same_camera: the camera rule of evaluations, under which a query must have a match.

    Raises:
        InputError: a size out of its range.
    """

    def __init__(
        self,
        domain: Domain,
        *,
        use: Use = "train",
        height: int = 256,
        width: int = 128,
        identities_per_batch: int = 16,
        images_per_identity: int = 4,
        sampling: Sampling = "cross_camera",
        transform: TrainTransform | None = None,
        workers: int = 0,
        cache: Cache = "none",
        cache_folder: str | Path | None = None,
        test_batch_size: int = 128,
        seed: int = 0,
        holdout: float = 0.0,
        same_camera: SameCamera = "ignore",
    ) -> None:
        super().__init__()
        self.domain = domain
        self.use: Use = use
        self.height = height
        self.width = width
        self.identities_per_batch = identities_per_batch
        self.images_per_identity = images_per_identity
        self.sampling: Sampling = sampling
        self.transform = transform or TrainTransform()
        self.workers = workers
        self.cache: Cache = cache
        self.cache_folder = None if cache_folder is None else Path(cache_folder).expanduser()
        self.test_batch_size = test_batch_size
        self.seed = seed
        self.holdout = holdout
        self.same_camera: SameCamera = same_camera
        check_crops(height, width, self.transform.pad)
        if test_batch_size < 1:
            raise InputError(f"test_batch_size={test_batch_size} must be at least 1")

    def setup(self, stage: str | None = None) -> None:
        """Reads the lists and writes the caches that a stage needs, so that wrong input is refused before training.

        Args:
            stage: ``fit``, ``validate``, ``test`` or ``predict``, Lightning's names; None for a source's part.

        Raises:
            InputError: the domain cannot be used so.
        """
        if stage in ("test", "predict"):
            _ = self._target_crops
        else:
            self.sampler()
            _ = self._source_crops

    def training_records(self) -> tuple[ReIDRecord, ...]:
        """The images to train on, identities 0..n-1, without those held out."""
        return self._split[0]

    def holdout_set(self) -> RetrievalSet | None:
        """What is held out; None with ``holdout=0`` or where there is one camera."""
        return self._split[1]

    def target_set(self) -> RetrievalSet:
        """Query and gallery of the domain.

        Raises:
            InputError: no query has a match.
        """
        return self._target

    def info(self) -> DomainInfo:
        """What a strategy may know of the training images."""
        return domain_info(self.domain, self.training_records())

    def sampler(self, start_step: Callable[[], int] = lambda: 0) -> IdentitySampler:
        """This rank's sampler of training batches.

        Args:
            start_step: asked at each ``iter()`` for the first step to yield.

        Raises:
            InputError: P and K do not fit the domain or the number of ranks.
        """
        rank, world_size = rank_and_world_size()
        return IdentitySampler(
            self.training_records(),
            identities_per_batch=self.identities_per_batch,
            images_per_identity=self.images_per_identity,
            sampling=self.sampling,
            seed=self.seed,
            domain=self.domain.name,
            rank=rank,
            world_size=world_size,
            start_step=start_step,
        )

    def training_loader(self, start_step: Callable[[], int], workers: int) -> Loader:
        """Endless training batches of this rank.

        Args:
            start_step: asked at each ``iter()`` for the first step to yield.
            workers: processes of this loader.
        """
        records = self.training_records()
        dataset = TrainingImages(records, self._source_crops, self.transform, self.seed, self.domain.name)
        return batch_loader(dataset, self.sampler(start_step), workers, persistent=True)

    def train_dataloader(self) -> Loader:
        """Endless training batches that go on at the trainer's step."""
        return self.training_loader(self._step, self._workers_of_rank())

    def centroid_dataloader(self) -> Loader:
        """All training images once over all ranks, without augmentation; ranks may differ by one image."""
        records = self.training_records()
        return self._plain_loader(records, self._source_crops)

    def retrieval_dataloader(self, retrieval: RetrievalSet) -> Loader:
        """A set's images once over all ranks, without augmentation; indices count queries, then gallery.

        Args:
            retrieval: this module's holdout or target set.
        """
        # Whoever holds the holdout set has had the source's lists read; a target may have none.
        held_out = "_split" in vars(self) and retrieval is self.holdout_set()
        return self._plain_loader(retrieval.records, self._source_crops if held_out else self._target_crops)

    def target_images(self, records: Sequence[ReIDRecord]) -> ReIDBatch:
        """Some images of the target set in one batch, without augmentation."""
        return PlainImages(records, self._target_crops)[range(len(records))]

    def val_dataloader(self) -> list[Loader]:
        """A loader of the holdout set, if there is one."""
        held_out = self.holdout_set()
        return [] if held_out is None else [self.retrieval_dataloader(held_out)]

    def test_dataloader(self) -> Loader:
        """A loader of the target set."""
        return self.retrieval_dataloader(self.target_set())

    @cached_property
    def _source_records(self) -> tuple[ReIDRecord, ...]:
        return self.domain.source_records(self.use)

    @cached_property
    def _split(self) -> tuple[tuple[ReIDRecord, ...], RetrievalSet | None]:
        return split_holdout(self._source_records, self.holdout, self.seed, self.domain.name, self.same_camera)

    @cached_property
    def _target(self) -> RetrievalSet:
        return retrieval_set(self.domain, self.same_camera)

    @cached_property
    def _source_crops(self) -> CropReader:
        # Held-out images too: the cache does not depend on the seed that holds them out.
        return self._crops(self._source_records)

    @cached_property
    def _target_crops(self) -> CropReader:
        return self._crops(self.target_set().records)

    def _crops(self, records: Iterable[ReIDRecord]) -> CropReader:
        paths = (record.path for record in records)
        return open_crops(paths, self.height, self.width, self.cache, self.cache_folder)

    def _plain_loader(self, records: Sequence[ReIDRecord], crops: CropReader) -> Loader:
        rank, world_size = rank_and_world_size()
        batches = ShardBatches(len(records), self.test_batch_size, rank=rank, world_size=world_size)
        return batch_loader(PlainImages(records, crops), batches, self._workers_of_rank())

    def _workers_of_rank(self) -> int:
        return share_workers(self.workers, 1, rank_and_world_size()[1])[0]

    def _step(self) -> int:
        return self.trainer.global_step if self.trainer else 0


class MultiDomainDataModule(LightningDataModule):
    """Source domains to train on and target domains to be evaluated on.

    Args:
        sources: by name; a training batch maps each name to a batch of that domain.
        targets: by name.
        workers: processes that load training images, over all ranks and sources; 0 loads in the main processes.
        wholes: of which the sources are parts, by name; identities are held out of these. None: the sources are whole.
    """

    def __init__(
        self,
        sources: Mapping[str, DomainDataModule],
        targets: Mapping[str, DomainDataModule],
        *,
        workers: int = 0,
        wholes: Mapping[str, DomainDataModule] | None = None,
    ) -> None:
        super().__init__()
        self.sources = dict(sources)
        self.targets = dict(targets)
        self.workers = workers
        self.wholes = self.sources if wholes is None else dict(wholes)

    def setup(self, stage: str | None = None) -> None:
        """Reads all lists and writes all caches, so that wrong input is refused before training.

        Args:
            stage: Lightning's name of what follows; sources are only needed for ``fit``, or None.

        Raises:
            InputError: a domain cannot be used as what it is to be.
        """
        if stage in (None, "fit"):
            held_out_of = {name: self.wholes[name] for name in self.holdout_sets()}
            for source in {**held_out_of, **self.sources}.values():
                source.setup("fit")
        for target in self.targets.values():
            target.setup("test")

    def check_images(self) -> None:
        """Reads every image of a source or target once; those of a disk cache were read when it was written.

        Raises:
            ImageError: one that cannot be read.
        """
        sources = (source._source_records for source in self.wholes.values() if source.cache == "none")
        targets = (target.target_set().records for target in self.targets.values() if target.cache == "none")
        check_readable([record.path for records in (*sources, *targets) for record in records])

    def infos(self) -> list[DomainInfo]:
        """What a strategy may know of the sources, in the order in which batches list them."""
        return [source.info() for source in self.sources.values()]

    def holdout_sets(self) -> dict[str, RetrievalSet]:
        """What is held out of each whole source, without the sources that hold nothing out."""
        found = {name: source.holdout_set() for name, source in self.wholes.items()}
        return {name: retrieval for name, retrieval in found.items() if retrieval is not None}

    def target_sets(self) -> dict[str, RetrievalSet]:
        """Query and gallery of each target."""
        return {name: target.target_set() for name, target in self.targets.items()}

    def train_dataloader(self) -> CombinedLoader:
        """Endless ``{source: batch}`` that go on at the trainer's step."""
        workers = share_workers(self.workers, len(self.sources), rank_and_world_size()[1])
        loaders = {
            name: source.training_loader(self._step, share)
            for (name, source), share in zip(self.sources.items(), workers, strict=True)
        }
        return CombinedLoader(loaders, "min_size")

    def val_dataloader(self) -> list[Loader]:
        """Loaders of the holdout sets, then of the target sets, in the order of these methods."""
        held_out = [self.wholes[name].retrieval_dataloader(kept) for name, kept in self.holdout_sets().items()]
        return [*held_out, *self.test_dataloader()]

    def test_dataloader(self) -> list[Loader]:
        """Loaders of the target sets."""
        return [target.test_dataloader() for target in self.targets.values()]

    def _step(self) -> int:
        return self.trainer.global_step if self.trainer else 0
