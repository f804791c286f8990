"""The report as one HTML page that opens from disk, asks no network for anything and runs only its own script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files

from dgreid.html import html_page
from dgreid.report.pictures import Picture
from dgreid.report.table import Cell, Column, Table, groups
from dgreid.report.text import plain

STYLE, SCRIPT = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
FOLDED = ("Runs", "Cost", "What else differs")
WIDE = ("Matrices", "Ranked galleries")


def page(tables: Mapping[str, Sequence[Table]], pictures: Mapping[str, Sequence[Picture]], facts: Sequence[str]) -> str:
    """The page.

    Args:
        tables: of each protocol, by its title.
        pictures: likewise.
        facts: lines below the heading.
    """
    sections = "\n".join(
        _section(title, number, found, pictures.get(title, ())) for number, (title, found) in enumerate(tables.items())
    )
    links = "".join(f'<a href="#part{number}">{_safe(title)}</a>' for number, title in enumerate(tables))
    body = f"""<header>
<h1>Report</h1>
{"".join(f'<p class="facts">{_safe(fact)}</p>' for fact in facts)}
{f"<nav>{links}</nav>" if len(tables) > 1 else ""}
</header>
<main>
{sections}
</main>"""
    return html_page("dgreid: report", STYLE, body, SCRIPT)


def _section(title: str, number: int, tables: Sequence[Table], pictures: Sequence[Picture]) -> str:
    tables = [table._replace(title=table.title.removesuffix(f": {title}")) for table in tables]
    parts = [_table(table) for table in tables if not table.title.startswith(FOLDED)]
    parts += [_gallery(section, pictures) for section in dict.fromkeys(picture.section for picture in pictures)]
    parts += [
        _folded(table.title, _table(table._replace(title=""))) for table in tables if table.title.startswith(FOLDED)
    ]
    return f'<section id="part{number}">\n<h2>{_safe(title)}</h2>\n' + "\n".join(parts) + "\n</section>"


def _folded(title: str, content: str, is_open: bool = False) -> str:
    return f"<details{' open' if is_open else ''}><summary>{_safe(title)}</summary>\n{content}\n</details>"


def _gallery(section: str, pictures: Sequence[Picture]) -> str:
    shown = [picture for picture in pictures if picture.section == section]
    figures = "\n".join(
        f'<figure><img alt="{_safe(picture.title)}" src="{picture.address}"><figcaption>{_safe(picture.title)}'
        "</figcaption></figure>"
        for picture in shown
    )
    kind = "pictures wide" if section in WIDE else "pictures"
    return _folded(section, f'<div class="{kind}">\n{figures}\n</div>', section == "Matrices")


def _table(table: Table) -> str:
    heads = _heads(table.columns)
    lines = "\n".join(
        f'<tr class="{line.kind}">{"".join(map(_cell, line.cells, table.columns, [table] * len(line.cells)))}</tr>'
        for line in table.lines
    )
    title = f"<h3>{_safe(table.title)}</h3>\n" if table.title else ""
    text = "".join(f'<p class="note">{_safe(sentence)}</p>' for sentence in table.text)
    notes = "".join(f"<li>{_safe(note)}</li>" for note in table.notes)
    return (
        f"{title}{text}\n"
        f'<div class="scroll"><table>\n<thead>{heads}</thead>\n<tbody>\n{lines}\n</tbody>\n</table></div>\n'
        + (f'<ol class="notes">{notes}</ol>' if notes else "")
    )


def _heads(columns: Sequence[Column]) -> str:
    found = groups(columns)
    above = "".join(
        f'<th colspan="{count}"{" class=group" if name else ""}>{_safe(name)}</th>' for name, count in found
    )
    names = "".join(
        f'<th class="{"number" if column.numeric else "text"}"><button type="button">{_safe(column.name)}</button></th>'
        for column in columns
    )
    return (f"<tr>{above}</tr>" if any(name for name, _ in found) else "") + f"<tr>{names}</tr>"


def _cell(cell: Cell, column: Column, table: Table) -> str:
    value = "" if cell.value is None else f' data-value="{_safe(str(cell.value))}"'
    kind = "number" if column.numeric else "text"
    text = f"<strong>{_safe(cell.text)}</strong>" if cell.best else _safe(cell.text)
    marks = table.marks(cell)
    return f'<td class="{kind}"{value}>{text}{f"<sup>{marks}</sup>" if marks else ""}</td>'


def _safe(text: str) -> str:
    return escape(plain(text), quote=True)
