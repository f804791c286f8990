"""The benchmark is a pure function of (seed, version): a change of pixels shows here, and needs a new VERSION."""

import hashlib

import numpy as np
import pytest
from PIL import Image, features

from dgreid.data.domains.synthetic import SyntheticCampus, SyntheticNight, SyntheticPlaza, SyntheticStation
from dgreid.synthetic.plan import pixel_hash

SIZE = {"train_identities": 3, "test_identities": 2, "images_per_identity": 4, "height": 64, "width": 32}
TESTED_JPEG = "3.2.0"
PIXELS = {
    SyntheticPlaza: "fb8777c08e57aaa8",
    SyntheticStation: "c5ed7507e942cdd5",
    SyntheticCampus: "bfd5a8786fb4b073",
    SyntheticNight: "5f2f9a930fe58ed9",
}
FILES = {
    SyntheticPlaza: "b973cb7e6d3fea54",
    SyntheticStation: "099f239790534f41",
    SyntheticCampus: "ab199ed15fc99d77",
    SyntheticNight: "21bece24c663e6c2",
}


def domain(kind, folder):
    return kind(name=f"synthetic_{kind.__name__.removeprefix('Synthetic').lower()}", folder=folder, seed=0, **SIZE)


def decoded_hash(folder):
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(np.asarray(Image.open(path).convert("RGB")).tobytes())
    return digest.hexdigest()[:16]


@pytest.mark.parametrize("kind", [SyntheticPlaza, SyntheticStation, SyntheticCampus, SyntheticNight])
def test_pixels_before_encoding(kind, tmp_path):
    assert pixel_hash(domain(kind, tmp_path).plan)[:16] == PIXELS[kind]


@pytest.mark.parametrize("kind", [SyntheticPlaza, SyntheticStation, SyntheticCampus, SyntheticNight])
def test_decoded_files(kind, tmp_path):
    if kind is not SyntheticNight and features.version("libjpeg_turbo") != TESTED_JPEG:
        pytest.skip(f"JPEG files were hashed with libjpeg-turbo {TESTED_JPEG}; other versions may round otherwise")
    assert decoded_hash(domain(kind, tmp_path).root) == FILES[kind]
