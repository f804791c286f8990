"""Domain-generalizable person re-identification: M3L, IL and their baselines.

Importing this package loads none of Lightning, Hydra, wandb or faiss: the names below are imported when they are first
asked for. Their types are in ``__init__.pyi``.
"""

import importlib

__version__ = "0.1.0"

_HOMES = {
    "dgreid.batch_parts": ("BatchParts",),
    "dgreid.centroids": ("class_centroids",),
    "dgreid.data.domains.base": ("Domain", "domain_info"),
    "dgreid.data.domains.csv_list": ("CSVDomain",),
    "dgreid.data.domains.cuhk03": ("CUHK03",),
    "dgreid.data.domains.cuhk_sysu": ("CUHKSYSU",),
    "dgreid.data.domains.cuhknp": ("CUHKNP",),
    "dgreid.data.domains.dukemtmc": ("DukeMTMC",),
    "dgreid.data.domains.folder": ("FolderDomain",),
    "dgreid.data.domains.market1501": ("Market1501",),
    "dgreid.data.domains.msmt17v1": ("MSMT17V1",),
    "dgreid.data.domains.msmt17v2": ("MSMT17V2",),
    "dgreid.data.domains.synthetic": ("SyntheticCampus", "SyntheticNight", "SyntheticPlaza", "SyntheticStation"),
    "dgreid.data.images": ("FileCrops", "ImageError"),
    "dgreid.data.loading": ("batch_loader",),
    "dgreid.data.modules": ("DomainDataModule", "MultiDomainDataModule"),
    "dgreid.data.sampling": ("IdentitySampler",),
    "dgreid.data.sets": ("PlainImages", "RetrievalSet", "TrainingImages", "retrieval_set"),
    "dgreid.data.transforms": ("TrainTransform", "normalise"),
    "dgreid.draws": ("SeededDraws",),
    "dgreid.errors": ("InputError",),
    "dgreid.evaluation.bootstrap": ("paired_difference",),
    "dgreid.evaluation.expansion": ("average_query_expansion",),
    "dgreid.evaluation.labels": ("Labels",),
    "dgreid.evaluation.ranking": (
        "RetrievalResult", "evaluate_blocks", "evaluate_embeddings", "evaluate_similarities",
    ),
    "dgreid.evaluation.reranking": ("reranked_blocks",),
    "dgreid.evaluation.verification": ("evaluate_verification",),
    "dgreid.losses": ("batch_hard_triplet",),
    "dgreid.memory": ("MemoryBank", "memory_loss"),
    "dgreid.module": ("ReIDModule",),
    "dgreid.nets.reid": ("ReIDNet",),
    "dgreid.nets.resnet": ("resnet50", "resnet50_ibn_a"),
    "dgreid.nets.small": ("small",),
    "dgreid.run.load": ("LoadedRun", "load_run"),
    "dgreid.search.embedding": ("embed_images",),
    "dgreid.strategies.base": ("EmbeddingNet", "TrainingStrategy"),
    "dgreid.strategies.fb": ("FB",),
    "dgreid.strategies.fbf": ("FBF",),
    "dgreid.strategies.il": ("IL",),
    "dgreid.strategies.m3l": ("M3L",),
    "dgreid.strategies.memory_based": ("MemoryStrategy",),
    "dgreid.strategies.softmax_triplet": ("SoftmaxTriplet",),
    "dgreid.style": ("DSU", "MixStyle", "Style", "Swap", "Uniform", "styled"),
    "dgreid.testing": ("check_strategy",),
    "dgreid.types": ("Clock", "DomainInfo", "Features", "ReIDBatch", "ReIDRecord", "StepResult"),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__"]
__all__ += list(_HOME_OF)


def __getattr__(name: str) -> object:
    """Imports what is asked for from where it lives."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'dgreid' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """All names, those not yet imported too."""
    return sorted({*globals(), *__all__})
