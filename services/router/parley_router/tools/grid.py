"""A picture while it is laid out: boxes and joints in layers, and how they are spread across their layers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

ACROSS = 24.0
"""Between two boxes of a layer; half of it between joints."""
SETTLING = 90
"""Sweeps over the layers until nothing moves any more that anybody would see."""
JOINT = 8.0
"""How much more a joint is drawn to its neighbours than a box is: long arrows run straight."""


class Size(NamedTuple):
    width: float
    height: float


@dataclass
class Grid:
    """What is being laid out: boxes, then joints. `chains`: the nodes of each arrow from top to bottom."""

    sizes: list[Size]
    ranks: list[int]
    real: int
    chains: list[list[int]] = field(default_factory=list)
    labelled: list[int | None] = field(default_factory=list)
    layers: list[list[int]] = field(default_factory=list)
    x: list[float] = field(default_factory=list)


def neighbours(grid: Grid) -> tuple[list[list[int]], list[list[int]]]:
    above: list[list[int]] = [[] for _ in grid.sizes]
    below: list[list[int]] = [[] for _ in grid.sizes]
    for chain in grid.chains:
        for upper, lower in pairwise(chain):
            below[upper].append(lower)
            above[lower].append(upper)
    return above, below


def spread(grid: Grid) -> None:
    """Moves the nodes of each layer as near to their neighbours as their widths allow, up and down, until it is quiet."""
    grid.x = [0.0] * len(grid.sizes)
    for layer in grid.layers:
        _settle(grid, layer, [0.0] * len(layer))
    above, below = neighbours(grid)
    for sweep in range(SETTLING):
        both = sweep >= SETTLING // 3  # first along one direction, then where the pulls from above and below are even
        for layer in grid.layers if sweep % 2 == 0 else reversed(grid.layers):
            wanted = []
            for node in layer:
                near = above[node] + below[node] if both else above[node] if sweep % 2 == 0 else below[node]
                pulls = [(grid.x[one], JOINT if node >= grid.real and one >= grid.real else 1.0) for one in near]
                wanted.append(sum(x * pull for x, pull in pulls) / sum(pull for _, pull in pulls) if pulls else grid.x[node])
            _settle(grid, layer, wanted)


def _settle(grid: Grid, layer: Sequence[int], wanted: Sequence[float]) -> None:
    """The places with the least squared distance from those wanted, in which the order is kept and nothing overlaps: pool adjacent violators."""
    offsets, offset = [], 0.0
    for place, node in enumerate(layer):
        if place:
            offset += _apart(grid, layer[place - 1], node)
        offsets.append(offset)
    pools: list[tuple[float, float, int]] = []  # mean, weight, count
    for node, want, offset in zip(layer, wanted, offsets, strict=True):
        mean, weight, count = want - offset, 1.0 if node < grid.real else JOINT, 1
        while pools and pools[-1][0] > mean:
            before, heavy, many = pools.pop()
            mean, weight, count = (mean * weight + before * heavy) / (weight + heavy), weight + heavy, count + many
        pools.append((mean, weight, count))
    settled = [mean for mean, _, count in pools for _ in range(count)]
    for node, mean, offset in zip(layer, settled, offsets, strict=True):
        grid.x[node] = mean + offset


def straighten(grid: Grid) -> None:
    """What leads on to one alone runs straight down as far as what stands beside it allows: as few places across as can be."""
    beside = {node: (layer, place) for layer in grid.layers for place, node in enumerate(layer)}

    def room(node: int) -> tuple[float, float]:
        layer, place = beside[node]
        left = grid.x[layer[place - 1]] + _apart(grid, layer[place - 1], node) if place else float("-inf")
        right = grid.x[layer[place + 1]] - _apart(grid, node, layer[place + 1]) if place + 1 < len(layer) else float("inf")
        return left, right

    for run in _runs(grid):
        straight, low, high = list[int](), float("-inf"), float("inf")
        for node in [*run, None]:
            left, right = room(node) if node is not None else (float("inf"), float("-inf"))
            if max(low, left) > min(high, right) and straight:
                middle = sum(grid.x[one] for one in straight) / len(straight)
                for one in straight:
                    grid.x[one] = min(max(middle, low), high)
                straight, low, high = [], float("-inf"), float("inf")
                left, right = room(node) if node is not None else (left, right)
            if node is not None:
                straight, low, high = [*straight, node], max(low, left), min(high, right)


def _runs(grid: Grid) -> list[list[int]]:
    """Nodes in a row, each of which leads to the next alone, and the next is led to by it alone."""
    above, below = neighbours(grid)
    on = {node: ends[0] for node, ends in enumerate(below) if len(ends) == 1 and len(above[ends[0]]) == 1}
    runs = []
    for start in set(range(len(grid.sizes))) - set(on.values()):
        run = [start]
        while run[-1] in on:
            run.append(on[run[-1]])
        runs.append(run)
    return sorted(runs, key=lambda run: (-len(run), run))


def _apart(grid: Grid, left: int, right: int) -> float:
    """Between the centres of two neighbours at least."""
    gap = ACROSS if left < grid.real or right < grid.real else ACROSS / 2
    return (grid.sizes[left].width + grid.sizes[right].width) / 2 + gap
