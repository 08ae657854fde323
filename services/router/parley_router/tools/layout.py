"""Where the boxes and arrows of a picture stand: layers from top to bottom, few crossings, labels with room of their own. Pure.

After Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System Structures" (1981): arrows that lead back are turned round,
each box gets a layer, arrows over several layers get a joint in each, the order in the layers is improved by barycentres, and the places across
are those with the least squared distance from their neighbours (isotonic regression). Each label is a joint with a size, so nothing lies over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from parley_router.tools.grid import ACROSS, Grid, Size, neighbours, spread, straighten

DOWN = 16.0
"""Between two layers."""
SWEEPS = 12
"""Sweeps over the layers, down and up, for an order with fewer crossings."""


class Arrow(NamedTuple):
    """From one box to another, by their places in the list; `label` is the size of its label, if it has one."""

    start: int
    end: int
    label: Size | None = None


class Point(NamedTuple):
    x: float
    y: float


@dataclass(frozen=True)
class Layout:
    """Centres of the boxes; for each arrow the points that it runs through, in its direction, and the centre of its label; the size of it all."""

    boxes: Sequence[Point]
    routes: Sequence[Sequence[Point]]
    labels: Sequence[Point | None]
    size: Size


def layout(boxes: Sequence[Size], arrows: Sequence[Arrow]) -> Layout:
    """The layout of boxes, the first on top. The same boxes and arrows give the same layout."""
    back = _backwards(len(boxes), arrows)
    grid = Grid(list(boxes), _ranks(len(boxes), arrows, back), len(boxes))
    for place, arrow in enumerate(arrows):
        _chain(grid, arrow, place in back)
    _order(grid)
    spread(grid)
    straighten(grid)
    return _result(grid, arrows, back)


def _backwards(count: int, arrows: Sequence[Arrow]) -> set[int]:
    """The arrows that close a circle, seen from the first box on; those from a box to itself are not among them."""
    leaving: list[list[int]] = [[] for _ in range(count)]
    for place, one in enumerate(arrows):
        leaving[one.start].append(place)
    found, state = set[int](), [0] * count  # 0: not seen, 1: on the way, 2: done
    for root in range(count):
        if state[root]:
            continue
        state[root], way = 1, [(root, iter(leaving[root]))]
        while way:
            node, rest = way[-1]
            for place in rest:
                end = arrows[place].end
                if state[end] == 1 and end != node:
                    found.add(place)
                elif not state[end]:
                    state[end] = 1
                    way.append((end, iter(leaving[end])))
                    break
            else:
                state[node] = 2
                way.pop()
    return found


def _ranks(count: int, arrows: Sequence[Arrow], back: set[int]) -> list[int]:
    """Layers: boxes on even ones, each below all that lead to it; on the odd ones is room for labels."""
    pairs = [(one.end, one.start) if place in back else (one.start, one.end) for place, one in enumerate(arrows) if one.start != one.end]
    ranks = [0] * count
    for _ in range(count):
        moved = False
        for upper, lower in pairs:
            if ranks[lower] < ranks[upper] + 2:
                ranks[lower], moved = ranks[upper] + 2, True
        if not moved:
            break
    return ranks


def _chain(grid: Grid, arrow: Arrow, turned: bool) -> None:
    """Joints for the layers that an arrow crosses; the label stands next to where the arrow begins."""
    upper, lower = (arrow.end, arrow.start) if turned else (arrow.start, arrow.end)
    chain, label = [upper], None
    if arrow.start != arrow.end:
        at = grid.ranks[lower] - 1 if turned else grid.ranks[upper] + 1
        for rank in range(grid.ranks[upper] + 1, grid.ranks[lower]):
            size = arrow.label if rank == at and arrow.label else Size(2, 0)
            if rank == at and arrow.label:
                label = len(grid.sizes)
            chain.append(len(grid.sizes))
            grid.sizes.append(size)
            grid.ranks.append(rank)
        chain.append(lower)
    grid.chains.append(chain)
    grid.labelled.append(label)


# --- order in the layers -----------------------------------------------------------------------------------------------------------------


def _order(grid: Grid) -> None:
    """The order with the fewest crossings of those that the sweeps come by."""
    layers: list[list[int]] = [[] for _ in range(max(grid.ranks) + 1)]
    for node in _walked(grid):
        layers[grid.ranks[node]].append(node)
    above, below = neighbours(grid)
    best, fewest = [list(one) for one in layers], _crossings(layers, below)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for rank in range(len(layers)) if down else reversed(range(len(layers))):
            beside = layers[rank - 1] if down else layers[rank + 1] if rank + 1 < len(layers) else []
            if rank or not down:
                _by_barycentre(layers[rank], beside, above if down else below)
        if (count := _crossings(layers, below)) < fewest:
            best, fewest = [list(one) for one in layers], count
    grid.layers = best


def _walked(grid: Grid) -> list[int]:
    """All nodes, along the arrows in their order: what belongs together starts out side by side."""
    _, below = neighbours(grid)
    seen = dict[int, None]()
    for root in sorted(range(len(grid.sizes)), key=lambda node: (grid.ranks[node], node)):
        way = [root]
        while way:
            node = way.pop()
            if node not in seen:
                seen[node] = None
                way += reversed(below[node])
    return list(seen)


def _by_barycentre(layer: list[int], beside: list[int], links: list[list[int]]) -> None:
    place = {node: index for index, node in enumerate(beside)}
    own = {node: index for index, node in enumerate(layer)}

    def centre(node: int) -> float:
        found = [place[one] for one in links[node] if one in place]
        return sum(found) / len(found) if found else own[node]

    layer.sort(key=lambda node: (centre(node), own[node]))


def _crossings(layers: Sequence[Sequence[int]], below: list[list[int]]) -> int:
    count = 0
    for upper, lower in pairwise(layers):
        place = {node: index for index, node in enumerate(lower)}
        ends = [place[one] for node in upper for one in sorted(below[node], key=place.__getitem__)]
        count += sum(ends[i] > ends[j] for i in range(len(ends)) for j in range(i + 1, len(ends)))
    return count


# --- the result --------------------------------------------------------------------------------------------------------------------------


def _result(grid: Grid, arrows: Sequence[Arrow], back: set[int]) -> Layout:
    heights = [max(grid.sizes[node].height for node in layer) for layer in grid.layers]
    tops = [0.0]
    for height in heights:
        tops.append(tops[-1] + height + DOWN)
    left = min(grid.x[node] - grid.sizes[node].width / 2 for node in range(len(grid.sizes)))
    right = max(grid.x[node] + grid.sizes[node].width / 2 for node in range(len(grid.sizes)))
    centres = [Point(grid.x[node] - left, tops[rank] + heights[rank] / 2) for node, rank in enumerate(grid.ranks)]
    routes = [_route(grid, chain, centres, heights, turned=place in back) for place, chain in enumerate(grid.chains)]
    labels = [centres[node] if node is not None else None for node in grid.labelled]
    loops = any(one.start == one.end for one in arrows)
    return Layout(centres[: grid.real], routes, labels, Size(right - left + (ACROSS if loops else 0), tops[-1] - DOWN))


def _route(grid: Grid, chain: Sequence[int], centres: Sequence[Point], heights: Sequence[float], *, turned: bool) -> list[Point]:
    """From the lower edge of one box through the joints to the upper edge of the other; a box's arrow to itself goes round its right side."""
    if len(chain) == 1:
        x, y = centres[chain[0]]
        width, height = grid.sizes[chain[0]]
        return [Point(x + width / 2, y + height / 4), Point(x + width / 2 + ACROSS, y), Point(x + width / 2, y - height / 4)]
    points = []
    for place, node in enumerate(chain):
        x, y = centres[node]
        tall = grid.sizes[node].height if node < grid.real else heights[grid.ranks[node]]
        points += [*([Point(x, y - tall / 2)] if place else []), *([Point(x, y + tall / 2)] if place < len(chain) - 1 else [])]
    return points[::-1] if turned else points
