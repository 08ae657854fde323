"""A text as the numbers of its pieces, the way SentencePiece's unigram model cuts: the cut with the best score. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MARK = "\u2581"
"""Stands for a blank within pieces."""
LIMIT = 126
"""Pieces of a message that are read; a question is asked within its first lines, and time grows with length."""
_BLANKS = re.compile(" {2,}")
_NOWHERE = -1e30


@dataclass(frozen=True, slots=True)
class Pieces:
    """A vocabulary: each piece with its number and score, how characters are written before cutting, and the numbers of the marks around a text."""

    numbers: Mapping[str, tuple[int, float]]
    longest: int
    written: Mapping[int, str]
    begin: int
    end: int
    unknown: int
    unknown_score: float

    def cut(self, text: str) -> list[int]:
        """The numbers of a text's pieces between the marks of begin and end, at most `LIMIT` of them."""
        line = _BLANKS.sub(" ", text.translate(self.written))
        line = (line if line.startswith(" ") else f" {line}").replace(" ", MARK)
        return [self.begin, *self._best(line[: LIMIT * 8])[:LIMIT], self.end]

    def _best(self, line: str) -> list[int]:
        """Viterbi over places: the best way to reach each from the ones before."""
        size = len(line)
        score, back = [0.0] + [_NOWHERE] * size, [(0, self.unknown)] * (size + 1)
        for start in range(size):
            here = score[start]
            if here + self.unknown_score > score[start + 1]:
                score[start + 1], back[start + 1] = here + self.unknown_score, (start, self.unknown)
            for end in range(start + 1, min(size, start + self.longest) + 1):
                piece = self.numbers.get(line[start:end])
                if piece is not None and here + piece[1] > score[end]:
                    score[end], back[end] = here + piece[1], (start, piece[0])
        found, place = list[int](), size
        while place > 0:
            place, number = back[place]
            found.append(number)
        return found[::-1]
