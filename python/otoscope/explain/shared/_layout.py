"""Where the values of a shared forward pass lie: a plane cut into tiles, each in its variants.

A value of a convolutional network depends only on the segments inside its receptive field. All
values of a tile see the same segments, so among all samples (coalitions of segments) a tile has
only as many variants as there are different restrictions of the samples to what it sees. Nothing
else is computed: 2 variants where one segment is seen, at most 16 where four are.

The values are the rows of one matrix, [row, feature]: tile by tile, variant by variant, position by
position; tiles of one shape lie together. A last row is spare: padding is read from there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from otoscope.explain.shared._samples import PADDING, Booleans, Integers, Samples, Scan

__all__ = ["Layout", "TileGroup", "cut_plane"]

Scans = tuple[Scan, Scan]  # along both axes


@dataclass(frozen=True)
class TileGroup:
    """Tiles of one shape, whose rows lie together.

    Parameters
    ----------
    tiles : array [tile], int64
        Their numbers.
    shape : (int, int)
        Positions of each.
    tile_of, sample_of : array [variant], int64
        For all variants of all its tiles: which of ``tiles``, and a sample that has it.
    start : int
        First row.
    """

    tiles: Integers
    shape: tuple[int, int]
    tile_of: Integers
    sample_of: Integers
    start: int

    @property
    def n_rows(self) -> int:
        """How many rows."""
        return len(self.tile_of) * self.shape[0] * self.shape[1]


@dataclass(frozen=True, eq=False)
class Layout:
    """A plane cut into tiles by straight lines.

    Parameters
    ----------
    samples : Samples
        Of the explanation.
    edges : pair of arrays
        Where tiles begin and end along both axes: from 0 to the size.
    sees : array [row of tiles, column of tiles, segment], bool
        The segments that a tile depends on.
    """

    samples: Samples
    edges: tuple[Integers, Integers]
    sees: Booleans
    _scanned: dict[Scans, Layout] = field(default_factory=dict, repr=False)
    _windows: dict[tuple[Layout, Scans], list[Tensor]] = field(default_factory=dict, repr=False)
    _joined: dict[Layout, Layout] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """Positions along both axes."""
        return int(self.edges[0][-1]), int(self.edges[1][-1])

    @property
    def area(self) -> int:
        """Positions in all."""
        return self.size[0] * self.size[1]

    @cached_property
    def _variants(self) -> list[tuple[Integers, Integers]]:
        flat = self.sees.reshape(-1, self.sees.shape[-1])
        return [self.samples.restricted(sees) for sees in flat]

    @cached_property
    def groups(self) -> list[TileGroup]:
        """Tiles by shape, in the order of their rows."""
        heights, widths = (np.diff(edges) for edges in self.edges)
        shapes = np.stack(np.meshgrid(heights, widths, indexing="ij"), -1).reshape(-1, 2)
        groups, start = [], 0
        for shape in np.unique(shapes, axis=0):
            tiles = np.flatnonzero((shapes == shape).all(1))
            first = [self._variants[tile][1] for tile in tiles]
            tile_of = np.repeat(np.arange(len(tiles)), [len(f) for f in first])
            group = TileGroup(
                tiles, (int(shape[0]), int(shape[1])), tile_of, np.concatenate(first), start
            )
            groups.append(group)
            start += group.n_rows
        return groups

    @cached_property
    def n_rows(self) -> int:
        """Rows of the matrix, without the spare one."""
        return sum(group.n_rows for group in self.groups)

    @cached_property
    def variant(self) -> Tensor:
        """Which variant of each tile each sample has: Tensor [tile, sample]."""
        table = np.stack([variant for variant, _ in self._variants])
        return torch.from_numpy(table).to(self.samples.device)

    @cached_property
    def _planes(self) -> Tensor:
        """For each position: row of variant 0, rows from one variant to the next, and the tile.

        Tensor [3, size + 1, size + 1]; the last of both axes leads to the spare row.
        """
        height, width = self.size
        planes = np.zeros((3, height + 1, width + 1), np.int64)
        planes[0] = self.n_rows
        tops, lefts = self.edges
        for group in self.groups:
            (h, w), start = group.shape, group.start
            inside = np.arange(h * w).reshape(h, w)
            counts = np.bincount(group.tile_of, minlength=len(group.tiles))
            for tile, count in zip(group.tiles, counts, strict=True):
                row, column = divmod(int(tile), len(lefts) - 1)
                part = planes[:, tops[row] : tops[row] + h, lefts[column] : lefts[column] + w]
                part[0], part[1], part[2] = start + inside, h * w, tile
                start += count * h * w
        return torch.from_numpy(planes).to(self.samples.device)

    @cached_property
    def position(self) -> Tensor:
        """The position of each row, the spare one too: Tensor [row + 1], row-major in the plane."""
        tops, lefts = self.edges
        positions = [np.zeros(1, np.int64)]
        for group in reversed(self.groups):
            h, w = group.shape
            rows, columns = np.divmod(group.tiles, len(lefts) - 1)
            y = (tops[rows][:, None] + np.arange(h))[group.tile_of]
            x = (lefts[columns][:, None] + np.arange(w))[group.tile_of]
            positions.append((y[:, :, None] * self.size[1] + x[:, None, :]).reshape(-1))
        return torch.from_numpy(np.concatenate(positions[::-1])).to(self.samples.device)

    @cached_property
    def look_up(self) -> Tensor:
        """The row of each sample at each position: Tensor [sample, position]."""
        start, step, tile = self._planes[:, :-1, :-1].flatten(1)
        rows: Tensor = start + self.variant[tile].T * step
        return rows

    @cached_property
    def bags(self) -> Tensor:
        """Where each sample finds each tile's contribution: Tensor [sample, tile].

        Contributions are one row a variant, in the order of the groups.
        """
        order = np.concatenate([group.tiles for group in self.groups])
        counts = np.concatenate(
            [np.bincount(g.tile_of, minlength=len(g.tiles)) for g in self.groups]
        )
        starts = torch.from_numpy(np.cumsum(counts) - counts).to(self.samples.device)
        return (self.variant[torch.from_numpy(order)] + starts[:, None]).T.contiguous()

    @cached_property
    def whole(self) -> Layout:
        """A plane of one position that sees all that this one does."""
        sees = np.logical_or.reduce(self.sees, axis=(0, 1), keepdims=True)
        one = np.array([0, 1])
        return Layout(self.samples, (one, one), sees)

    def scanned(self, scans: Scans) -> Layout:
        """Cut the plane of what windows give, where they begin to see other segments.

        Parameters
        ----------
        scans : pair of Scan
            How the windows move along both axes.

        Returns
        -------
        Layout
            One position a window.
        """
        if scans not in self._scanned:
            edges, touches = zip(
                *(_touched(scan, e) for scan, e in zip(scans, self.edges, strict=True)), strict=True
            )
            sees = np.einsum("ir,jc,rcn->ijn", *touches, self.sees.astype(np.int64)) > 0
            self._scanned[scans] = merged(Layout(self.samples, (edges[0], edges[1]), sees))
        return self._scanned[scans]

    def windows(self, target: Layout, scans: Scans) -> list[Tensor]:
        """Find the rows that the windows of other tiles read.

        Parameters
        ----------
        target : Layout
            One position a window; it sees all that its windows see.
        scans : pair of Scan
            How the windows move.

        Returns
        -------
        list of Tensor [variant, place, place]
            For each group of the target: rows of this layout under all windows of a tile.
        """
        key = target, scans
        if key not in self._windows:
            self._windows[key] = [self._under(target, group, scans) for group in target.groups]
        return self._windows[key]

    def _under(self, target: Layout, group: TileGroup, scans: Scans) -> Tensor:
        device = self.samples.device
        corners = np.divmod(group.tiles, len(target.edges[1]) - 1)
        places = []
        for scan, edges, corner, size in zip(
            scans, target.edges, corners, group.shape, strict=True
        ):
            place = edges[corner][:, None] * scan.stride + np.arange(scan.span(size))
            places.append(torch.from_numpy(np.asarray(scan.sources)[place]).to(device))
        start, step, tile = self._planes[:, places[0][:, :, None], places[1][:, None, :]]
        tile_of = torch.from_numpy(group.tile_of).to(device)
        sample_of = torch.from_numpy(group.sample_of).to(device)
        variant = self.variant[tile[tile_of], sample_of[:, None, None]]
        rows: Tensor = start[tile_of] + variant * step[tile_of]
        return rows

    def joined(self, other: Layout) -> Layout:
        """Cut a plane wherever one of two layouts does.

        Parameters
        ----------
        other : Layout
            Of the same size.

        Returns
        -------
        Layout
            Sees what either sees.
        """
        if other not in self._joined:
            rows, columns = (np.union1d(a, b) for a, b in zip(self.edges, other.edges, strict=True))
            sees = self._seen_in(rows, columns) | other._seen_in(rows, columns)
            self._joined[other] = merged(Layout(self.samples, (rows, columns), sees))
        return self._joined[other]

    def _seen_in(self, rows: Integers, columns: Integers) -> Booleans:
        """What the tiles between some finer edges see."""
        row, column = (
            np.searchsorted(old, new[:-1], side="right") - 1
            for old, new in zip(self.edges, (rows, columns), strict=True)
        )
        return self.sees[row[:, None], column[None, :]]


def merged(layout: Layout) -> Layout:
    """Drop the lines on both sides of which everything sees the same.

    Parameters
    ----------
    layout : Layout
        Cut as finely as one likes.

    Returns
    -------
    Layout
        Cut no more than needed.
    """
    sees, edges = layout.sees, list(layout.edges)
    for axis in (0, 1):
        differs = (np.diff(sees, axis=axis) != 0).any(axis=(1 - axis, 2))
        starts = np.flatnonzero(np.r_[True, differs])
        sees = sees.take(starts, axis=axis)
        edges[axis] = np.r_[edges[axis][starts], edges[axis][-1]]
    return Layout(layout.samples, (edges[0], edges[1]), sees)


def _touched(scan: Scan, edges: Integers) -> tuple[Integers, Integers]:
    """Where windows begin to touch other tiles, and which each then touches: [run, tile]."""
    reads = scan.reads()
    tile = np.searchsorted(edges, reads, side="right") - 1
    touches = np.zeros((len(reads), len(edges) - 1), np.int64)
    window = np.broadcast_to(np.arange(len(reads))[:, None], reads.shape)
    inside = reads != PADDING
    touches[window[inside], tile[inside]] = 1
    starts = np.flatnonzero(np.r_[True, (np.diff(touches, axis=0) != 0).any(1)])
    return np.r_[starts, len(reads)], touches[starts]


def cut_plane(ids: Tensor, samples: Samples, most: int = 24) -> Layout:
    """Cut a plane of segments into tiles, along lines where the segments change.

    Parameters
    ----------
    ids : Tensor [feature, row, column], integer
        The segment of each cell.
    samples : Samples
        Of the explanation.
    most : int
        Tiles along an axis; maps with more changes are cut at even distances, and tiles see several
        segments.

    Returns
    -------
    Layout
        For the input.

    Examples
    --------
    >>> samples = Samples(torch.arange(4)[:, None], 2)
    >>> layout = cut_plane(torch.tensor([[[0], [0], [1]]]), samples)
    >>> layout.edges[0].tolist(), layout.n_rows
    ([0, 2, 3], 6)
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
    return merged(Layout(samples, (edges[0], edges[1]), sees))
