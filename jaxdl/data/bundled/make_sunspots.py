"""Writes `sunspots.csv`: monthly mean sunspot numbers 1749-2009, from the file that statsmodels ships.

pip download --no-deps statsmodels==0.15.0, unzip the wheel, then

python -m jaxdl.data.bundled.make_sunspots statsmodels/datasets/sunspots/src/sunspots_monthly.dat

Source: National Geophysical Data Center (NOAA), http://www.ngdc.noaa.gov/stp/solar/solarda3.html; public domain, says the
package's `datasets/sunspots/data.py`. The numbers are of the old scale (version 1, before the revision of 2015).
"""

import sys
from pathlib import Path


def monthly_rows(text: str) -> list[tuple[str, str]]:
    """(month, number) of the rows `year jan feb … dec`; a month that was not over yet is missing there and here.

    >>> monthly_rows("YEAR JAN\\n1749  58.0  62.6")
    [('1749-01', '58.0'), ('1749-02', '62.6')]
    """
    rows = []
    for line in text.splitlines():
        year, *months = line.split() or [""]
        if year.isdigit():
            rows += [(f"{year}-{month:02d}", number) for month, number in enumerate(months, 1)]
    return rows


if __name__ == "__main__":
    rows = monthly_rows(Path(sys.argv[1]).read_text(encoding="ascii", errors="replace"))
    lines = ["month,sunspots", *(f"{month},{number}" for month, number in rows)]
    Path(__file__).with_name("sunspots.csv").write_text("\n".join(lines) + "\n", encoding="ascii")
