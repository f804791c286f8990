"""One of the processes of a small run: ``python one_rank.py <file for its weights> <override> ...``."""

import sys
from pathlib import Path

import torch
from small_runs import composed

from dgreid.run import training


def main() -> None:
    """Trains, and keeps the weights as training left them on this rank."""
    target, overrides = Path(sys.argv[1]), sys.argv[2:]
    fit = training._fit

    def fit_and_keep(trainer, module, *args):
        fit(trainer, module, *args)
        torch.save(module.state_dict(), target)

    training._fit = fit_and_keep
    torch.set_num_threads(1)
    training.train(composed(overrides))


if __name__ == "__main__":
    main()
