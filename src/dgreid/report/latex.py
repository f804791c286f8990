r"""Tables as LaTeX for ``\usepackage{booktabs}``, in environments that can be pasted into a paper."""

from __future__ import annotations

from collections.abc import Sequence

from dgreid.report.table import Cell, Table, groups
from dgreid.report.text import latex


def latex_report(tables: Sequence[Table]) -> str:
    """A document that compiles by itself; each table in it can be taken out."""
    return "\n".join(
        (
            r"\documentclass{article}",
            r"\usepackage[T1]{fontenc}",
            r"\usepackage[utf8]{inputenc}",
            r"\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}",
            r"\usepackage{booktabs}",
            r"\usepackage{graphicx}",
            r"\usepackage[margin=1.5cm,landscape]{geometry}",
            r"\begin{document}",
            *(f"\n{latex_table(table)}" for table in tables),
            "",
            r"\end{document}",
            "",
        )
    )


def latex_table(table: Table) -> str:
    """One table, as wide as the text at most; published rows stand below a rule."""
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{' '.join(map(latex, (table.title + '.', *table.text)))}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{''.join('r' if column.numeric else 'l' for column in table.columns)}}}",
        r"\toprule",
        *_headings(table),
        r"\midrule",
        *_body(table),
        r"\bottomrule",
        r"\end{tabular}}",
    ]
    if table.notes:
        notes = (rf"\textsuperscript{{{mark}}} {latex(note)}" for note, mark in table.notes.items())
        lines += ["", r"\smallskip", rf"\parbox{{\linewidth}}{{\footnotesize {'; '.join(notes)}.}}"]
    return "\n".join((*lines, r"\end{table}"))


def _headings(table: Table) -> list[str]:
    names = " & ".join(latex(column.name) for column in table.columns) + r" \\"
    found = groups(table.columns)
    if not any(name for name, _ in found):
        return [names]
    heads, rules, place = [], [], 1
    for name, count in found:
        heads.append(rf"\multicolumn{{{count}}}{{c}}{{{latex(name)}}}" if name else "")
        if name:
            rules.append(rf"\cmidrule(lr){{{place}-{place + count - 1}}}")
        place += count
    return [" & ".join(heads) + r" \\", "".join(rules), names]


def _body(table: Table) -> list[str]:
    lines = []
    for place, line in enumerate(table.lines):
        if place and line.kind != table.lines[place - 1].kind:
            lines.append(r"\midrule")
        lines.append(" & ".join(_cell(cell, table) for cell in line.cells) + r" \\")
    return lines


def _cell(cell: Cell, table: Table) -> str:
    text = latex(cell.text)
    marks = table.marks(cell)
    return (rf"\textbf{{{text}}}" if cell.best else text) + (rf"\textsuperscript{{{marks}}}" if marks else "")
