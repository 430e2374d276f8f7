"""Layouts: the places of the values of a shared forward pass.

A value of a convolutional network depends only on the segments inside its receptive field. The
plane of positions is cut into tiles; all values of a tile *see* the same segments. Among all
samples (coalitions of segments), a tile has as many *variants* as there are different restrictions
of the samples to the segments that it sees: 2 where it sees one segment, at most 16 where it sees
four. Only variants are computed.

The values are the rows of one matrix, [row, feature]. Tiles of one shape form a group; rows are
ordered by group, tile, variant and position inside the tile. One spare row follows, from which
windows read padding.

A worked example: 2 segments in 6 frames, all 4 coalitions as samples, and windows of 3 frames, so
that 4 positions remain. Sample 2 has the bits 10: segment 1 stays, segment 0 is occluded.

    frames        0  1  2  3  4  5          segment of each frame   0 0 0 1 1 1
    position 0    [-----]                   sees segment 0          tile 0, variants 0 1
    position 1       [-----]                sees both               tile 1, variants 0 1 2 3
    position 2          [-----]             sees both               tile 1
    position 3             [-----]          sees segment 1          tile 2, variants 0 1

Rows: tiles 0 and 2 have one position, so they come first, 2 variants each (rows 0-1 and 2-3); tile
1 has 2 positions in 4 variants (rows 4-11). 12 rows are computed instead of 4 * 4 = 16; row 12 is
the spare one.

>>> table = CoalitionTable(torch.arange(4)[:, None], 2)
>>> frames = cut_plane(torch.tensor([[[0], [0], [0], [1], [1], [1]]]), table)
>>> layout = frames.after_windows((Scan(tuple(range(6)), kernel=3), Scan((0,))))
>>> layout.edges[0].tolist(), layout.sees[:, 0].tolist()
([0, 1, 3, 4], [[True, False], [True, True], [False, True]])
>>> layout.variant_of_sample.tolist()  # [tile, sample]
[[0, 1, 0, 1], [0, 1, 2, 3], [0, 0, 1, 1]]
>>> [(g.tiles.tolist(), g.shape, g.start, g.n_rows) for g in layout.groups]
[([0, 2], (1, 1), 0, 4), ([1], (2, 1), 4, 8)]
>>> layout.row_of_sample.tolist()  # [sample, position]
[[0, 4, 5, 2], [1, 6, 7, 2], [0, 8, 9, 3], [1, 10, 11, 3]]

Row 9 is tile 1 (start 4), variant 2, position 1 of 2 inside: 4 + 2 * 2 + 1. Samples 0 and 1 share
row 2, because position 3 does not see segment 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from otoscope.explain.shared._scan import PADDING, Booleans, Integers, Scan, Scans

__all__ = ["CoalitionTable", "Layout", "TileGroup", "coarsest", "cut_plane"]


class CoalitionTable:
    """The samples of a pass, packed 64 segments per word, and their restrictions to some segments.

    Examples
    --------
    >>> exact = CoalitionTable(torch.arange(8)[:, None], 3)
    >>> variant, first = exact.variants(np.array([True, False, True]))
    >>> variant.tolist(), first.tolist()
    ([0, 1, 0, 1, 2, 3, 2, 3], [0, 1, 4, 5])
    """

    def __init__(self, words: Tensor, n_segments: int) -> None:
        self.words = words.cpu().numpy()
        self.n_segments = n_segments
        self.device = words.device
        self._known: dict[bytes, tuple[Integers, Integers]] = {}

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.words)

    def variants(self, sees: Booleans) -> tuple[Integers, Integers]:
        """Number the different restrictions of the samples to the segments seen.

        Returns ``variant`` [sample] and ``first`` [variant], the first sample of each variant.
        Invariant: two samples have the same variant if and only if they agree on all segments seen;
        ``variant[first[v]] == v``.
        """
        mask = np.zeros(self.words.shape[1] * 8, np.uint8)
        packed = np.packbits(sees, bitorder="little")
        mask[: len(packed)] = packed
        key = mask.tobytes()
        if key not in self._known:
            seen = self.words & mask.view("<i8")
            axis = None if seen.shape[1] == 1 else 0
            _, first, variant = np.unique(seen, return_index=True, return_inverse=True, axis=axis)
            self._known[key] = variant.reshape(-1).astype(np.int64), first.astype(np.int64)
        return self._known[key]


@dataclass(frozen=True)
class TileGroup:
    """Tiles of one shape, whose rows are consecutive: tile by tile, variant by variant.

    Invariant: entry i of ``tile_of_variant`` and ``sample_of_variant`` describes the rows
    ``start + i * area ... start + (i + 1) * area``, with area = shape[0] * shape[1].
    """

    tiles: Integers  # [tile]: numbers in the layout, row-major
    shape: tuple[int, int]  # positions along both axes
    tile_of_variant: Integers  # [variant of all tiles]: index into `tiles`, ascending
    sample_of_variant: Integers  # [variant of all tiles]: a sample that has this variant
    start: int  # first row

    @property
    def area(self) -> int:
        """Number of positions of a tile: rows of a variant."""
        return self.shape[0] * self.shape[1]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.tile_of_variant) * self.area


@dataclass(frozen=True, eq=False)
class Layout:
    """A plane cut into tiles by straight lines, and the rows of its variants; see the module."""

    samples: CoalitionTable
    edges: tuple[Integers, Integers]  # ascending borders of tiles, from 0 to the size, per axis
    sees: Booleans  # [row of tiles, column of tiles, segment]: what a tile depends on
    _after: dict[Scans, Layout] = field(default_factory=dict, repr=False)
    _windows: dict[tuple[Layout, Scans], list[Tensor]] = field(default_factory=dict, repr=False)
    _refined: dict[Layout, Layout] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """Positions along both axes."""
        return int(self.edges[0][-1]), int(self.edges[1][-1])

    @property
    def area(self) -> int:
        """Number of positions."""
        return self.size[0] * self.size[1]

    @cached_property
    def _variants(self) -> list[tuple[Integers, Integers]]:
        flat = self.sees.reshape(-1, self.sees.shape[-1])
        return [self.samples.variants(sees) for sees in flat]

    @cached_property
    def groups(self) -> list[TileGroup]:
        """Tiles by shape, in the order of their rows.

        Invariant: groups partition the tiles, and their rows partition ``range(n_rows)``.
        """
        heights, widths = (np.diff(edges) for edges in self.edges)
        shapes = np.stack(np.meshgrid(heights, widths, indexing="ij"), -1).reshape(-1, 2)
        groups, start = [], 0
        for shape in np.unique(shapes, axis=0):
            tiles = np.flatnonzero((shapes == shape).all(1))
            first = [self._variants[tile][1] for tile in tiles]
            tile_of_variant = np.repeat(np.arange(len(tiles)), [len(f) for f in first])
            group = TileGroup(
                tiles,
                (int(shape[0]), int(shape[1])),
                tile_of_variant,
                np.concatenate(first),
                start,
            )
            groups.append(group)
            start += group.n_rows
        return groups

    @cached_property
    def n_rows(self) -> int:
        """Number of rows of the matrix, without the spare row."""
        return sum(group.n_rows for group in self.groups)

    @cached_property
    def variant_of_sample(self) -> Tensor:
        """Variant of each tile in each sample: Tensor [tile, sample].

        Invariant: samples with the same variant of a tile have the same values in that tile.
        """
        table = np.stack([variant for variant, _ in self._variants]).astype(np.int32)
        return torch.from_numpy(table).to(self.samples.device)

    @cached_property
    def _planes(self) -> Tensor:
        """Row of variant 0, rows from one variant to the next, and tile: Tensor [3, row, column].

        Invariant: sample s has its value at a position in the row
        ``start + variant_of_sample[tile, s] * step``. Both axes have one position more than the
        plane, for index -1 (padding): there start is the spare row, and step and tile are 0.
        """
        height, width = self.size
        planes = np.zeros((3, height + 1, width + 1), np.int32)
        planes[0] = self.n_rows
        tops, lefts = self.edges
        for group in self.groups:
            (h, w), start = group.shape, group.start
            inside = np.arange(h * w).reshape(h, w)
            counts = np.bincount(group.tile_of_variant, minlength=len(group.tiles))
            for tile, count in zip(group.tiles, counts, strict=True):
                row, column = divmod(int(tile), len(lefts) - 1)
                part = planes[:, tops[row] : tops[row] + h, lefts[column] : lefts[column] + w]
                part[0], part[1], part[2] = start + inside, h * w, tile
                start += count * h * w
        return torch.from_numpy(planes).to(self.samples.device)

    @cached_property
    def position_of_row(self) -> Tensor:
        """Row-major position in the plane of each row: Tensor [row + 1]; the spare row has 0.

        Invariant: ``position_of_row[row_of_sample[s, p]] == p``.
        """
        tops, lefts = self.edges
        positions = [np.zeros(1, np.int64)]
        for group in reversed(self.groups):
            h, w = group.shape
            rows, columns = np.divmod(group.tiles, len(lefts) - 1)
            y = (tops[rows][:, None] + np.arange(h))[group.tile_of_variant]
            x = (lefts[columns][:, None] + np.arange(w))[group.tile_of_variant]
            positions.append((y[:, :, None] * self.size[1] + x[:, None, :]).reshape(-1))
        return torch.from_numpy(np.concatenate(positions[::-1])).to(self.samples.device)

    @cached_property
    def row_of_sample(self) -> Tensor:
        """Row of each sample at each position: Tensor [sample, position]."""
        start, step, tile = self._planes[:, :-1, :-1].flatten(1)
        rows: Tensor = start + self.variant_of_sample[tile.long()].T * step
        return rows.long()

    @cached_property
    def contribution_of_sample(self) -> Tensor:
        """Index of each sample's contribution from each tile: Tensor [sample, tile].

        Contributions are one per variant, in the order of the groups. Invariant: the entries of
        column t lie in ``starts[t] ... starts[t] + number of variants of tile t``.
        """
        order = np.concatenate([group.tiles for group in self.groups])
        counts = np.concatenate(
            [np.bincount(g.tile_of_variant, minlength=len(g.tiles)) for g in self.groups]
        )
        starts = torch.from_numpy(np.cumsum(counts) - counts).to(self.samples.device)
        variant = self.variant_of_sample[torch.from_numpy(order)]
        return (variant + starts[:, None]).T.contiguous()

    @cached_property
    def whole(self) -> Layout:
        """Layout of a single position that sees all segments that this layout sees."""
        sees = np.logical_or.reduce(self.sees, axis=(0, 1), keepdims=True)
        unit = np.array([0, 1])
        return Layout(self.samples, (unit, unit), sees)

    def after_windows(self, scans: Scans) -> Layout:
        """Return the layout of the results of windows, one position per window.

        Invariant: a window sees the union of what the tiles that it touches see.
        """
        if scans not in self._after:
            edges, touches = zip(
                *(_touched(scan, e) for scan, e in zip(scans, self.edges, strict=True)), strict=True
            )
            sees = np.einsum("ir,jc,rcn->ijn", *touches, self.sees.astype(np.int64)) > 0
            self._after[scans] = coarsest(Layout(self.samples, (edges[0], edges[1]), sees))
        return self._after[scans]

    def window_rows(self, target: Layout, scans: Scans) -> list[Tensor]:
        """Return the rows of this layout that the windows of each group of ``target`` read.

        Each Tensor [variant, place, place] covers all windows of a tile; int32, since these are the
        largest tensors of a pass. ``target`` has one position per window and must see all that its
        windows see.
        """
        key = target, scans
        if key not in self._windows:
            self._windows[key] = [self._rows_under(target, group, scans) for group in target.groups]
        return self._windows[key]

    def _rows_under(self, target: Layout, group: TileGroup, scans: Scans) -> Tensor:
        """Look the rows up in `_planes`, for one sample that has each variant of the group.

        Any sample of a variant gives the same values: it agrees with the others on all segments
        that the target's tile sees, hence on those that the tiles under its windows see.
        """
        device = self.samples.device
        corners = np.divmod(group.tiles, len(target.edges[1]) - 1)
        places = []
        for scan, edges, corner, size in zip(
            scans, target.edges, corners, group.shape, strict=True
        ):
            place = edges[corner][:, None] * scan.stride + np.arange(scan.span(size))
            places.append(torch.from_numpy(np.asarray(scan.sources)[place]).to(device))
        start, step, tile = self._planes[:, places[0][:, :, None], places[1][:, None, :]]
        tile_of_variant = torch.from_numpy(group.tile_of_variant).to(device)
        sample = torch.from_numpy(group.sample_of_variant).to(device)
        tiles = tile.long()[tile_of_variant]
        rows: Tensor = self.variant_of_sample[tiles, sample[:, None, None]]
        del tiles
        rows.mul_(step[tile_of_variant]).add_(start[tile_of_variant])
        return rows

    def refined(self, other: Layout) -> Layout:
        """Return the layout cut wherever this or the other of equal size is; it sees both's.

        It is one of the two where that is as fine: its rows stay where they are.
        """
        if other not in self._refined:
            rows, columns = (np.union1d(a, b) for a, b in zip(self.edges, other.edges, strict=True))
            sees = self._seen_in(rows, columns) | other._seen_in(rows, columns)
            finer = coarsest(Layout(self.samples, (rows, columns), sees))
            same = (layout for layout in (self, other) if finer.equals(layout))
            self._refined[other] = next(same, finer)
        return self._refined[other]

    def equals(self, other: Layout) -> bool:
        """Tell whether the tiles are the same, and see the same."""
        pairs = zip((*self.edges, self.sees), (*other.edges, other.sees), strict=True)
        return self.samples is other.samples and all(np.array_equal(*pair) for pair in pairs)

    def _seen_in(self, rows: Integers, columns: Integers) -> Booleans:
        """Return ``sees`` for the tiles between finer edges: each lies in one tile of this."""
        row, column = (
            np.searchsorted(old, new[:-1], side="right") - 1
            for old, new in zip(self.edges, (rows, columns), strict=True)
        )
        return self.sees[row[:, None], column[None, :]]


def coarsest(layout: Layout) -> Layout:
    """Drop lines between tiles of equal ``sees``: each value keeps its variants."""
    sees, edges = layout.sees, list(layout.edges)
    for axis in (0, 1):
        differs = (np.diff(sees, axis=axis) != 0).any(axis=(1 - axis, 2))
        starts = np.flatnonzero(np.r_[True, differs])
        sees = sees.take(starts, axis=axis)
        edges[axis] = np.r_[edges[axis][starts], edges[axis][-1]]
    return Layout(layout.samples, (edges[0], edges[1]), sees)


def _touched(scan: Scan, edges: Integers) -> tuple[Integers, Integers]:
    """Return the edges of runs of windows that touch the same tiles, and these: [run, tile]."""
    reads = scan.reads()
    tile = np.searchsorted(edges, reads, side="right") - 1
    touches = np.zeros((len(reads), len(edges) - 1), np.int64)
    window = np.broadcast_to(np.arange(len(reads))[:, None], reads.shape)
    inside = reads != PADDING
    touches[window[inside], tile[inside]] = 1
    starts = np.flatnonzero(np.r_[True, (np.diff(touches, axis=0) != 0).any(1)])
    return np.r_[starts, len(reads)], touches[starts]


def cut_plane(ids: Tensor, samples: CoalitionTable, most: int = 24) -> Layout:
    """Cut a plane [feature, row, column] of segment ids along the lines where they change.

    ``most`` is the largest number of tiles per axis: maps with more changes are cut at even
    distances, and their tiles see several segments.
    """
    cells = ids.cpu().numpy()
    n = samples.n_segments
    edges = []
    for axis in (1, 2):
        others = tuple(i for i in range(3) if i != axis)
        differs = (np.diff(cells, axis=axis) != 0).any(axis=others)
        starts = np.flatnonzero(np.r_[True, differs])
        if len(starts) > most:
            starts = starts[np.unique(np.linspace(0, len(starts) - 1, most).astype(np.int64))]
        edges.append(np.r_[starts, cells.shape[axis]])
    sees = np.zeros((len(edges[0]) - 1, len(edges[1]) - 1, n), bool)
    rows = np.repeat(np.arange(len(sees)), np.diff(edges[0]))
    columns = np.repeat(np.arange(sees.shape[1]), np.diff(edges[1]))
    sees[rows[:, None], columns[None, :], cells] = True
    return coarsest(Layout(samples, (edges[0], edges[1]), sees))
