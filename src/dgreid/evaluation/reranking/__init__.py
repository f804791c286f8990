"""k-reciprocal re-ranking in blocks of queries, from embeddings or from a matrix."""

from dgreid.evaluation.reranking.k_reciprocal import reranked_blocks, reranked_matrix_blocks

__all__ = ["reranked_blocks", "reranked_matrix_blocks"]
