"""Turn taking: the rules of who has the floor, what applies them to frames, and who keeps turns."""

from processors.turns.keeper import TurnKeeper
from processors.turns.processor import TurnTaking
from processors.turns.state_machine import Ending, TurnStateMachine, TurnTakingTimes

__all__ = ["Ending", "TurnKeeper", "TurnStateMachine", "TurnTaking", "TurnTakingTimes"]
