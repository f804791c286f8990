"""The model card: what the weights are, where they come from, what was measured, and what nobody has measured."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from dgreid.evaluation.scoring import COSINE
from dgreid.export.provenance import RULES, selection_rule, withdrawn
from dgreid.export.subject import Subject
from dgreid.export.weights_file import WEIGHTS, can_be_built
from dgreid.run.folder import of_the_machine
from dgreid.run.protocols import told

CARD = "model_card.md"
METRICS = {"mAP": "mAP", "rank1": "Rank-1", "rank5": "Rank-5", "rank10": "Rank-10", "mINP": "mINP"}
ABSOLUTE = re.compile(r"(~|/|[A-Za-z]:[\\/])")


def model_card(subject: Subject, rows: Sequence[Mapping[str, Any]]) -> str:
    """The card, in the form that Hugging Face reads: YAML between dashes, then Markdown.

    Args:
        subject: what is exported.
        rows: as :func:`measured` gives them.
    """
    sections = {
        "Use": _use(subject),
        "Evaluation": _evaluation(subject, rows),
        "Training data": _training_data(subject),
        "Configuration": _configuration(subject),
        "Intended use and limits": LIMITS,
    }
    warnings = "".join(f"> **Warning.** {line[0].upper()}{line[1:]}.\n\n" for line in withdrawn(subject))
    head = f"---\n{_yaml(_header(subject, rows))}---\n\n# {_title(subject)}\n\n{warnings}{_summary(subject)}\n"
    return head + "".join(f"\n## {title}\n\n{text}\n" for title, text in sections.items())


LIMITS = """\
Made for research on person re-identification: ranking images of people by how likely they show the same person.

* A high similarity is no proof of identity. What is compared is mostly clothing and build, so the same person in other
  clothes may be missed and another in the same clothes found. Decisions about a person must not rest on it.
* The numbers above hold for the data sets named there. Other cameras, seasons, resolutions and detectors give other,
  often lower ones: measure on your own before use. Errors by age, gender or skin colour were not measured.
* An image is the crop of one whole standing person. Anything else gets an embedding too, without a meaning.
* Searching images of people for a person is restricted by law in many places, and the data sets have terms of their
  own, which may bind weights that were trained on them. No licence was chosen for these weights: `license: other`."""


def _title(subject: Subject) -> str:
    return f"{subject.facts['strategy']} trained on {', '.join(subject.facts['sources'])}"


def _header(subject: Subject, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    task = {"type": "image-feature-extraction", "name": "Person re-identification"}
    results = [
        {
            "task": task,
            "dataset": {"type": row["target"], "name": row["target"]},
            "metrics": [{"type": key, "name": name, "value": row[key]} for key, name in METRICS.items() if key in row],
        }
        for row in rows
        if row["ranking"] == COSINE
    ]
    return {
        "library_name": "dgreid",
        "pipeline_tag": "image-feature-extraction",
        "license": "other",
        "license_name": "not-chosen",
        "tags": ["person-re-identification", "domain-generalization", "image-retrieval"],
        "datasets": list(subject.facts["sources"]),
        "metrics": [METRICS[key] for key in METRICS if any(key in row for row in rows)],
        **({"model-index": [{"name": _title(subject), "results": results}]} if results else {}),
    }


def _summary(subject: Subject) -> str:
    facts = subject.facts
    return (
        f"Embeds images of people: {facts['embedding_dimension']} numbers of unit length for each "
        f"{facts['height']}\u00d7{facts['width']} RGB image, to be compared by their inner product. Trained with "
        f"dgreid {facts['dgreid_version']}, strategy `{facts['strategy']}`, seed {subject.record['seed']}, "
        f"{facts['step']} steps.\n\n"
        f"Images are resized by {facts['interpolation']} interpolation and given as values in [0, 1]; they are "
        f"normalised by mean {facts['mean']} and standard deviation {facts['std']} inside the loaded net. "
        f"Sha256 of the tensors: `{facts['weights_sha256']}`."
    )


def _use(subject: Subject) -> str:
    facts = subject.facts
    if not can_be_built(facts):
        return (
            f"The tensors of `{WEIGHTS}` belong to a module that is not part of dgreid "
            f"(net `{facts['net'].get('_target_')}`, strategy `{subject.config['strategy'].get('_target_')}`). Build "
            "it, then `dgreid.export.weights_file.load_exported(folder, net=module)` fills it."
        )
    size = f"({facts['width']}, {facts['height']})"
    return f"""\
```python
from PIL import Image
from torchvision.transforms.functional import to_tensor
from dgreid.export.weights_file import load_exported
person = to_tensor(Image.open("person.jpg").convert("RGB").resize({size}, Image.Resampling.BICUBIC))
embedding = load_exported("<this folder>")(person[None])
```

To measure it on a data set of your own, or of dgreid's catalogue:

```bash
python -m dgreid.evaluate checkpoint={WEIGHTS} {_net_words(facts)} \\
  data.height={facts["height"]} data.width={facts["width"]} target=<name>
```"""


def _net_words(facts: Mapping[str, Any]) -> str:
    """The net as the command line names it; what concerns training alone is left out."""
    name = facts["net"]["_target_"].rpartition(".")[2]
    words = [f"net.{key}={str(facts['net'][key]).lower()}" for key in ("stem_relu", "width") if key in facts["net"]]
    return " ".join([f"net={name}", *words])


def _evaluation(subject: Subject, rows: Sequence[Mapping[str, Any]]) -> str:
    rule = selection_rule(subject)
    chosen = f"Selection: `{rule}`, {RULES.get(rule, 'a checkpoint that was named by hand')}."
    if not rows:
        return f"{chosen}\n\nThe run's result has no numbers of these weights."
    shown = {key: name for key, name in METRICS.items() if key in rows[0]}
    table = [
        f"| target | | ranking | {' | '.join(shown.values())} | queries |",
        f"| --- | --- | --- |{' ---: |' * (len(shown) + 1)}",
        *(
            f"| {row['target']} | {row['domain']} | {row['ranking']} | "
            f"{' | '.join(f'{row[key]:.4f}' for key in shown)} | {row['queries']} |"
            for row in rows
        ),
    ]
    return " ".join([chosen, *_protocol(subject), *_conditions(subject)]) + "\n\n" + "\n".join(table)


def _protocol(subject: Subject) -> list[str]:
    """Which protocol was followed, or in what it was not."""
    followed = told(subject.record)
    if followed["variant"]:
        return [f"A variant of the protocol `{followed['protocol']}`: {'; '.join(followed['variant'])}."]
    return [f"Protocol: `{followed['protocol']}`."] if followed["protocol"] else []


def _conditions(subject: Subject) -> list[str]:
    """What the numbers were measured with besides the weights."""
    said = []
    if subject.record["preprocessing"]["flip_average"]:
        said.append("Measured with the mean of the embeddings of each image and its mirror image.")
    if subject.config.get("metric", {}).get("same_camera") == "keep":
        said.append("Gallery images of a query's identity and camera count as matches.")
    return said


def _training_data(subject: Subject) -> str:
    weights = subject.record["weights"]
    lines = [
        "| source | identities | images | cameras | sha256 of the list of images |",
        "| --- | ---: | ---: | ---: | --- |",
        *(
            f"| {s['name']} | {s['identities']} | {s['images']} | {s['cameras']} | `{s['list_hash']}` |"
            for s in subject.record["sources"]
        ),
    ]
    of_file = f", sha256 `{weights['sha256']}`" if weights.get("sha256") else ""
    first = _without_folder(str(weights.get("source", "not recorded")))
    use = "the training sets" if subject.record["use"] == "train" else "training, query and gallery sets"
    return f"Trained on {use} of these domains, from first weights `{first}`{of_file}.\n\n" + "\n".join(lines)


def _configuration(subject: Subject) -> str:
    facts, packages = subject.facts, subject.record["environment"]["packages"]
    return (
        f"Fingerprint of the run: `{facts['run_fingerprint']}`; torch {packages.get('torch')}, "
        f"dgreid {packages.get('dgreid')}. Folders of the machine that trained it are left out.\n\n"
        f"```yaml\n{_yaml(_without_places(subject.config))}```"
    )


def _without_places(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """What a run is, without where it was computed; of a path only the last part."""
    kept: dict[str, Any] = {}
    for key, value in config.items():
        if of_the_machine(f"{prefix}{key}"):
            continue
        kept[key] = _without_places(value, f"{prefix}{key}.") if isinstance(value, Mapping) else value
        if isinstance(value, str):
            kept[key] = _without_folder(value)
    return kept


def _without_folder(value: str) -> str:
    return re.split(r"[\\/]", value.rstrip("\\/"))[-1] if ABSOLUTE.match(value) else value


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=120)
