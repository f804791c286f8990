"""Pictures as PNG files. matplotlib is imported when one is drawn, and never opens a window."""

from dgreid.evaluation.figures.activations import activation_maps
from dgreid.evaluation.figures.curves import cmc_curves, precision_recall_curves, training_curves
from dgreid.evaluation.figures.embedding_plane import embedding_map
from dgreid.evaluation.figures.gallery import ranked_gallery
from dgreid.evaluation.figures.histograms import similarity_histograms

__all__ = [
    "activation_maps",
    "cmc_curves",
    "embedding_map",
    "precision_recall_curves",
    "ranked_gallery",
    "similarity_histograms",
    "training_curves",
]
