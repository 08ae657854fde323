"""Which language a message is in."""

import pytest

from parley_router.understand.languages import recognised


@pytest.mark.parametrize(
    "text, languages, hint, expected",
    [
        ("주문 어디까지 왔어요", ("ko", "en"), None, "ko"),
        ("ㄱㅅ", ("ko", "en"), None, "ko"),
        ("XL 사이즈 있나요", ("ko", "en"), None, "ko"),
        ("where is it", ("ko", "en"), "ko", "en"),
        ("A10023", ("ko", "en"), "ko", None),
        ("👍 !!", ("ko", "en"), "ko", None),
        ("配送はいつですか", ("ko", "en"), None, None),
        ("配送はいつですか", ("ko", "ja"), None, "ja"),
        ("wo ist mein paket geblieben", ("de", "en"), None, "de"),
        ("where has my parcel gone", ("de", "en"), None, "en"),
        ("où est ma commande", ("en", "fr"), None, "fr"),
        ("", ("ko", "en"), "ko", None),
    ],
)
def test_language(text, languages, hint, expected):
    """By script where it tells, else by words; numbers, signs and languages that were not asked about say nothing."""
    assert expected == recognised(text, languages, hint)


def test_the_language_known_decides_between_two_that_fit():
    """A word that is of two languages is read as the one that its writer is known to speak."""
    assert ("de", "en") == tuple(recognised("ok", ("de", "en"), hint) for hint in ("de", "en"))
