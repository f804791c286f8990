from __future__ import annotations

import numpy as np
import pytest
from readable import assert_readable

from dgreid.evaluation.figures import embedding_map, embedding_plane
from dgreid.evaluation.observations.embedding_map import EmbeddingSample


@pytest.fixture(autouse=True)
def without_tsne(monkeypatch):
    """Where images lie is another test's; these ask how they are drawn."""
    monkeypatch.setattr(embedding_plane, "plane_of", lambda embeddings, seed: embeddings[:, :2])


def sample(people=4, each=5, cameras=3, seed=0, unknown=False):
    generator = np.random.default_rng(seed)
    identities = np.repeat(np.arange(people), each)
    seen = generator.integers(-1 if unknown else 0, cameras, people * each)
    return EmbeddingSample(
        generator.standard_normal((people * each, 8)).astype(np.float32), identities, seen, list(range(min(people, 20)))
    )


def entries(axes):
    """How many points each entry of a legend stands for."""
    return {points.get_label(): len(points.get_offsets()) for points in axes.collections}


def test_one_domain(tmp_path, drawn):
    embedding_map({"night": sample(people=25, unknown=True)}, tmp_path / "map.png")
    identity, camera, domain = drawn[0].axes
    assert [axes.get_title() for axes in drawn[0].axes] == ["identity", "camera", "domain"]
    assert entries(identity) == {"others (25)": 25, **{str(k): 5 for k in range(20)}}
    looks = {
        (tuple(points.get_facecolor()[0]), points.get_paths()[0].vertices.tobytes()) for points in identity.collections
    }
    assert len(looks) == 21
    assert set(entries(camera)) == {"unknown", "0", "1", "2"}
    assert sum(entries(camera).values()) == 125
    assert entries(domain) == {"night": 125}
    assert_readable(drawn[0])


@pytest.mark.parametrize("name", ["night_{}", "a_domain_with_quite_a_long_name_and_more_of_it_still_{}"])
def test_people_and_cameras_of_several_domains_are_different_ones(tmp_path, drawn, name):
    samples = {name.format(k): sample(people=6, cameras=12, seed=k) for k in range(3)}
    embedding_map(samples, tmp_path / "map.png")
    identity, camera, domain = drawn[0].axes
    assert len(entries(identity)) == 18
    assert set(entries(identity).values()) == {5}
    assert len(entries(camera)) == 21  # twenty of 36, and the others
    assert sum(entries(camera).values()) == 90
    assert list(entries(domain).values()) == [30, 30, 30]
    assert_readable(drawn[0])


@pytest.mark.parametrize(("people", "each"), [(1, 1), (1, 2), (2, 2), (1, 7)])
def test_small_sets_are_drawn(tmp_path, drawn, people, each):
    embedding_map({"night": sample(people, each, cameras=1)}, tmp_path / "map.png")
    for axes in drawn[0].axes:
        assert sum(entries(axes).values()) == people * each
    assert_readable(drawn[0])


def test_the_same_sample_gives_the_same_picture(tmp_path, monkeypatch):
    monkeypatch.undo()
    one, other = (embedding_map({"night": sample()}, tmp_path / name) for name in ("one.png", "other.png"))
    assert one.read_bytes() == other.read_bytes()
