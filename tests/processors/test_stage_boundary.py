"""What an observer is told of a chain, and that the chain is the same without one."""

from pipecat.frames.frames import ErrorFrame, Frame, InputAudioRawFrame, TextFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.tests.utils import run_test

from conversation.observer import Unobserved
from processors.audio import forward_audio
from processors.contract import in_order
from processors.stage_boundary import observed


class Watching(Unobserved):
    """Keeps what it is told."""

    live = True

    def __init__(self) -> None:
        self.told: list[tuple[str, str, bool]] = []

    def gave(self, stage: str, frame: Frame, *, upstream: bool = False) -> None:
        if isinstance(frame, (TextFrame, ErrorFrame, InputAudioRawFrame)):
            self.told.append((stage, type(frame).__name__, upstream))


class Stage(FrameProcessor):
    """Answers each text with audio, and with a complaint."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, TextFrame):
            await forward_audio(self, InputAudioRawFrame(b"\0\0", 16_000, 1))
            await self.push_error("no idea")


async def test_an_observer_is_told_what_each_stage_gives_in_order() -> None:
    watching = Watching()
    chain = in_order(*observed(watching, ("first", [Stage()]), ("second", [Stage()])))
    assert len(chain) == 5
    await run_test(Pipeline(chain), frames_to_send=[TextFrame("hello")])
    assert watching.told[:3] == [
        ("first", "TextFrame", False),
        ("second", "TextFrame", False),
        ("second", "InputAudioRawFrame", False),
    ]
    # An error of the second stage passes the first, which is behind a boundary of its own.
    assert [told for told in watching.told if told[1] == "ErrorFrame"][:2] == [
        ("second", "ErrorFrame", True),
        ("first", "ErrorFrame", True),
    ]


def test_a_chain_that_nobody_observes_has_no_boundaries() -> None:
    one, other = Stage(), Stage()
    assert list(observed(Unobserved(), ("first", [one]), ("second", [other]))) == [one, other]
