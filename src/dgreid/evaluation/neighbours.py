"""Nearest neighbours in large galleries, by faiss; no other file imports it.

faiss hangs in a process that was forked from one in which it has worked in parallel, so search in the main process,
never in the workers of a data loader; a call in such a process is refused here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch

from dgreid.errors import InputError, check_one_of
from dgreid.evaluation.indexes.index_file import faiss_reason, read_note, write_with_note
from dgreid.evaluation.indexes.kinds import EXACT, KINDS, cells, require_possible, training_rows
from dgreid.evaluation.indexes.neighbour_lists import Neighbours, whole_rankings
from dgreid.evaluation.indexes.recall import NEIGHBOURS, MeasuredRecall, RecallProbe
from dgreid.evaluation.indexes.vector_rows import float32_rows, parts, require_vectors
from dgreid.evaluation.labels import Array
from dgreid.evaluation.similarity import ScoreBlock

try:
    import faiss
except ImportError as missing:
    raise InputError(f"faiss cannot be imported ({missing}); pip install faiss-gpu (Linux) or faiss-cpu") from missing

Device: TypeAlias = Literal["cpu", "gpu", "auto"]
Progress: TypeAlias = Callable[[int], None]

MOST_NEIGHBOURS_ON_GPU = 2048
NO_OTHER_FILES = faiss.IO_FLAG_READ_ONLY | faiss.IO_FLAG_ONDISK_SAME_DIR  # else one could name a file to be written to

_callers: set[int] = set()


class NeighbourIndex:
    """Finds the vectors of largest inner product with a query, among many: the most similar at unit length.

    Made by :meth:`build` or :meth:`load`. The index is held in memory of the CPU; on GPUs a copy of it is searched,
    which is made at the first search after a change. With several GPUs each holds a part.

    Attributes:
        kind: ``exact`` or a string of faiss's ``index_factory``.
        float16: whether an exact index keeps its vectors in half precision.
        parameters: faiss's search parameters, for instance ``nprobe=16``; empty for faiss's defaults.
        device: where it searches.
        threads: of the CPU, during a call; torch's number if None.
        memory_mapped: whether it lies in a file, and can be searched only.
    """

    def __init__(
        self, index: Any, probe: RecallProbe | None, *, kind: str, float16: bool, device: Device, threads: int | None
    ) -> None:
        self._index = index
        self._probe = probe
        self._on_gpus: Any = None
        self._recall = MeasuredRecall(1.0, 1.0, 0) if probe is None else None
        self.kind = kind
        self.float16 = float16
        self.parameters = ""
        self.device = _device(device)
        self.threads = threads
        self.memory_mapped = False

    @classmethod
    def build(
        cls,
        vectors: Array,
        kind: str = EXACT,
        *,
        parameters: str = "",
        float16: bool = False,
        device: Device = "cpu",
        threads: int | None = None,
        recall_queries: int = 1000,
        progress: Progress | None = None,
    ) -> NeighbourIndex:
        """Indexes vectors; what is to be learned of them (cells, code books) is learned from a sample.

        Args:
            vectors: (N, D) at unit length, any floating point type, also memory-mapped: it is read in parts.
            kind: ``exact``, or any string of faiss's ``index_factory``.
            parameters: faiss's search parameters: ``nprobe=16`` cells searched, ``efSearch=64`` of a graph,
                ``k_factor_rf=4`` of refinement; several with commas.
            float16: keep the vectors of an exact index in half precision: half the memory, scores off by up to 1e-3.
            device: ``gpu`` searches on all GPUs, ``auto`` does so if there are any. Training runs on the CPU.
            threads: of the CPU; torch's number by default.
            recall_queries: how many of the vectors serve as queries to measure the recall of an approximate index.
            progress: called with the number of vectors indexed so far.

        Raises:
            InputError: vectors, kind, parameters or device are not usable, or the vectors are too few.
        """
        require_vectors(vectors, "vectors")
        approximate = kind != EXACT or float16
        if approximate:
            require_possible(kind, float16, len(vectors), recall_queries)
        index = _empty_index(kind, int(vectors.shape[1]), float16 and _device(device) == "cpu")
        probe = RecallProbe.draw(vectors, recall_queries) if approximate else None
        built = cls(index, probe, kind=kind, float16=float16, device=device, threads=threads)
        with _at_work(threads, f"kind={kind}"):
            if not index.is_trained:
                index.train(training_rows(vectors, kind))
            _reserve(index, len(vectors))
        built._append(vectors, progress)
        built.set_parameters(parameters)
        return built

    @classmethod
    def load(
        cls, path: Path, memory_map: bool = False, *, device: Device = "cpu", threads: int | None = None
    ) -> NeighbourIndex:
        """An index that was saved.

        Args:
            path: the file.
            memory_map: leave it on disk, to be read as it is searched; nothing can be added.
            device: as in :meth:`build`.
            threads: as in :meth:`build`.

        Raises:
            InputError: the file is missing, damaged or no index, or a memory-mapped one is asked for on a GPU.
        """
        if memory_map and _device(device) == "gpu":
            raise InputError("memory_map=True: a GPU searches a copy in its own memory; choose device=cpu or load all")
        settings, arrays = read_note(path)
        kind = settings["kind"]
        # Inverted files are left on disk by the one flag, vectors and graphs by the other.
        flag = (faiss.IO_FLAG_MMAP if cells(kind) else faiss.IO_FLAG_MMAP_IFC) if memory_map else 0
        with _at_work(threads, str(path), "build it again"):
            faiss.set_deserialization_vector_byte_limit(path.stat().st_size + 2**28)  # not what it claims
            index = faiss.read_index(str(path), flag | NO_OTHER_FILES)
        probe = RecallProbe(**arrays) if arrays else None
        loaded = cls(index, probe, kind=kind, float16=settings["float16"], device=device, threads=threads)
        loaded.memory_mapped = memory_map
        loaded.set_parameters(settings["parameters"])
        loaded._recall = MeasuredRecall(*settings["recall"])
        return loaded

    @property
    def size(self) -> int:
        """Number of vectors."""
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        """Width of a vector."""
        return int(self._index.d)

    @property
    def recall(self) -> MeasuredRecall:
        """What it finds of the exact neighbours, measured on its own vectors, each without itself.

        Measured when it is first asked for after a change, and saved with the index. Queries unlike the vectors (other
        cameras) may find less.
        """
        if self._recall is None:
            assert self._probe is not None
            found = self.search(self._probe.vectors, NEIGHBOURS + 1)
            self._recall = self._probe.measure(found.indices)
        return self._recall

    def set_parameters(self, parameters: str) -> None:
        """Trades speed for recall: faiss's search parameters, as in :meth:`build`.

        Raises:
            InputError: faiss cannot read them, or they do not belong to this kind.
        """
        with _at_work(self.threads, f"parameters={parameters} of kind={self.kind}"):
            space: Any = faiss.ParameterSpace()
            self._changed()  # also where only some of them can be set
            space.set_index_parameters(self._index, parameters)
        self.parameters = parameters

    def search(self, queries: Array, k: int) -> Neighbours:
        """The k most similar vectors of each query.

        Args:
            queries: (Q, D) at unit length.
            k: at most the size of the index, and at most 2048 on a GPU.

        Raises:
            InputError: the queries are not such vectors, or k is out of range.
        """
        require_vectors(queries, "queries", self.dimension)
        if not 1 <= k <= self.size:
            raise InputError(f"k={k}: the index has {self.size} vectors; choose k from 1 to {self.size}")
        if self.device == "gpu" and k > MOST_NEIGHBOURS_ON_GPU:
            raise InputError(f"k={k}: faiss finds at most {MOST_NEIGHBOURS_ON_GPU} on a GPU; lower k or use device=cpu")
        with _at_work(self.threads, f"a search with kind={self.kind}, parameters={self.parameters or '(defaults)'}"):
            scores, indices = self._searched().search(float32_rows(queries, 0, len(queries)), int(k))
        scores[indices < 0] = -np.inf
        return Neighbours(scores, indices)

    def add(self, vectors: Array, progress: Progress | None = None) -> None:
        """Appends vectors; their indices follow on. Nothing is trained again, none of the old ones touched.

        Args:
            vectors: (N, D) like those it was built from.
            progress: called with the number of vectors added so far.

        Raises:
            InputError: not such vectors, or the index is memory-mapped.
        """
        self._require_in_memory("vectors are added")
        require_vectors(vectors, "vectors", self.dimension)
        self._append(vectors, progress)

    def save(self, path: Path) -> Path:
        """Writes the index, with its parameters and its recall, into one file; replaces an index, and nothing else.

        Raises:
            InputError: the file cannot be written, is no index, or the index is memory-mapped.
        """
        self._require_in_memory("it is saved")
        settings = {name: getattr(self, name) for name in ("kind", "float16", "parameters", "recall")}
        arrays = {} if self._probe is None else vars(self._probe)
        return write_with_note(path, lambda place: faiss.write_index(self._index, place), settings, arrays)

    def _append(self, vectors: Array, progress: Progress | None) -> None:
        for start, rows in parts(vectors):
            first = self.size
            with _at_work(self.threads, f"kind={self.kind}"):
                self._index.add(rows)
                if self._probe is not None:
                    count = min(NEIGHBOURS + 1, len(rows))
                    scores, indices = faiss.knn(self._probe.vectors, rows, count, faiss.METRIC_INNER_PRODUCT)
                    self._probe.offer(scores, indices + first)
            if progress is not None:
                progress(start + len(rows))
        self._changed()

    def _changed(self) -> None:
        self._on_gpus = None
        if self._probe is not None:
            self._recall = None

    def _searched(self) -> Any:
        if self.device == "cpu":
            return self._index
        if self._on_gpus is None:
            options = faiss.GpuMultipleClonerOptions()
            options.shard, options.useFloat16 = True, self.float16
            with _at_work(self.threads, f"kind={self.kind} on GPUs", "use device=cpu"):
                self._on_gpus = faiss.index_cpu_to_all_gpus(self._index, options)
        return self._on_gpus

    def _require_in_memory(self, what: str) -> None:
        if self.memory_mapped:
            raise InputError(f"a memory-mapped index is read only; load it with memory_map=False before {what}")


def check_kind(kind: str, dimension: int, parameters: str = "") -> None:
    """Refuses what :meth:`NeighbourIndex.build` would not understand, before there are vectors."""
    one = NeighbourIndex(_empty_index(kind, dimension, False), None, kind=kind, float16=False, device="cpu", threads=1)
    one.set_parameters(parameters)


def faiss_blocks(query: Array, gallery: Array, threads: int | None = None) -> ScoreBlock:
    """Inner products as faiss's exact flat index on the CPU gives them: all of the gallery for each query.

    Figures from them equal those from :func:`dgreid.evaluation.similarity.embedding_blocks`, which is faster.

    Args:
        query: (Q, D) at unit length.
        gallery: (G, D) likewise; the index holds a float32 copy.
        threads: of the CPU; torch's number by default.

    Raises:
        InputError: not two matrices of finite numbers and of one width.
    """
    index = NeighbourIndex.build(gallery, threads=threads)
    require_vectors(query, "queries", index.dimension)
    return whole_rankings(query, index.search, index.size)


def _empty_index(kind: str, dimension: int, half: bool) -> Any:
    factory = ("SQfp16" if half else "Flat") if kind == EXACT else kind
    with _at_work(None, f"kind={kind} for vectors of {dimension} numbers", f"choose for instance {KINDS}"):
        return faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)


def _device(device: Device) -> Literal["cpu", "gpu"]:
    check_one_of("device", device, ("cpu", "gpu", "auto"))
    gpus = faiss.get_num_gpus()
    if device == "gpu" and not gpus:
        raise InputError("device=gpu: faiss sees no GPU; use device=cpu, or device=auto to use GPUs if there are any")
    return "gpu" if gpus and device != "cpu" else "cpu"


def _reserve(index: Any, count: int) -> None:
    """Room for all vectors: to grow, an array is copied, and for a moment there are two."""
    stored = faiss.downcast_index(index.storage) if isinstance(index, faiss.IndexHNSW) else index
    if isinstance(stored, faiss.IndexFlatCodes):
        stored.codes.resize(count * stored.sa_code_size())
        stored.codes.resize(0)


@contextmanager
def _at_work(threads: int | None, what: str, way_out: str = "") -> Iterator[None]:
    """Calls of faiss: with a number of threads of their own, and with its errors as ours."""
    if _callers - {os.getpid()}:
        raise InputError(
            "faiss hangs in a process forked from one that has used it; search in the main process, or start workers "
            "with the method 'spawn'"
        )
    _callers.add(os.getpid())
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads or torch.get_num_threads())
    try:
        yield
    except RuntimeError as error:
        raise InputError(f"{what}: faiss says: {faiss_reason(error)}" + (f"; {way_out}" if way_out else "")) from error
    finally:
        faiss.omp_set_num_threads(before)
