"""``python -m dgreid.evaluate``: see ``conf/evaluate.yaml``."""

from __future__ import annotations

from dgreid.run.compose import command
from dgreid.run.evaluating import evaluate

main = command(evaluate, "evaluate")

if __name__ == "__main__":
    main()
