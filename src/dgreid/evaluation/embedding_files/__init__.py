"""Files of embeddings, of any program: reading, writing, scoring and comparing them."""

from dgreid.evaluation.embedding_files.embedding_file import (
    GALLERY,
    QUERY,
    EmbeddingSet,
    read_embeddings,
    write_embeddings,
)

__all__ = ["GALLERY", "QUERY", "EmbeddingSet", "read_embeddings", "write_embeddings"]
