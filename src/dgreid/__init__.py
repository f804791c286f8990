"""Domain-generalizable person re-identification: M3L, IL and their baselines.

Importing this package loads none of Lightning, Hydra, wandb or faiss.
"""

__version__ = "0.1.0"
