"""CSV, read by spreadsheets."""

import csv
import io

from taxonomy.interchange import tables


def test_a_spreadsheet_runs_nothing() -> None:
    cells = [
        "=1+1",
        "+1",
        "-1",
        "@x",
        "\t=1",
        "fine - really",
        "a,b",
        'say "x"',
        "two\nlines",
        -3.5,
        -2,
        True,
        None,
        "",
    ]
    written = tables.text(["x"] * len(cells), [cells])
    row = list(csv.reader(io.StringIO(written)))[1]
    assert row[:5] == ["'=1+1", "'+1", "'-1", "'@x", "'\t=1"]
    assert row[5:] == ["fine - really", "a,b", 'say "x"', "two\nlines", "-3.5", "-2", "true", "", ""]
