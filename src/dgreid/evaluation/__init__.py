"""Retrieval: from embeddings to figures, pictures and tables."""
