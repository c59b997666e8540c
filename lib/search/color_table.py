"""The colours of the whole library in memory, kept in step with the database.

A search asks the database what changed since the last one (one indexed query) and takes in just that; a clearing, a
restoration, another active model or another process's writing are changes like any other. What a search holds is a
snapshot: rows are only ever added behind it, or marked as gone in the next one.

Belongs here: the table, its growth, its indexes' upkeep. What is asked of it is in by_color.py.
"""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from lib.color.harmony import HUE_BINS
from lib.color.hue_layout import HueCodes, hue_codes
from lib.color.index import ColorIndex
from lib.color.layout_search import PLACES, LayoutStack, layout_stack
from lib.color.palette_index import PaletteIndex
from lib.color.wheels import oklch_histograms
from lib.storage.features import ColorColumns, color_changes, color_columns, stored_layouts

# The log of changes goes back a day.
LOG_HOURS = 20
LOOSE_SHARE, LOOSE_LEAST = 1 / 50, 512  # palettes that the index does not know, before it is made anew
GONE_SHARE, GONE_LEAST = 1 / 4, 4096  # rows that are gone, before all is read anew
_COLUMNS: Mapping[str, tuple[Any, tuple[int, ...]]] = {
    "ids": (np.int64, ()),
    "of_subject": (np.bool_, ()),
    "lab": (np.float32, (8, 3)),
    "weights": (np.float32, (8,)),
    "hues": (np.float32, (HUE_BINS,)),
    "even_hues": (np.float32, (HUE_BINS,)),
}
_LAYOUT_COLUMNS: Mapping[str, tuple[Any, tuple[int, ...]]] = {
    "planes": (np.float32, (3, PLACES)),
    "visible": (np.uint8, (PLACES,)),
    "visible_bits": (np.uint32, (PLACES // 32,)),
    "color_codes": (np.uint8, (PLACES,)),
    "hue_codes": (np.uint16, (PLACES,)),
}


@dataclass(frozen=True, eq=False)
class LayoutColumns:
    """The layouts of a snapshot's rows: for comparing colours, and hues (`hue_layout.hue_codes`)."""

    stack: LayoutStack
    codes: HueCodes


@dataclass(frozen=True, eq=False)
class ColorSnapshot:
    """The library's colours at one moment, n rows in no order. Arrays are never written to within their rows.

    ``rows`` are those that are there; others have gone since. ``lab`` (n, 8, 3), ``weights`` (n, 8): palettes. ``hues``
    (n, 36) over the HSV wheel, ``even_hues`` over OKLCh. ``main_colors`` indexes the heaviest colour of each image.
    """

    rows: NDArray[np.intp]
    ids: NDArray[np.int64]
    of_subject: NDArray[np.bool_]
    lab: NDArray[np.float32]
    weights: NDArray[np.float32]
    hues: NDArray[np.float32]
    even_hues: NDArray[np.float32]
    palettes: PaletteIndex
    main_colors: ColorIndex
    layouts: LayoutColumns | None

    def colored_rows(self) -> NDArray[np.intp]:
        """Return the rows of images that have any colour: not transparent all over."""
        return np.asarray(self.rows[self.weights[self.rows, 0] > 0])

    def rows_of(self, image_ids: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return the rows of images that are there."""
        rows = self.rows[np.isin(self.ids[self.rows], image_ids)]
        order = np.argsort(self.ids[rows])
        return np.asarray(rows[order][np.searchsorted(self.ids[rows][order], image_ids)])


_EMPTY = ColorSnapshot(
    rows=np.empty(0, np.intp),
    ids=np.empty(0, np.int64),
    of_subject=np.empty(0, np.bool_),
    lab=np.empty((0, 8, 3), np.float32),
    weights=np.empty((0, 8), np.float32),
    hues=np.empty((0, HUE_BINS), np.float32),
    even_hues=np.empty((0, HUE_BINS), np.float32),
    palettes=PaletteIndex.build(np.empty((0, 8, 3), np.float32), np.empty((0, 8), np.float32)),
    main_colors=ColorIndex.build(np.empty((0, 3), np.float32), np.empty(0, np.int64)),
    layouts=None,
)


def snapshot_of(columns: ColorColumns, layouts: NDArray[np.float16]) -> ColorSnapshot:
    """Return a snapshot of colours that are no library's: columns of n images, and their layouts (n, side, side, 4)."""
    state = _State()
    state.fill(columns)
    state.fill_layouts([(columns.ids, layouts)])
    return state.snapshot


class ColorTable:
    """Shared by the threads of a process; one at a time brings it up to date."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: _State | None = None

    def snapshot(self, session: Session, *, layouts: bool = False) -> ColorSnapshot:
        """Return the library's colours as the database has them now, read in full the first time.

        Layouts take some 4 kB an image, and are read from the first time on that somebody wants them. A session that
        has written must have committed, else what it rolls back stays here.
        """
        with self._lock:
            if self._state is not None:
                self._state.follow(session)
            if self._state is None or self._state.outdated:
                self._state = _State.read(session, layouts=self._state is not None and self._state.has_layouts)
            if layouts and not self._state.has_layouts:
                self._state.read_layouts(session)
            return self._state.snapshot


class _State:
    """What a table knows: growing columns, which rows have gone, and up to when the database was followed."""

    def __init__(self, horizon: int = 0) -> None:
        self._horizon = horizon
        self._followed_at = time.monotonic()
        self._columns = _Growing(_COLUMNS)
        self._layouts: _Growing | None = None
        self._alive = np.empty(0, np.bool_)
        self._row_of: dict[int, int] = {}
        self.outdated = False
        self.snapshot = _EMPTY

    @classmethod
    def read(cls, session: Session, *, layouts: bool) -> Self:
        """Read everything."""
        # The horizon first: what is committed in between is then looked at twice instead of never.
        state = cls(color_changes(session, 0).horizon)
        state.fill(color_columns(session))
        if layouts:
            state.read_layouts(session)
        return state

    @property
    def has_layouts(self) -> bool:
        return self._layouts is not None

    def fill(self, columns: ColorColumns) -> None:
        """Take in the first rows."""
        self._append(columns)
        snapshot = self._with_rows(_EMPTY)
        colored = snapshot.colored_rows()
        self.snapshot = replace(
            snapshot,
            palettes=PaletteIndex.build(snapshot.lab, snapshot.weights),
            main_colors=ColorIndex.build(snapshot.lab[colored, 0], snapshot.ids[colored]),
        )

    def read_layouts(self, session: Session) -> None:
        """Read the layouts of all images; those of images that just changed come with the next look."""
        self.fill_layouts(stored_layouts(session))

    def fill_layouts(self, parts: Iterable[tuple[NDArray[np.int64], NDArray[np.float16]]]) -> None:
        """Take in layouts for the rows of their images, if layouts are kept; a row without has no visible place."""
        self._layouts = self._layouts or _Growing(_LAYOUT_COLUMNS)
        self._layouts.extend(len(self._columns))
        for ids, layouts in parts:
            known = [index for index, image_id in enumerate(ids.tolist()) if image_id in self._row_of]
            rows = np.array([self._row_of[int(ids[index])] for index in known], dtype=np.intp)
            stack = layout_stack(layouts[known])
            new: dict[str, NDArray[Any]] = {
                "planes": stack.planes,
                "visible": stack.visible,
                "visible_bits": stack.visible_bits,
                "color_codes": stack.codes,
                "hue_codes": hue_codes(layouts[known]),
            }
            self._layouts.write(rows, new)
        self.snapshot = self._with_rows(self.snapshot)

    def follow(self, session: Session) -> None:
        """Take in what has changed; set ``outdated`` where that is too much or unknown. Can be repeated if it fails."""
        changes = color_changes(session, self._horizon)
        slept = time.monotonic() - self._followed_at > LOG_HOURS * 3600
        if changes.image_ids is None or slept:
            self.outdated = True
            return
        if changes.image_ids:
            self._replace_rows(session, changes.image_ids)
        self._horizon, self._followed_at = changes.horizon, time.monotonic()

    def _replace_rows(self, session: Session, image_ids: Sequence[int]) -> None:
        gone = [self._row_of.pop(image_id) for image_id in image_ids if image_id in self._row_of]
        self._alive = self._alive.copy()
        self._alive[gone] = False
        if np.count_nonzero(~self._alive) > GONE_SHARE * len(self._alive) + GONE_LEAST:
            self.outdated = True
            return
        first = len(self._columns)
        self._append(color_columns(session, image_ids))
        layouts = list(stored_layouts(session, image_ids)) if self._layouts is not None else None
        snapshot = self._with_rows(self.snapshot)
        new = snapshot.colored_rows()
        new = new[new >= first]
        snapshot = replace(
            snapshot, main_colors=snapshot.main_colors.changed(image_ids, snapshot.lab[new, 0], snapshot.ids[new])
        )
        if len(snapshot.ids) - len(snapshot.palettes) > LOOSE_LEAST + LOOSE_SHARE * len(snapshot.ids):
            snapshot = replace(snapshot, palettes=PaletteIndex.build(snapshot.lab, snapshot.weights))
        self.snapshot = snapshot
        if layouts is not None:
            self.fill_layouts(layouts)

    def _append(self, new: ColorColumns) -> None:
        first = len(self._columns)
        self._columns.append(
            {
                "ids": new.ids,
                "of_subject": new.of_subject,
                "lab": new.lab,
                "weights": new.weights,
                "hues": new.hue_histograms,
                "even_hues": oklch_histograms(new.lab, new.weights, HUE_BINS),
            }
        )
        self._alive = np.append(self._alive, np.ones(len(new.ids), np.bool_))
        self._row_of.update(zip(new.ids.tolist(), range(first, first + len(new.ids)), strict=True))

    def _with_rows(self, snapshot: ColorSnapshot) -> ColorSnapshot:
        """Return a snapshot with the rows there are now, its indexes as they were."""
        layouts = None
        if self._layouts is not None and len(self._layouts) == len(self._columns):
            of_layouts = self._layouts.views()
            stack = LayoutStack(
                of_layouts["planes"], of_layouts["visible"], of_layouts["visible_bits"], of_layouts["color_codes"]
            )
            layouts = LayoutColumns(stack, of_layouts["hue_codes"])
        columns: dict[str, Any] = self._columns.views()
        return replace(snapshot, rows=np.flatnonzero(self._alive), layouts=layouts, **columns)


class _Growing:
    """Columns of equal length, with room to grow. Views taken before keep seeing what they saw."""

    def __init__(self, columns: Mapping[str, tuple[Any, tuple[int, ...]]]) -> None:
        self._arrays = {name: np.zeros((0, *shape), kind) for name, (kind, shape) in columns.items()}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, new: dict[str, NDArray[Any]]) -> None:
        first = self._length
        self.extend(first + len(next(iter(new.values()))))
        for name, values in new.items():
            self._arrays[name][first : self._length] = values

    def extend(self, length: int) -> None:
        """Add rows of zeros up to a length."""
        for name, array in self._arrays.items():
            if length > len(array):
                # Room for an eighth more; what was never touched takes no memory.
                larger = np.zeros((length + length // 8, *array.shape[1:]), array.dtype)
                larger[: self._length] = array[: self._length]
                self._arrays[name] = larger
        self._length = length

    def write(self, rows: NDArray[np.intp], new: dict[str, NDArray[Any]]) -> None:
        """Fill rows that no view has been taken of."""
        for name, values in new.items():
            self._arrays[name][rows] = values

    def views(self) -> dict[str, NDArray[Any]]:
        return {name: array[: self._length] for name, array in self._arrays.items()}
