"""Turn taking: its rules, the stage that applies them, and the keeper of turns in progress."""

from processors.turns.keeper import TurnKeeper
from processors.turns.processor import TurnTaking
from processors.turns.state_machine import Ending, TurnStateMachine, TurnTakingTimes

__all__ = ["Ending", "TurnKeeper", "TurnStateMachine", "TurnTaking", "TurnTakingTimes"]
