"""Small trees in the real layouts of the data sets, with the traps that the real ones have."""

import itertools
import json

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

HTML = b"<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head></html>"
_colours = itertools.count()


def write_image(path):
    """An image whose content no other has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    n = next(_colours)
    pixels = np.full((12, 6, 3), 255, np.uint8)
    pixels[:4], pixels[4:8], pixels[8:] = n % 8 * 32, n // 8 % 8 * 32, n // 64 % 8 * 32
    Image.fromarray(pixels).save(path)


def write_images(folder, names):
    for name in names:
        write_image(folder / name)


def add_strays(folder):
    """What macOS and Windows leave behind."""
    (folder / "__MACOSX").mkdir(parents=True)
    (folder / "__MACOSX" / "._x.jpg").write_bytes(b"\0\5\26\7")
    (folder / "._0002_c1s1_000451_03.jpg").write_bytes(b"\0\5\26\7")
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (folder / "readme.txt").write_text("no image")


MARKET = {
    "bounding_box_train": ["0002_c1s1_000451_03.jpg", "0002_c2s1_000776_01.jpg", "0007_c6s3_077419_03.jpg"],
    "query": ["0001_c1s1_001051_00.jpg", "0003_c2s1_000151_00.jpg"],
    "bounding_box_test": [
        "-1_c1s1_000401_03.jpg", "0000_c3s1_000151_01.jpg", "0001_c2s1_000301_02.jpg", "0001_c5s1_000401_02.jpg",
        "0003_c4s1_000551_01.jpg",
    ],
}  # fmt: skip
DUKE = {
    "bounding_box_train": ["0001_c2_f0046182.jpg", "0005_c8_f0000001.jpg"],
    "query": ["0002_c1_f0044158.jpg"],
    "bounding_box_test": ["0002_c3_f0044200.jpg", "7139_c4_f0044300.jpg"],
}
CUHKNP = {
    "bounding_box_train": ["0001_c1_1.png", "0001_c2_6.png", "0003_c1_11.png"],
    "query": ["0002_c1_21.png", "0002_c2_26.png"],
    "bounding_box_test": ["0002_c1_22.png", "0002_c2_27.png"],
}


def market_style_tree(folder, names):
    """A data set in Market-1501's layout; each of its folders holds strays."""
    for subset, files in names.items():
        write_images(folder / subset, files)
        add_strays(folder / subset)
    return folder


# (list, image in the subset's folder, identity): cameras have two digits, test identities restart at 0.
MSMT = [
    ("train", "0000/0000_000_01_0303morning_0008_0.jpg", 0),
    ("train", "0000/0000_001_12_0303morning_0015_0.jpg", 0),
    ("train", "0001/0001_000_15_0303noon_0015_0.jpg", 1),
    ("val", "0001/0001_001_03_0303noon_0020_0.jpg", 1),
    ("query", "0000/0000_000_05_0303morning_0008_0.jpg", 0),
    ("gallery", "0000/0000_001_11_0303morning_0009_0.jpg", 0),
    ("gallery", "0001/0001_000_02_0303morning_0009_0.jpg", 1),
]


def msmt_tree(folder, train, test):
    """MSMT17 with its lists; ``train`` and ``test`` name the image folders."""
    folders = {"train": train, "val": train, "query": test, "gallery": test}
    for name in folders:
        rows = [row for row in MSMT if row[0] == name]
        lines = [f"{path} {identity}\n" for _, path, identity in rows]
        lines += ["\n", f"__MACOSX/{rows[0][1]} 0\n", "0000/._0000_000_01_0303morning_0008_0.jpg 0\n"]
        write_images(folder / folders[name], [path for _, path, _ in rows])
        (folder / f"list_{name}.txt").write_text("".join(lines))
    add_strays(folder / train)
    return folder


def msmt_converted_tree(folder):
    """The layout of M3L's release: folders of Market-1501, files and lists renamed."""
    folders = {"train": "bounding_box_train", "val": "bounding_box_train", "query": "query",
               "gallery": "bounding_box_test"}  # fmt: skip
    lines = {name: [] for name in folders}
    for number, (name, path, identity) in enumerate(MSMT):
        renamed = f"{identity:04d}_c{int(path.split('_')[2])}_{number:05d}.jpg"
        write_image(folder / folders[name] / renamed)
        lines[name].append(f"{renamed} {identity}\n")
    for name, rows in lines.items():
        (folder / f"list_{name}.txt").write_text("".join(rows))
    return folder


# Images of CUHK03 by camera pair and person, all numbers from 1; the other cells of the ten are empty.
PERSONS = {
    1: [(1, 2, 6, 7), (1, 6), (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)],
    2: [(1, 6), (2, 7, 8)],
    3: [(1, 6)],
    4: [(1, 10)],
    5: [(5, 6)],
}
TEST_SETS = [[(1, 3), (2, 2)], [(3, 1), (1, 1)]] * 10


def crop_pixels(crops, pair, person, number):
    """(height, width, 3) uint8, height and width different from image to image."""
    seed = [len(crops), pair, person, number]
    return np.random.default_rng(seed).integers(0, 256, (8 + number, 3 + person, 3), dtype=np.uint8)


def write_cuhk03_mat(path):
    """``cuhk-03.mat`` as MATLAB writes it: a 512-byte header, cells of references, every array transposed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        store = file.create_group("#refs#")
        names = itertools.count()

        def reference(data, empty=False):
            dataset = store.create_dataset(f"r{next(names)}", data=data)
            if empty:
                dataset.attrs["MATLAB_empty"] = np.uint8(1)
            return dataset.ref

        def cell_array(rows):
            cells = np.empty((len(rows[0]), len(rows)), dtype=h5py.ref_dtype)
            for i, row in enumerate(rows):
                for j, item in enumerate(row):
                    cells[j, i] = item
            return cells

        for crops in ("labeled", "detected"):
            pairs = []
            for pair, persons in PERSONS.items():
                rows = [
                    [
                        reference(crop_pixels(crops, pair, person, number).T)
                        if number in numbers
                        else reference(np.zeros(2, np.uint64), empty=True)
                        for number in range(1, 11)
                    ]
                    for person, numbers in enumerate(persons, start=1)
                ]
                pairs.append([reference(cell_array(rows))])
            file.create_dataset(crops, data=cell_array(pairs))
        sets = [[reference(np.array(pairs, np.float64).T)] for pairs in TEST_SETS]
        file.create_dataset("testsets", data=cell_array(sets))
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(508) + b"\0\2IM")
    return path


# stem, identity, subset of the new protocol's split file.
NEW_PROTOCOL = [
    ("1_001_1_01", 1, "train"),
    ("1_001_2_06", 1, "train"),
    ("1_002_1_01", 2, "train"),
    ("1_003_1_01", 3, "query"),
    ("1_003_2_06", 3, "query"),
    ("1_003_1_02", 3, "gallery"),
    ("1_003_2_07", 3, "gallery"),
    ("2_002_2_07", 5, "gallery"),
]


def write_new_protocol(path):
    """The split file of the new protocol: MATLAB 5, indices from 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files = np.array([[f"{stem}.png"] for stem, _, _ in NEW_PROTOCOL], dtype=object)
    split = {"filelist": files, "labels": np.array([[identity] for _, identity, _ in NEW_PROTOCOL])}
    for subset in ("train", "query", "gallery"):
        rows = [[i + 1] for i, (_, _, name) in enumerate(NEW_PROTOCOL) if name == subset]
        split[f"{subset}_idx"] = np.array(rows)
    savemat(path, split)
    return path


def il_cuhk03_tree(folder, crops="detected"):
    """IL's ``cuhk03``: the .mat in ``cuhk03_release``, the split file beside that folder."""
    write_cuhk03_mat(folder / "cuhk03_release" / "cuhk-03.mat")
    write_new_protocol(folder / f"cuhk03_new_protocol_config_{crops}.mat")
    return folder


def cuhk03_json_tree(folder):
    """CUHK03 classic in open-reid's format: the same persons and order as in the generated .mat."""
    identities = []
    for identity, numbers in enumerate(itertools.chain.from_iterable(PERSONS.values())):
        seen = sum(number <= 5 for number in numbers), sum(number > 5 for number in numbers)
        identities.append(
            [[f"{identity:08d}_{camera:02d}_{i:04d}.jpg" for i in range(2 * n)] for camera, n in enumerate(seen)]
        )
    first = {pair: sum(len(PERSONS[p]) for p in range(1, pair)) for pair in PERSONS}
    splits = []
    for pairs in TEST_SETS:
        test = sorted(first[pair] + person - 1 for pair, person in pairs)
        trainval = [i for i in range(len(identities)) if i not in test]
        splits.append({"trainval": trainval, "query": test, "gallery": test})
    write_images(folder / "images", [name for cameras in identities for names in cameras for name in names])
    (folder / "meta.json").write_text(json.dumps({"name": "cuhk03", "num_cameras": 2, "identities": identities}))
    (folder / "splits.json").write_text(json.dumps(splits))
    return folder
