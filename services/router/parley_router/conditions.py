"""Conditions of branches: a small model of its own, so that the same condition can later be asked of many contacts at once. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

Known = Mapping[str, Any]
"""What a condition may ask about, by dotted name: `slot.number`, `profile.name`, `order.status`, `event.cart_id`, `channel`, `language`."""


class Condition(BaseModel):
    """One question: `value` names what is asked; exactly one of `is`, `in`, `known` says what holds. Or `all`, `any`, `not` of others."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    value: str | None = None
    equals: Annotated[str | int | bool | None, Field(alias="is")] = None
    one_of: Annotated[tuple[str, ...] | None, Field(alias="in")] = None
    known: bool | None = None
    all_of: Annotated[tuple[Condition, ...] | None, Field(alias="all")] = None
    any_of: Annotated[tuple[Condition, ...] | None, Field(alias="any")] = None
    none_of: Annotated[Condition | None, Field(alias="not")] = None

    @model_validator(mode="after")
    def _one_question(self) -> Condition:
        asked = sum(one is not None for one in (self.equals, self.one_of, self.known))
        joined = sum(one is not None for one in (self.all_of, self.any_of, self.none_of))
        if (self.value is not None) + joined != 1 or asked != (self.value is not None):
            raise ValueError("a condition is `value` with one of `is`, `in`, `known`, or one of `all`, `any`, `not`")
        return self

    def names(self) -> tuple[str, ...]:
        """Every name that is asked about."""
        inner = (*(self.all_of or ()), *(self.any_of or ()), *((self.none_of,) if self.none_of else ()))
        return ((self.value,) if self.value else ()) + tuple(name for one in inner for name in one.names())


def holds(condition: Condition, find: Callable[[str], object | None]) -> bool:
    """Whether the condition holds; `find` gives what is known by a name, None when nothing is. Texts compare without regard to case."""
    if condition.all_of is not None:
        return all(holds(one, find) for one in condition.all_of)
    if condition.any_of is not None:
        return any(holds(one, find) for one in condition.any_of)
    if condition.none_of is not None:
        return not holds(condition.none_of, find)
    assert condition.value is not None
    found = find(condition.value)
    if condition.known is not None:
        return (found is not None and found != "") is condition.known
    wanted = condition.one_of if condition.one_of is not None else (condition.equals,)
    return found is not None and str(found).casefold() in {str(one).casefold() for one in wanted}
