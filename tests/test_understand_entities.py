"""What a message names, in Korean and English."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley_router.understand.entities import entities

TODAY = date(2026, 11, 25)  # a Wednesday


@pytest.mark.parametrize(
    "text, expected",
    [
        ("주문번호 A10023 언제 와요?", {"order_number": "A10023"}),
        ("주문 20261120-00123 취소해주세요", {"order_number": "20261120-00123"}),
        ("where is my order #88213", {"order_number": "88213"}),
        ("order number is ab-5521-7, cancel it", {"order_number": "AB-5521-7"}),
        ("주문했는데 언제 와요?", {}),
        ("I placed an order yesterday", {"date": "2026-11-24"}),
        ("제 번호는 010-1234-5678이에요", {"phone": "+821012345678"}),
        ("call me at +44 20 7946 0958", {"phone": "+442079460958"}),
        ("minji.kim@Example.COM 으로 보내주세요", {"email": "minji.kim@example.com"}),
        ("내일 오후에 받을 수 있어요?", {"date": "2026-11-26"}),
        ("can it come next friday", {"date": "2026-12-04"}),
        ("12월 3일까지 필요해요", {"date": "2026-12-03"}),
        ("오늘이나 내일 와요?", {}),
        ("두 개 주세요", {"quantity": "2"}),
        ("make it 3 boxes please", {"quantity": "3"}),
        ("i need 2x", {"quantity": "2"}),
        ("a couple of them", {"quantity": "2"}),
        ("얼그레이 50개 견적 주세요", {"quantity": "50"}),
        ("M 사이즈로 바꿔주세요", {"size": "M"}),
        ("size 95 있나요", {"size": "95"}),
        ("do you have it in XL?", {"size": "XL"}),
        ("large size please", {"size": "L"}),
        ("신발 250mm 있어요?", {"size": "250"}),
        ("I'm happy, it's great", {}),
        (
            "주문 A10023, 010-1234-5678, 내일, XL 두 벌",
            {"order_number": "A10023", "phone": "+821012345678", "date": "2026-11-26", "size": "XL", "quantity": "2"},
        ),
        ("https://shop.example/order/12345?x=3 이거 얼마예요", {}),
    ],
)
def test_entities(text, expected):
    """Each kind is found as it is written, and nothing where there is none."""
    assert expected == entities(text, TODAY, "KR")


def test_a_number_belongs_to_one_kind():
    """The digits of an order are neither a phone number nor a quantity nor a date."""
    assert {"order_number": "20261120"} == entities("order 20261120", TODAY, "KR")


@given(st.text(max_size=200))
def test_any_text_can_be_read(text):
    """Whatever people write, what is found are names and texts that are not empty."""
    assert all(name and value for name, value in entities(text, TODAY, "KR").items())
