"""Summarises a table: {"csv": "name,age\\nAda,36\\n"} gives for each column how many values it has, and of
numbers the least, the mean and the greatest.

    hk deploy summary.py
    hk invoke summary '{"csv":"name,age\\nAda,36\\nAlan,41\\n"}'
"""

import csv
import io
import statistics


def numbers(values):
    """The values as numbers; None if one of them is none."""
    try:
        return [float(value) for value in values]
    except ValueError:
        return None


def column(values):
    summary = {"count": len(values)}
    found = numbers(values)
    if found:
        summary.update(min=min(found), mean=statistics.fmean(found), max=max(found))
    return summary


def main(args):
    rows = list(csv.DictReader(io.StringIO(args["csv"])))
    names = rows[0].keys() if rows else []
    columns = {name: column([row[name] for row in rows if row[name]]) for name in names}
    return {"rows": len(rows), "columns": columns}
