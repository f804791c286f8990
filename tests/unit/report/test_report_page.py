"""The page: whole by itself, safe with any name, sorted by a click, without an error in the browser."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from made_runs import make_run, method
from PIL import Image

from dgreid.errors import InputError
from dgreid.report.comparison import Resampling
from dgreid.report.page import SCRIPT
from dgreid.report.pictures import cmc
from dgreid.report.reading import read_run
from dgreid.report.writing import make_report, write_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome on the PATH")
CLICK = """
const table = document.querySelector("table"), column = %d;
for (let times = 0; times < %d; times++) table.tHead.rows[table.tHead.rows.length - 1].cells[column].firstChild.click();
document.title = [...table.tBodies[0].rows].map(row => row.cells[column].dataset.value ?? "none").join(";");
"""


def page_of(folder, runs):
    (path,) = write_report(make_report(runs, None, Resampling(resamples=100)), folder / "report", ["html"])
    return path


@pytest.fixture
def page(tmp_path):
    runs = method(tmp_path / "runs", "fb", (0.5, 0.52), ("cuhknp", "market1501"))
    runs += method(tmp_path / "runs", "il", (0.6, 0.61), ("cuhknp", "market1501"))
    runs += method(tmp_path / "runs", "fbf", (0.4,), ("cuhknp",))
    for run in runs:
        (run.folder / "metrics.csv").write_text("step,loss,target/x/mAP\n9,2.5,\n19,1.5,0.4\n")
        (run.folder / "pictures").mkdir()
        for target in run.targets:
            Image.new("RGB", (40, 30), "red").save(run.folder / "pictures" / f"ranked_{target}.png")
    return page_of(tmp_path, runs)


class Addresses(HTMLParser):
    """All that a browser would fetch or follow."""

    def __init__(self, text):
        super().__init__()
        self.found, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.found += [value for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]


def test_it_is_whole_by_itself(page):
    addresses = Addresses(page.read_text())
    assert all(address.startswith(("data:image/", "#part")) for address in addresses.found)
    assert sum(address.startswith("data:image/") for address in addresses.found) == 1 + 2 + 2 + 5
    assert "link" not in addresses.tags
    assert addresses.tags.count("script") == 1
    assert "url(" not in page.read_text()


def test_names_from_files_are_text(tmp_path):
    nasty = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    runs = [read_run(make_run(tmp_path / "a", strategy="fb", variant=[nasty], weights={"source": nasty}))]
    runs.append(read_run(make_run(tmp_path / "b", strategy=nasty, group=nasty, environment={"device": nasty})))
    text = page_of(tmp_path, runs).read_text()
    assert Addresses(text).tags.count("script") == 1
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text


def test_only_its_own_script_may_run(page):
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page.read_text())[1]
    assert policy == f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert f"<script>{SCRIPT}</script>" in page.read_text()


def test_cmc_is_the_mean_over_seeds_of_shares_of_queries(tmp_path):
    make_run(tmp_path / "a", first_rank=(1, 2, 3, 30))
    make_run(tmp_path / "b", seed=1, first_rank=(1, 1, 1, 2))
    report = make_report([read_run(tmp_path / name) for name in "ab"], None, Resampling(resamples=10))
    curve = cmc(report.sheets[0].rows[0], "market1501")
    assert np.allclose(curve[:4], [(1 + 3) / 8, (2 + 4) / 8, (3 + 4) / 8, (3 + 4) / 8])
    assert curve.shape == (20,)


def test_a_damaged_picture_is_named(tmp_path):
    folder = make_run(tmp_path / "a")
    (folder / "pictures").mkdir()
    (folder / "pictures" / "ranked_market1501.png").write_text("<svg onload=alert(1)>")
    with pytest.raises(InputError, match=r"ranked_market1501\.png"):
        page_of(tmp_path, [read_run(folder)])


@pytest.mark.parametrize("line", ["9,nan", "9,inf", ",", "9,"])
def test_losses_that_are_no_numbers_are_left_out(tmp_path, line):
    folder = make_run(tmp_path / "a")
    (folder / "metrics.csv").write_text(f"step,loss\n{line}\n")
    assert "losses of the first seed" not in page_of(tmp_path, [read_run(folder)]).read_text()


@pytest.mark.parametrize("step", ["-1", "9" * 400, "nine", ""])
def test_steps_that_no_training_has_are_named(tmp_path, step):
    folder = make_run(tmp_path / "a")
    (folder / "metrics.csv").write_text(f"step,loss\n{step},2.5\n")
    with pytest.raises(InputError, match=r"metrics\.csv is damaged"):
        page_of(tmp_path, [read_run(folder)])


def test_sources_and_targets_make_a_matrix(tmp_path):
    cells = [("one", "x"), ("one", "y"), ("two", "x")]
    runs = [
        read_run(make_run(tmp_path / f"{of}{target}", target=target, config={"sources": [of]})) for of, target in cells
    ]
    assert "mAP in % of fb, trained on each row and tested on each column" in page_of(tmp_path, runs).read_text()


def test_a_result_without_the_figures_of_its_rule(tmp_path):
    folders = [make_run(tmp_path / one, target=one, strategy=one) for one in "ab"]
    for folder in folders:
        content = json.loads((folder / "result.json").read_text())
        (folder / "result.json").write_text(json.dumps({**content, "rows": []}))
    assert "Matrices" not in page_of(tmp_path, [read_run(folder) for folder in folders]).read_text()


def browse(page, profile, *words):
    """What the browser prints; its messages on the console are in the second text."""
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--no-first-run", f"--user-data-dir={profile}",
            "--enable-logging=stderr", *words, page.as_uri(),
        ],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def clicked(page, column, times):
    """A copy of the page that clicks on a heading of its first table by itself; its policy allows that script, too."""
    script = CLICK % (column, times)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = page.read_text().replace("script-src ", f"script-src 'sha256-{digest}' ")
    copy = page.with_name("clicked.html")
    copy.write_text(text.replace("</body>", f"<script>{script}</script></body>"))
    return copy


def column_of(page, column):
    """The values of a column of the first table, as they are before any click."""
    body = page.read_text().partition("<tbody>")[2].partition("</tbody>")[0]
    cells = [re.findall(r"<td[^>]*?(?: data-value=\"(.*?)\")?>", line) for line in body.split("</tr>")[:-1]]
    return [html.unescape(line[column]) or "none" for line in cells]


@needs_browser
def test_it_opens_without_a_message_on_the_console(page, tmp_path):
    shown, messages = browse(page, tmp_path / "profile", "--dump-dom")
    assert "<h1>Report</h1>" in shown
    assert messages == []


@needs_browser
def test_errors_on_the_console_are_noticed(page, tmp_path):
    broken = page.with_name("broken.html")
    broken.write_text(page.read_text().replace("</body>", "<script>alert(1)</script></body>"))
    _, messages = browse(broken, tmp_path / "profile", "--dump-dom")
    assert len(messages) == 1


@needs_browser
@pytest.mark.parametrize(
    ("column", "times", "falling"),
    [(2, 1, True), (2, 2, False), (5, 1, True), (0, 1, False), (0, 2, True), (1, 2, False)],
)
def test_a_click_sorts(page, tmp_path, column, times, falling):
    values = column_of(page, column)
    shown, messages = browse(clicked(page, column, times), tmp_path / "profile", "--dump-dom")
    order = re.search(r"<title>(.*?)</title>", shown)[1].split(";")
    assert messages == []
    known = [value for value in order if value != "none"]
    key = str.casefold if column == 0 else float
    assert known == sorted(known, key=key, reverse=falling)
    assert order[len(known) :] == ["none"] * (len(order) - len(known))  # what has no figure stays last
    assert sorted(order) == sorted(values)
    assert order != values
