"""Columns of text. Pure."""

from collections.abc import Sequence

from chex_jobs.cli.terminal import display_width, padded

GAP = "   "


def table(rows: Sequence[Sequence[str]], *, right: frozenset[str] = frozenset()) -> list[str]:
    """Lines of aligned columns.

    Args:
        rows: the head first; all of one length.
        right: heads of the columns that are aligned to the right.
    """
    widths = [max(display_width(row[index]) for row in rows) for index in range(len(rows[0]))]
    to_right = [head in right for head in rows[0]]
    return [
        GAP.join(
            padded(cell, width, to_right=aligned)
            for cell, width, aligned in zip(row, widths, to_right, strict=True)
        ).rstrip()
        for row in rows
    ]
