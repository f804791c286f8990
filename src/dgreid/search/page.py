"""Answers as one HTML page with the pictures in it, to be opened from disk or sent to someone."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path

from PIL import Image

from dgreid.data.images import ImageError, read_image
from dgreid.html import html_page
from dgreid.search.answers import Answer, Answers, Hit
from dgreid.search.images import SearchImage, as_text
from dgreid.search.index_folder import Metadata

WIDTH, HEIGHT = 144, 216  # pixels that a picture fits into
QUALITY = 85
QUERIES_SHOWN = 200
SKIPPED_NAMED = 5
DIGITS = 12
STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: #2a6fdb; --warn: #c2660a; }
* { box-sizing: border-box; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; padding: 1.5rem; max-width: 100rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
.facts, .note { color: GrayText; margin: .2rem 0; overflow-wrap: anywhere; }
.note { color: inherit; background: var(--soft); border-left: 3px solid var(--warn);
  margin-top: .6rem; padding: .6rem .8rem; }
section { border-top: 1px solid var(--line); padding: 1.1rem 0; display: flex; gap: 1.25rem; }
section:first-of-type { margin-top: 1rem; }
ol { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .65rem; }
figure { margin: 0; width: 6.75rem; flex: none; font-size: .8rem; }
figure > .picture { height: 10.5rem; display: flex; align-items: center; justify-content: center;
  background: var(--soft); border: 2px solid transparent; border-radius: 4px; overflow: hidden; }
figure img { width: 100%; height: 100%; object-fit: contain; display: block; }
.query > .picture { border-color: var(--accent); }
.below > .picture { opacity: .35; }
figcaption { overflow-wrap: anywhere; margin-top: .3rem; }
.score { font-weight: 600; font-variant-numeric: tabular-nums; }
.path { color: GrayText; display: block; }
.nobody { color: var(--warn); font-weight: 600; }
.missing { padding: .5rem; text-align: center; color: GrayText; }
@media (max-width: 40rem) { section { flex-direction: column; } }
"""


def answers_page(answers: Answers) -> str:
    """The page; it asks nothing of any network, and no name of a file can change what it says.

    Pictures are reduced; those that are gone since the index was made are named without one. Of very many queries the
    first 200 are shown.

    Args:
        answers: of any number of queries.
    """
    shown = answers.answers[:QUERIES_SHOWN]
    sections = "\n".join(_section(answer, answers.threshold is not None) for answer in shown)
    count = len(answers.answers)
    rest = (
        f'<p class="note">The first {QUERIES_SHOWN} of {count:,} queries; answers.json has all of them.</p>'
        if count > QUERIES_SHOWN
        else ""
    )
    body = f"""<h1>Who is this?</h1>
{_facts(answers)}
{rest}{_skipped(answers)}
{sections}"""
    return html_page("Who is this?", STYLE, body)


def _facts(answers: Answers) -> str:
    metadata = answers.index.metadata
    queries = len(answers.answers)
    lines = [
        f"{queries:,} quer{'y' if queries == 1 else 'ies'} among {metadata.images:,} images of "
        f"{', '.join(metadata.gallery)}",
        f"index {answers.index.path.absolute()} ({_kind(metadata)})",
        f"net {metadata.weights.run}, checkpoint {metadata.weights.checkpoint} (step {metadata.weights.step}, weights "
        f"{metadata.weights.sha256[:DIGITS]})",
    ]
    facts = "\n".join(f'<p class="facts">{_safe(line)}</p>' for line in lines)
    if answers.threshold is None:
        return facts
    nobody = sum(answer.nobody for answer in answers.answers)
    explained = answers.threshold.explained(metadata.images)
    said = f"Nobody in the gallery: {nobody:,} of {queries:,}. {explained[0].upper()}{explained[1:]}."
    return f'{facts}\n<p class="note">{_safe(said)}</p>'


def _skipped(answers: Answers) -> str:
    count = len(answers.skipped)
    if not count:
        return ""
    first = ", ".join(Path(skipped.path).name for skipped in answers.skipped[:SKIPPED_NAMED])
    names = f"{first}{', ...' if count > SKIPPED_NAMED else ''}"
    return f'<p class="note">Without {count:,} that cannot be read: {_safe(names)}.</p>'


def _kind(metadata: Metadata) -> str:
    if metadata.recall is None:
        return "exact search"
    recall = f"finds {100 * metadata.recall['at_1']:.1f} % of nearest neighbours first"
    return f"{metadata.kind}{' ' + metadata.parameters if metadata.parameters else ''}, {recall}"


def _section(answer: Answer, has_threshold: bool) -> str:
    verdict = '<br><span class="nobody">nobody in the gallery</span>' if has_threshold and answer.nobody else ""
    hits = "\n".join(f"<li>{_hit(hit)}</li>" for hit in answer.hits)
    query = _figure(answer.query, f"query{verdict}", "query")
    return f"<section>\n{query}\n<ol>\n{hits}\n</ol>\n</section>"


def _hit(hit: Hit) -> str:
    label = f'{hit.rank} · <span class="score">{hit.score:.3f}</span>' + (
        "" if hit.accepted else "<br>below the threshold"
    )
    return _figure(hit.image, label, "hit" if hit.accepted else "hit below")


def _figure(image: SearchImage, label: str, kind: str) -> str:
    known = "".join(
        f"<br>{word} {_safe(value)}"
        for word, value in (("identity", image.identity), ("camera", image.camera))
        if value
    )
    path = _safe(image.path)
    name = f'<span class="path" title="{path}">{_safe(Path(image.path).name)}</span>'
    return (
        f'<figure class="{kind}"><div class="picture">{_picture(image)}</div>'
        f"<figcaption>{label}{known}{name}</figcaption></figure>"
    )


def _picture(image: SearchImage) -> str:
    try:
        data = thumbnail(Path(image.path))
    except ImageError:
        return '<span class="missing">the image is no longer there</span>'
    return f'<img alt="{_safe(Path(image.path).name)}" src="data:image/jpeg;base64,{data}">'


def thumbnail(path: Path) -> str:
    """A reduced image as base64 of a JPEG.

    Raises:
        ImageError: it cannot be read.
    """
    picture = Image.fromarray(read_image(path))
    picture.thumbnail((WIDTH, HEIGHT))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=QUALITY)
    return base64.b64encode(content.getvalue()).decode("ascii")


def _safe(text: str) -> str:
    return escape(as_text(text), quote=True)
