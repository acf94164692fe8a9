"""Turn taking: the rules of who has the floor, and the processor that applies them to frames."""

from processors.turns.processor import TurnTaking
from processors.turns.state_machine import Ending, TurnStateMachine, TurnTakingTimes

__all__ = ["Ending", "TurnStateMachine", "TurnTaking", "TurnTakingTimes"]
