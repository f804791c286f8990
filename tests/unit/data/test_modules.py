"""The data modules: the same pixels whatever the processes, and Lightning's loop around them."""

from itertools import islice

import pytest
import torch
from generated_people import FolderOfPeople
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint

from dgreid.data import modules
from dgreid.data.domains.base import list_hash
from dgreid.data.images import ImageError
from dgreid.data.modules import DomainDataModule, MultiDomainDataModule
from dgreid.data.transforms import TrainTransform
from dgreid.errors import InputError
from dgreid.types import ReIDBatch

STEPS = 5


def data_module(tmp_path, name="people", **kwargs):
    settings = {
        "height": 24,
        "width": 12,
        "identities_per_batch": 4,
        "images_per_identity": 3,
        "test_batch_size": 5,
        "transform": TrainTransform(pad=3, random_erasing=0.5, colour_jitter=0.2),
    }
    lists = {key: kwargs.pop(key) for key in ("train", "query", "gallery") if key in kwargs}
    return DomainDataModule(FolderOfPeople(tmp_path, name, **lists), **{**settings, **kwargs})


def as_rank(monkeypatch, rank, world_size):
    monkeypatch.setattr(modules, "rank_and_world_size", lambda: (rank, world_size))


def batches(data, start=0, workers=0, steps=STEPS):
    return list(islice(data.training_loader(lambda: start, workers), steps))


def assert_equal(one, other):
    for a, b in zip(one, other, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.fixture
def expected(tmp_path):
    return batches(data_module(tmp_path))


class TestSamePixels:
    """An image's pixels do not depend on who loads it, or when."""

    def test_batches_are_not_trivially_alike(self, expected, tmp_path):
        assert expected[0].images.shape == (12, 3, 24, 12)
        assert expected[0].images.dtype == torch.uint8
        assert not torch.equal(expected[0].images, expected[1].images)
        assert not torch.equal(expected[0].images, batches(data_module(tmp_path, seed=1))[0].images)
        assert not torch.equal(expected[0].indices, batches(data_module(tmp_path, "others"))[0].indices)

    @pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker processes")
    @pytest.mark.parametrize("workers", [1, 4])
    def test_with_workers(self, expected, tmp_path, workers):
        assert_equal(expected, batches(data_module(tmp_path), workers=workers))

    @pytest.mark.parametrize("world_size", [2, 4])
    def test_on_several_processes(self, expected, tmp_path, monkeypatch, world_size):
        ranks = []
        for rank in range(world_size):
            as_rank(monkeypatch, rank, world_size)
            ranks.append(batches(data_module(tmp_path)))
        joined = [ReIDBatch(*map(torch.cat, zip(*parts, strict=True))) for parts in zip(*ranks, strict=True)]
        assert_equal(expected, joined)

    @pytest.mark.parametrize("workers", [0, 2])
    def test_resumed(self, expected, tmp_path, workers):
        assert_equal(expected[3:], batches(data_module(tmp_path), start=3, workers=workers, steps=STEPS - 3))

    def test_from_the_cache(self, expected, tmp_path):
        cached = data_module(tmp_path, cache="disk", cache_folder=tmp_path / "cache")
        assert_equal(expected, batches(cached, workers=2))

    def test_all_at_once(self, expected, tmp_path, monkeypatch):
        as_rank(monkeypatch, 1, 2)
        cached = data_module(tmp_path, cache="disk", cache_folder=tmp_path / "cache")
        (batch,) = batches(cached, start=4, workers=2, steps=1)
        assert_equal([[part[6:] for part in expected[4]]], [batch])


class Recorder(LightningModule):
    """Notes what each step gets."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []
        self.validated = {}

    def training_step(self, batch, batch_idx):
        self.seen.append(batch)
        return self.weight * 0

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        self.validated.setdefault(dataloader_idx, []).append(batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(tmp_path, epochs, **kwargs):
    settings = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    settings |= {"default_root_dir": tmp_path, "use_distributed_sampler": False, "limit_train_batches": 3}
    return Trainer(max_epochs=epochs, **{**settings, "enable_checkpointing": False, **kwargs})


class TestInLightning:
    """Epochs and resumed runs continue the one sequence of steps."""

    @pytest.mark.parametrize("workers", [0, 2])
    def test_epochs_go_on_and_a_domain_module_works_alone(self, tmp_path, workers):
        data = data_module(tmp_path, workers=workers)
        model = Recorder()
        trainer(tmp_path, 3).fit(model, datamodule=data)
        assert_equal(model.seen, batches(data_module(tmp_path), steps=9))

    def test_joined_domains_and_resuming_within_an_epoch(self, tmp_path):
        def joined():
            sources = {name: data_module(tmp_path, name, holdout=0.25) for name in ("a", "b")}
            return MultiDomainDataModule(sources, {"t": data_module(tmp_path, "t")}, workers=1)

        whole, resumed = Recorder(), Recorder()
        keep = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=4, save_top_k=-1)
        trainer(tmp_path, 3, enable_checkpointing=True, callbacks=[keep]).fit(whole, datamodule=joined())
        assert [list(batch) for batch in whole.seen] == [["a", "b"]] * 9
        for name in ("a", "b"):
            alone = batches(data_module(tmp_path, name, holdout=0.25), steps=9)
            assert_equal([batch[name] for batch in whole.seen], alone)

        trainer(tmp_path, 3).fit(resumed, datamodule=joined(), ckpt_path=tmp_path / "step=4.ckpt", weights_only=True)
        for name in ("a", "b"):
            assert_equal([batch[name] for batch in resumed.seen], [batch[name] for batch in whole.seen[4:]])

    def test_validation_sees_holdout_sets_then_targets(self, tmp_path):
        sources = {name: data_module(tmp_path, name, holdout=0.25) for name in ("a", "b")}
        sources["one"] = data_module(tmp_path, "one", holdout=0.25, train=[(i, 0) for i in range(8) for _ in "ab"])
        data = MultiDomainDataModule(sources, {"t": data_module(tmp_path, "t")})
        model = Recorder()
        trainer(tmp_path, 1, num_sanity_val_steps=0).fit(model, datamodule=data)
        assert list(data.holdout_sets()) == ["a", "b"]
        for position, retrieval in enumerate([*data.holdout_sets().values(), *data.target_sets().values()]):
            seen = model.validated[position]
            indices = torch.cat([batch.indices for batch in seen])
            assert indices.tolist() == list(range(len(retrieval.records)))
            assert torch.equal(torch.cat([batch.identities for batch in seen]), retrieval.identities)
            assert torch.equal(torch.cat([batch.cameras for batch in seen]), retrieval.cameras)


def test_held_out_identities_are_never_trained_on(tmp_path):
    data = data_module(tmp_path, holdout=0.25)
    retrieval = data.holdout_set()
    held_out = {record.path for record in retrieval.records}
    assert len({record.identity for record in retrieval.records}) == 2
    assert data.info().identities == 6
    records = data.training_records()
    trained = {records[int(index)].path for batch in batches(data, steps=20) for index in batch.indices}
    assert trained
    assert not trained & held_out


def test_info_tells_the_training_images(tmp_path):
    data = data_module(tmp_path)
    info = data.info()
    assert info[:4] == ("people", 8, 32, 3)
    assert info.list_hash == list_hash(data.training_records(), data.domain.root)


def test_centroids_see_each_image_once_over_all_ranks(tmp_path, monkeypatch):
    seen = []
    for rank in range(3):
        as_rank(monkeypatch, rank, 3)
        for batch in data_module(tmp_path).centroid_dataloader():
            assert len(batch.images) <= 5
            seen += batch.indices.tolist()
    assert sorted(seen) == list(range(32))


def test_retrieval_sees_each_image_once_over_all_ranks(tmp_path, monkeypatch):
    seen = []
    for rank in range(3):
        as_rank(monkeypatch, rank, 3)
        seen += [index for batch in data_module(tmp_path).test_dataloader() for index in batch.indices.tolist()]
    assert sorted(seen) == list(range(11))


def test_the_cache_does_not_depend_on_what_is_held_out(tmp_path):
    folder = tmp_path / "cache"
    for seed in (0, 1):
        data = data_module(tmp_path, holdout=0.25, seed=seed, cache="disk", cache_folder=folder)
        data.setup("fit")
        plain = data_module(tmp_path, holdout=0.25, seed=seed)
        for one, other in zip(data.val_dataloader()[0], plain.val_dataloader()[0], strict=True):
            assert torch.equal(one.images, other.images)
    assert len(list(folder.glob("*.npy"))) == 1


def test_target_crops_come_from_a_cache_of_their_own(tmp_path):
    cached = data_module(tmp_path, cache="disk", cache_folder=tmp_path / "cache")
    cached.setup("test")
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1
    for one, other in zip(cached.test_dataloader(), data_module(tmp_path).test_dataloader(), strict=True):
        assert_equal([one], [other])


def test_without_holdout_there_is_nothing_to_validate_on(tmp_path):
    assert data_module(tmp_path).val_dataloader() == []


def test_a_target_needs_no_training_set_and_a_source_no_queries(tmp_path):
    target = data_module(tmp_path, "t", train=[], holdout=0.25)
    target.setup("test")
    assert len(list(target.test_dataloader())) == 3
    assert len(target.target_set().records) == 11
    data_module(tmp_path, "s", query=[], gallery=[]).setup("fit")


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_image_stops_training_with_its_path(tmp_path, workers):
    data = data_module(tmp_path, identities_per_batch=8)
    broken = data.training_records()[2].path
    broken.write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ImageError) as caught:
        batches(data, workers=workers, steps=10)
    assert str(caught.value).startswith(f"cannot read image {broken}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kwargs", "world_size", "stage", "message"),
    [
        ({"identities_per_batch": 9}, 1, "fit", "people has 8 training identities, fewer than"),
        ({}, 3, "fit", "identities_per_batch=4 on 3 processes"),
        ({"train": [(0, 0), (1, 0), (2, 0), (3, 0)]}, 1, "fit", "one image of each identity"),
        ({"query": [(1, 0)], "gallery": [(2, 0)]}, 1, "test", "cannot be a target: none of its 1 queries"),
        ({"holdout": 2}, 1, "fit", "holdout=2 must lie in"),
        ({"height": 0}, 1, "fit", "crops of 0x12 pixels"),
    ],
)
def test_wrong_input_is_refused_at_setup(tmp_path, monkeypatch, kwargs, world_size, stage, message):
    as_rank(monkeypatch, 0, world_size)
    with pytest.raises(InputError, match=message):
        data_module(tmp_path, **kwargs).setup(stage)


def test_the_joined_module_refuses_what_its_parts_refuse(tmp_path):
    target = data_module(tmp_path, "t", query=[], gallery=[(1, 0)])
    with pytest.raises(InputError, match="t cannot be a target"):
        MultiDomainDataModule({"a": data_module(tmp_path, "a")}, {"t": target}).setup("fit")
    few = data_module(tmp_path, "few", identities_per_batch=9)
    with pytest.raises(InputError, match="few has 8 training identities"):
        MultiDomainDataModule({"few": few}, {}).setup("fit")
