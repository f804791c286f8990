"""The files of a report: each shows what the tables say, and what a run's files hold stays text."""

from __future__ import annotations

import csv
import io
import re

import pytest
from made_runs import made, method

from dgreid.errors import InputError
from dgreid.report.comparison import Resampling
from dgreid.report.latex import latex_report, latex_table
from dgreid.report.markdown import markdown_table
from dgreid.report.table import Cell, Column, Line, Table
from dgreid.report.text import plain, table_value
from dgreid.report.writing import FORMATS, check_writable, make_report, write_report

RESAMPLING = Resampling(resamples=200)
NASTY = '[*] <script>alert("1")</script> & [x](http://elsewhere) | `a` $\\input{/etc/passwd}$ %#_^~\x1b[2J\u202e'
PUBLISHED = (Cell("IL", "IL", notes=("a paper",)), Cell("65.8", 0.658), Cell(), Cell("-1.0"))
MEASURED = (
    Cell("fb", "fb"), Cell("50.0 ± 1.0", 0.5, best=True), Cell("60.0", 0.6, notes=("1 of 2", "a paper")), Cell("3"),
)  # fmt: skip
TABLE = Table(
    "Results",
    ("A sentence.",),
    (Column("method", numeric=False), Column("mAP", "a"), Column("Rank-1", "a"), Column("seeds")),
    (
        Line(MEASURED),
        Line(PUBLISHED, "published"),
    ),
)  # fmt: skip


@pytest.fixture
def report(tmp_path):
    runs = method(tmp_path / "runs", "fb", (0.4, 0.41, 0.42)) + method(tmp_path / "runs", "il", (0.6, 0.61, 0.62))
    return make_report(runs, None, RESAMPLING)


def test_markdown():
    assert markdown_table(TABLE) == (
        "## Results\n\nA sentence.\n\n| method | a mAP | a Rank-1 | seeds |\n| --- | ---: | ---: | ---: |\n"
        "| fb | **50.0 ± 1.0** | 60.0 (1,2) | 3 |\n| IL (2) | 65.8 | - | -1.0 |\n\n1. 1 of 2\n2. a paper"
    )


def test_latex():
    assert latex_table(TABLE).splitlines()[4:-5] == [
        r"\begin{tabular}{lrrr}",
        r"\toprule",
        r" & \multicolumn{2}{c}{a} &  \\",
        r"\cmidrule(lr){2-3}",
        r"method & mAP & Rank-1 & seeds \\",
        r"\midrule",
        r"fb & \textbf{50.0 $\pm$ 1.0} & 60.0\textsuperscript{1,2} & 3 \\",
        r"\midrule",
        r"IL\textsuperscript{2} & 65.8 & - & $-$1.0 \\",
        r"\bottomrule",
    ]


def columns_of(line):
    """How many columns a line of a tabular fills."""
    spans = [int(count) for count in re.findall(r"\\multicolumn\{(\d+)\}", line)]
    return len(re.findall(r"(?<!\\)&", line)) + 1 + sum(spans) - len(spans)


def check_latex(text):
    """Everything short of compiling: groups and environments are closed, lines fill their table, signs are escaped."""
    bare = re.sub(r"\\[\\{}&%$#_]", "", text)
    assert re.search(r"[^\x00-\x7f]", re.sub(r"[^\W\d_]", "", bare)) is None  # letters alone are not ASCII
    depth = 0
    for sign in bare:
        depth += (sign == "{") - (sign == "}")
        assert depth >= 0
    assert depth == 0
    assert re.search(r"\\\\\s*[\[*]", text) is None  # would be an option of the line's end
    assert bare.count("$") % 2 == 0
    assert re.search(r"(?<!l)%(?!\n)|#|\^|~", bare) is None
    open_ones = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            open_ones.append(name)
        else:
            assert open_ones.pop() == name
    assert open_ones == []
    for columns, body in re.findall(r"\\begin\{tabular\}\{([lr]+)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL):
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert {columns_of(line) for line in lines} == {len(columns)}
        for first, last in re.findall(r"\\cmidrule\(lr\)\{(\d+)-(\d+)\}", body):
            assert 1 <= int(first) <= int(last) <= len(columns)


def test_latex_is_well_formed(report):
    check_latex(latex_report([table for tables in report.tables for table in tables]))


def test_latex_of_nasty_names_is_well_formed():
    nasty = Table(NASTY, (NASTY,), (Column(NASTY, NASTY),), (Line((Cell(NASTY, notes=(NASTY,)),)),))
    text = latex_report([nasty])
    check_latex(text)
    assert r"\input" not in text.replace(r"\textbackslash{}input", "")


@pytest.mark.parametrize("broken", [r"\begin{tabular}{lr}" "\na \\\\\n" r"\end{tabular}", "{", "a & 5% b", "50 ± 1"])
def test_the_check_notices(broken):
    with pytest.raises(AssertionError):
        check_latex(broken)


def test_markdown_of_nasty_names_is_text():
    nasty = Table(NASTY, (NASTY,), (Column(NASTY),), (Line((Cell(NASTY),)),))
    text = markdown_table(nasty)
    assert re.search(r"(?<!\\)[<`]|\](?<!\\\])\(|[\x00-\x09\x0b-\x1f\u202e]", text) is None
    (cell,) = re.split(r"(?<!\\)\|", text.splitlines()[-1])[1:-1]
    assert "elsewhere" in cell


@pytest.mark.parametrize(
    ("text", "value"), [("=1+1", "'=1+1"), ("-5.2", "-5.2"), ("+0.1e-5", "+0.1e-5"), ("@a", "'@a"), ("a\rb", "a?b")]
)
def test_no_value_is_a_formula(text, value):
    assert table_value(text) == value


def test_long_text_is_cut():
    assert len(plain("a" * 10_000)) == 300


def test_the_csv_file_has_every_figure(report, tmp_path):
    (path,) = write_report(report, tmp_path, ["csv"])
    lines = list(csv.DictReader(io.StringIO(path.read_text())))
    (il,) = (line for line in lines if line["kind"] == "measured" and line["method"] == "il")
    row = report.sheets[0].row("il")
    figures = [100 * run.row("market1501")["mAP"] for run in row.runs]
    assert float(il["mAP"]) == pytest.approx(sum(figures) / 3, abs=1e-4)
    assert (il["seeds"], il["baseline"], il["interval_covers"], il["protocol"]) == (
        "3",
        "fb",
        "queries and seeds",
        "p3",
    )
    assert float(il["mAP_low"]) < float(il["mAP_difference"]) < float(il["mAP_high"])
    (released,) = (line for line in lines if (line["method"], line["target"]) == ("IL, ResNet-50", "market1501"))
    assert (released["kind"], released["mAP"], released["rank1"]) == ("published", "72.0", "88.5")
    assert "TMM 2023" in released["source"]


def test_the_baseline(tmp_path):
    runs = method(tmp_path, "fb", (0.4,)) + method(tmp_path, "il", (0.6,))
    assert [row.name for row in make_report(runs, None, RESAMPLING).baselines] == ["fb"]
    assert [row.name for row in make_report(runs, "il", RESAMPLING).baselines] == ["il"]
    assert make_report(runs[1:], None, RESAMPLING).baselines == [None]
    with pytest.raises(InputError, match=r"baseline=m3l: no such row in p3; .*fb, il"):
        make_report(runs, "m3l", RESAMPLING)


def test_runs_without_a_result_are_counted(tmp_path):
    runs = [made(tmp_path / "a"), made(tmp_path / "b", seed=1, scored=False)]
    assert make_report(runs, None, RESAMPLING).unfinished == 1
    with pytest.raises(InputError, match=r"none of the 1 runs has a result; .* status"):
        make_report(runs[1:], None, RESAMPLING)


def test_an_earlier_report_is_replaced_only_if_asked(report, tmp_path):
    folder = tmp_path / "report"
    check_writable(folder, list(FORMATS), overwrite=False)
    assert [path.name for path in write_report(report, folder, list(FORMATS))] == list(FORMATS.values())
    with pytest.raises(
        InputError, match=r"holds report.md, report.tex, report.csv, report.html already; .*--overwrite"
    ):
        check_writable(folder, list(FORMATS), overwrite=False)
    check_writable(folder, list(FORMATS), overwrite=True)
    with pytest.raises(InputError, match="a file has that name"):
        check_writable(folder / "report.md", ["csv"], overwrite=True)
