"""What comes of a walk: its effects become results and changes of the contact. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never
from uuid import UUID

from parley.contracts import ContactDrawn, Content, GoalChanged, Proof, Purpose
from parley_router import promises
from parley_router.engine import state_after
from parley_router.state import Position, Watched
from parley_router.turn import Turn
from parley_router.walk import CARE, SAID_KEPT, Agreed, Drew, Effect, Escalated, Failed, Left, Rated, Said, Walk

RUNS = 20
"""Flows of one contact that wait for something at once, at most."""
GOALS = 20
DRAWN = 50
"""Experiments of a contact that are remembered as told; one that was forgotten is told again, which changes nothing."""


def apply(turn: Turn, walk: Walk, misses: int = 0) -> None:
    """Turns what a walk did into results, and moves the contact to where it waits."""
    turn.state = state_after(walk, turn.state, misses=misses)
    turn.trail += walk.trail
    if len(turn.state.runs) > RUNS:
        turn.troubles.append(f"contact {turn.contact}: more than {RUNS} flows wait at once; {turn.state.runs[0].flow} was ended")
        turn.update(runs=turn.state.runs[-RUNS:])
    said: list[UUID] = []
    for effect in walk.effects:
        _apply(turn, effect, said)
    if walk.waits == "reply" and not said:
        turn.update(position=None)  # nobody heard the question
    if said and walk.waits == "else":
        turn.update(runs=tuple(_with_said(one, walk.token, said) for one in turn.state.runs))
    elif said and turn.state.position is not None and walk.waits:
        position = turn.state.position
        turn.update(position=position.but(said=(*position.said, *said)[-SAID_KEPT:]))


def _with_said(run: Position, token: str | None, said: Sequence[UUID]) -> Position:
    return run.but(said=(*run.said, *said)[-SAID_KEPT:]) if run.token == token else run


def _apply(turn: Turn, effect: Effect, said: list[UUID]) -> None:
    match effect:
        case Said():
            number = turn.request(effect.content, Purpose.REPLY if effect.replying else effect.flow.purpose, effect)
            if number is not None and effect.replying and turn.state.conversation is not None and turn.unanswered_yet:
                turn.unanswered_yet = False
                turn.changed("answered", flow=effect.flow.flow)
            said += [number] if number is not None else []
        case Agreed():
            if (channel := turn.state.channel) is not None:
                proof = Proof(shown=effect.shown, said=effect.said, flow=effect.flow, step=effect.step)
                turn.consent(channel, turn.state.addresses.get(channel), (effect.purpose,), effect.state, "flow", proof, effect.night)
        case Escalated():
            hand_over(turn, effect.team, effect.flow, told=effect.told)
        case Failed():
            turn.troubles.append(effect.reason)
            if effect.replying:  # a customer waits for an answer; for an event of another service nobody does
                hand_over(turn, CARE, effect.flow, told=False)
        case Watched():
            _watch(turn, effect)
        case Drew():
            _drew(turn, effect)
        case Rated():
            if turn.state.conversation is not None:
                turn.changed("rated", at=turn.at, flow=effect.flow, score=effect.score)
        case Left():
            turn.request(Content(text=turn.words("left")), Purpose.REPLY)
        case _:
            assert_never(effect)


def _watch(turn: Turn, goal: Watched) -> None:
    """Watches for a conversion from now on; the same goal of the same step anew counts from the later time."""
    kept = [one for one in turn.state.goals if (one.event, one.flow, one.step) != (goal.event, goal.flow, goal.step) and one.until > turn.at]
    turn.update(goals=(*kept, goal)[-GOALS:])
    turn.results.append(_told(turn, goal, "watched"))


def reached(turn: Turn, goal: Watched, properties: dict[str, object]) -> None:
    """The conversion happened."""
    turn.results.append(_told(turn, goal, "reached").model_copy(update={"properties": properties}))


def _told(turn: Turn, goal: Watched, change: str) -> GoalChanged:
    return GoalChanged.model_validate({
        "contact_id": turn.contact, "change": change, "goal": goal.event, "flow": goal.flow, "step": goal.step,
        "campaign": goal.campaign, "variant": goal.variant, "until": goal.until, "at": turn.at,
    })  # fmt: skip


def _drew(turn: Turn, one: Drew) -> None:
    """Tells which variant of an experiment the contact was given, once: how often it comes there says nothing about it."""
    told = f"{one.campaign}:{one.experiment}"
    if told in turn.state.drawn:
        return
    turn.update(drawn=(*turn.state.drawn, told)[-DRAWN:])
    turn.results.append(
        ContactDrawn(
            contact_id=turn.contact, experiment=one.experiment, campaign=one.campaign, variant=one.variant, weights=dict(one.weights),
            holdout=one.holdout, flow=one.flow, step=one.step, at=turn.at,
        )
    )  # fmt: skip


def hand_over(turn: Turn, team: str, flow: str | None, *, told: bool) -> None:
    """People take over; the bot says so unless the flow did, and is silent from then on. From now on counts what the team promises."""
    turn.converse()
    assert turn.state.conversation is not None
    if not told:
        turn.request(Content(text=turn.words("handed_over")), Purpose.REPLY)
    current, promised = turn.state.conversation, promises.made(turn, team)
    turn.update(
        conversation=current.but(waiting=True, team=team, promised=current.promised if current.waiting else promised), position=None, misses=0
    )
    turn.changed("escalated", team=team, flow=flow)
