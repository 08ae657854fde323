"""Pictures of flows as SVG: light and dark by the reader's setting, no text wider than its box, no program beside this one. Pure."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable, Sequence
from html import escape

from parley_router.tools.grid import Size
from parley_router.tools.layout import Arrow, Layout, Point, layout
from parley_router.tools.picture import Box, Picture

FONT = 13.0
"""Pixels."""
SMALL = 11.0
LINE = 18.0
WIDEST = 250.0
PAD = 12.0
MARGIN = 24.0
LINES = 3
"""Lines of what a step says, at most."""

STYLE = """\
svg{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Noto Sans CJK KR",sans-serif;font-size:13px;background:var(--page);
--page:#fff;--text:#1c2430;--soft:#5b6676;--line:#8a95a5;--box:#f6f8fa;--edge:#d3dae3;--say:#2f6fde;--ask:#8a4fd0;--time:#b26a00;--choose:#5b6676;--call:#0b7f6f;--person:#c2354a;--keep:#4c7a1f}
@media(prefers-color-scheme:dark){svg{--page:#12161c;--text:#e6ebf2;--soft:#9aa6b6;--line:#6d798a;--box:#1c232d;--edge:#364252;
--say:#6ea0ff;--ask:#bd8cf5;--time:#f0ad4e;--choose:#9aa6b6;--call:#3fc1ac;--person:#ff7d8f;--keep:#9bd060}}
.box{fill:var(--box);stroke:var(--edge)}.head{font-weight:600;font-size:11px}.body{fill:var(--text)}
.line{fill:none;stroke:var(--line);stroke-width:1.4}.tip{fill:var(--line)}.label{fill:var(--soft);font-size:11px;text-anchor:middle}
.label-back{fill:var(--page)}.title{fill:var(--text);font-size:17px;font-weight:700}.start{fill:var(--text)}.on-start{fill:var(--page)}
"""
COLOURS = {
    "say": "say", "ask": "ask", "book": "ask", "wait": "time", "goal": "time", "branch": "choose", "split": "choose", "call": "call",
    "recommend": "call", "answer": "call", "escalate": "person", "do": "choose",
}  # fmt: skip
"""What a kind of step looks like; the rest keeps something: values, tags, consent."""


def svg(pictures: Iterable[Picture]) -> str:
    """All pictures, one below the other, as one document."""
    parts, top, widest = list[str](), MARGIN, 0.0
    for one in pictures:
        drawn, size = _drawn(one)
        parts.append(f'<text class="title" x="{MARGIN:g}" y="{top + 16:g}">{escape(one.title)}</text>')
        parts.append(f'<g transform="translate({MARGIN:g} {top + 32:.1f})">{drawn}</g>')
        top, widest = top + 32 + size.height + MARGIN * 1.5, max(widest, size.width, width(one.title, 17))
    across = widest + 2 * MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across:.0f} {top:.0f}" width="{across:.0f}" height="{top:.0f}" role="img">\n'
        f"<style>{STYLE}</style>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _drawn(one: Picture) -> tuple[str, Size]:
    wrapped = [_wrapped(box) for box in one.boxes]
    sizes = [_size(box, lines) for box, lines in zip(one.boxes, wrapped, strict=True)]
    arrows = [Arrow(line.start, line.end, Size(width(line.label, SMALL) + 8, 16) if line.label else None) for line in one.lines]
    found = layout(sizes, arrows)
    lines = [f'<path class="line" marker-end="url(#tip)" d="{_curve(route)}"/>' for route in found.routes]
    boxes = [_box(box, text, size, at) for box, text, size, at in zip(one.boxes, wrapped, sizes, found.boxes, strict=True)]
    return "\n".join([*lines, *_labels(one, arrows, found), *boxes]), found.size


def _labels(one: Picture, arrows: Sequence[Arrow], found: Layout) -> Iterable[str]:
    for line, arrow, at, route in zip(one.lines, arrows, found.labels, found.routes, strict=True):
        if not line.label or arrow.label is None:
            continue
        x, y = at if at is not None else Point(route[1].x + arrow.label.width / 2, route[1].y)
        yield f'<rect class="label-back" x="{x - arrow.label.width / 2:.1f}" y="{y - 8:.1f}" width="{arrow.label.width:.1f}" height="16"/>'
        yield f'<text class="label" x="{x:.1f}" y="{y + 4:.1f}">{escape(line.label)}</text>'


def _curve(route: Sequence[Point]) -> str:
    """Through the points: it leaves and enters upright, so that it bends softly between the layers."""
    path = f"M{route[0].x:.1f} {route[0].y:.1f}"
    if len(route) == 3:  # to itself
        return path + f"C{route[1].x:.1f} {route[0].y:.1f} {route[1].x:.1f} {route[2].y:.1f} {route[2].x:.1f} {route[2].y:.1f}"
    for before, after in itertools.pairwise(route):
        middle = (before.y + after.y) / 2
        path += f"C{before.x:.1f} {middle:.1f} {after.x:.1f} {middle:.1f} {after.x:.1f} {after.y:.1f}"
    return path


def _box(box: Box, lines: Sequence[str], size: Size, at: Point) -> str:
    x, y = at.x - size.width / 2, at.y - size.height / 2
    if box.shape == "end":
        return f'<circle class="box" cx="{at.x:.1f}" cy="{at.y:.1f}" r="8"/><circle class="tip" cx="{at.x:.1f}" cy="{at.y:.1f}" r="4"/>'
    colour = f"var(--{COLOURS.get(box.kind, 'keep')})"
    start = box.shape == "start"
    round_ = 14 if box.shape in ("start", "flow") else 6
    shape = f'<rect class="{"start" if start else "box"}" x="{x:.1f}" y="{y:.1f}" width="{size.width:.1f}" height="{size.height:.1f}" rx="{round_}"/>'
    if box.shape == "step":
        shape += f'<rect x="{x:.1f}" y="{y + 6:.1f}" width="4" height="{size.height - 12:.1f}" rx="2" fill="{colour}"/>'
    fill = ' class="head on-start"' if start else ' class="head body"' if box.shape == "flow" else f' class="head" fill="{colour}"'
    text = f'<text{fill} x="{x + PAD:.1f}" y="{y + 18:.1f}">{escape(_head(box))}</text>'
    text += "".join(
        f'<text class="{"on-start" if start else "body"}" x="{x + PAD:.1f}" y="{y + 18 + LINE * (place + 1):.1f}">{escape(line)}</text>'
        for place, line in enumerate(lines)
    )
    return f"<g>{f'<title>{escape(box.full)}</title>' if box.full else ''}{shape}{text}</g>"


def _head(box: Box) -> str:
    return fitted(f"→ {box.head.removeprefix('flow/')}" if box.shape == "flow" else box.head, WIDEST - 2 * PAD, SMALL)


def _size(box: Box, lines: Sequence[str]) -> Size:
    if box.shape == "end":
        return Size(16, 16)
    most = max([width(_head(box), SMALL), *(width(one) for one in lines)])
    return Size(max(most + 2 * PAD, 70), 28 + LINE * len(lines))


def _wrapped(box: Box) -> list[str]:
    """The body in at most three lines, each as wide as a box can be."""
    lines, rest = list[str](), box.body
    while rest and len(lines) < LINES:
        if len(lines) == LINES - 1:
            lines.append(fitted(rest, WIDEST - 2 * PAD))
            break
        line, rest = _first_line(rest, WIDEST - 2 * PAD)
        lines.append(line)
    return lines


def _first_line(text: str, most: float) -> tuple[str, str]:
    """As much as fits, broken at a blank where one is not too far back, else between letters."""
    if width(text) <= most:
        return text, ""
    count = 1
    while width(text[: count + 1]) <= most:
        count += 1
    blank = text.rfind(" ", 0, count + 1)
    cut = blank if blank > count // 2 else count
    return text[:cut].rstrip(), text[cut:].lstrip()


def fitted(text: str, most: float, size: float = FONT) -> str:
    """The text, or as much of it as fits with an ellipsis."""
    if width(text, size) <= most:
        return text
    while text and width(text + "…", size) > most:
        text = text[:-1]
    return text.rstrip() + "…"


NARROW, BROAD = frozenset("iljtfrI.,:;!'|()[]` "), frozenset("mwMW@%—…→&")


def width(text: str, size: float = FONT) -> float:
    """How wide a text is at most in any of the fonts it may be shown in."""
    return sum(_ems(one) for one in text) * size


def _ems(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in "WF" or ord(letter) >= 0x1F000:
        return 1.1 if ord(letter) < 0x1F000 else 1.4
    if letter in NARROW:
        return 0.42
    return 1.05 if letter in BROAD else 0.78 if letter.isupper() else 0.66
