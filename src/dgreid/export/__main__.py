"""``python -m dgreid.export``: see ``conf/export.yaml``."""

from __future__ import annotations

import logging
from pathlib import Path

from omegaconf import DictConfig

from dgreid.errors import InputError
from dgreid.export.exporting import export_run
from dgreid.run.compose import command
from dgreid.run.guards import names
from dgreid.run.trust import trusted_modules


def export(config: DictConfig) -> None:
    """Writes the file or folder that was asked for, and says what it is.

    Raises:
        InputError: no such run, checkpoint or format; something is in the way; or the export differs from the run.
    """
    given = {key: names(config[key], key) for key in ("run", "checkpoint")}
    for key, values in given.items():
        if len(values) > 1:
            raise InputError(f"{key} names {len(values)}: one at a time, or several by -m {key}={','.join(values)}")
    trust = trusted_modules(config.trust)
    output = None if config.output is None else Path(config.output)
    for library in ("onnx_ir", "onnxscript"):  # they report each pass over the graph
        logging.getLogger(library).setLevel(logging.WARNING)
    lines = export_run(Path(given["run"][0]), config.format, given["checkpoint"][0], config.target, output, trust)
    print("\n".join(lines))


main = command(export, "export")

if __name__ == "__main__":
    main()
