"""A matplotlib figure that a notebook shows by itself. Imported only when something is drawn."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class Picture(Figure):
    """A figure with a PNG of itself for notebooks: no pyplot, and so nothing global, is needed to show it."""

    def png(self, dpi: float = 100.0) -> bytes:
        """Return the figure as PNG; the same figure gives the same bytes."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
        return buffer.getvalue()

    def _repr_png_(self) -> bytes:
        return self.png()
