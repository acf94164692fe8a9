"""Meters what a call uses: collects vendors' usage by turn, and prices it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipecat.frames.frames import MetricsFrame
from pipecat.metrics.metrics import STTUsageMetricsData, TTSUsageMetricsData

from conversation.frames import Usage
from conversation.records import Failover, StageCost, Tariff, Used

MAX_ERRORS = 10
"""Maximum number of errors kept for one turn."""

METERED = ("stt", "brain", "tts")
"""The stages that vendors charge for."""


@dataclass(frozen=True, slots=True)
class Source:
    """A vendor and model that report usage.

    Parameters:
        stage: ``stt``, ``brain`` or ``tts``.
        vendor: The vendor's name in settings.
        model: Its model, where it is known.
    """

    stage: str
    vendor: str
    model: str = ""


@dataclass(slots=True)
class Metered:
    """What one turn has used.

    Parameters:
        by_source: Usage of each vendor and model.
        wasted_tokens: Tokens spent on answers that were begun too early.
        errors: The stages' errors, as text.
        failovers: Failovers during the turn.
        vendors: Each stage's vendor when the turn was first collected.
        models: Each stage's model at that time, if known.
    """

    by_source: dict[Source, Used] = field(default_factory=dict)
    wasted_tokens: int = 0
    errors: list[str] = field(default_factory=list)
    failovers: list[Failover] = field(default_factory=list)
    vendors: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)

    @property
    def used(self) -> Used:
        """The sum over all vendors."""
        return sum(self.by_source.values(), Used())

    def add(self, other: "Metered") -> None:
        """Add another's usage."""
        for source, used in other.by_source.items():
            self.by_source[source] = self.by_source.get(source, Used()) + used
        self.wasted_tokens += other.wasted_tokens
        self.errors = [*self.errors, *other.errors][:MAX_ERRORS]
        self.failovers += other.failovers

    def cost(self, tariff: Tariff | None) -> StageCost:
        """The cost by stage; zero without a tariff."""
        cost = StageCost()
        if tariff is not None:
            for source, used in self.by_source.items():
                micros = tariff.cost(source.vendor, source.model, used)
                cost += StageCost(**{source.stage: micros})
        return cost


class Meter:
    """The meter of one call.

    Usage is recorded under the number of its turn, or of the turn that is to come. Collecting a
    turn also collects what was recorded before it and belongs to no collected turn, so that nothing
    is left out or counted twice.

    Parameters:
        tariff: Prices of vendors; ``None`` to leave costs out.
        vendors: Each stage's vendor at the start of the call.
        models: Each vendor's model, by its name.
        most: The largest plausible report of a stage; a larger one is recorded as this much. A
            stage without it may report anything.
    """

    def __init__(
        self,
        tariff: Tariff | None = None,
        *,
        vendors: Mapping[str, str] | None = None,
        models: Mapping[str, str] | None = None,
        most: Mapping[str, Used] | None = None,
    ) -> None:
        self._tariff = tariff
        self._most = dict(most or {})
        self._models = dict(models or {})
        self._processors: dict[str, Source] = {}
        self._open: dict[int, Metered] = {}
        self._taken: dict[int, Metered] = {}
        self.vendors = {stage: name for stage, name in (vendors or {}).items() if stage in METERED}

    @property
    def models(self) -> Mapping[str, str]:
        """Each vendor's model, by its name, where it is known."""
        return {name: model for name, model in self._models.items() if model}

    @property
    def _models_now(self) -> dict[str, str]:
        found = {stage: self._models.get(name, "") for stage, name in self.vendors.items()}
        return {stage: model for stage, model in found.items() if model}

    @property
    def cost(self) -> StageCost:
        """What the call has cost so far, including what no turn has collected yet."""
        every = [*self._taken.values(), *self._open.values()]
        return sum((metered.cost(self._tariff) for metered in every), StageCost())

    def register_processor(self, processor: str, stage: str, vendor: str) -> None:
        """Register the stage and vendor of a processor, whose name is in the metrics it pushes."""
        self._processors[processor] = self._source(stage, vendor)

    # Recording usage.

    def metrics(self, turn: int, frame: MetricsFrame) -> None:
        """Record the usage that a pipecat service reports."""
        for data in frame.data:
            source = self._processors.get(data.processor)
            if source is None:
                continue
            if isinstance(data, STTUsageMetricsData):
                secs = data.value.audio_seconds
                self._note(turn, source, self._bounded(turn, source, Used(audio_seconds=secs)))
            elif isinstance(data, TTSUsageMetricsData):
                used = Used(characters=data.value)
                self._note(turn, source, self._bounded(turn, source, used))

    def _bounded(self, turn: int, source: Source, reported: Used) -> Used:
        """The part of a report that counts: all of it, or the largest plausible one."""
        most = self._most.get(source.stage)
        if most is None or _within(reported, most):
            return reported
        told = (
            f"{source.vendor} reports {reported.audio_seconds} s, {reported.characters} characters"
        )
        self.trouble(turn, f"{told}, which is impossible; the maximum is recorded")
        return most

    def tokens(self, turn: int, brain: str, usage: Usage, *, wasted: bool = False) -> None:
        """Record what an inference used."""
        if not usage.tokens:
            return
        used = Used(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
        )
        self._note(turn, self._source("brain", brain), used)
        if wasted:
            self._at(turn).wasted_tokens += usage.tokens

    def trouble(self, turn: int, error: str) -> None:
        """Record an error."""
        errors = self._at(turn).errors
        if len(errors) < MAX_ERRORS:
            errors.append(error)

    def failover(self, turn: int, failover: Failover) -> None:
        """Record a failover."""
        self._at(turn).failovers.append(failover)
        self.vendors[failover.stage] = failover.vendor

    def _note(self, turn: int, source: Source, used: Used) -> None:
        by_source = self._at(turn).by_source
        by_source[source] = by_source.get(source, Used()) + used

    def _at(self, turn: int) -> Metered:
        return self._open.setdefault(turn, Metered())

    def _source(self, stage: str, vendor: str) -> Source:
        return Source(stage, vendor, self._models.get(vendor, ""))

    # Collecting it.

    def collect(self, turn: int) -> Metered:
        """Collect all that a turn has used so far; may be called again when there is more."""
        for number in sorted(self._open):
            if number <= turn and (number == turn or number not in self._taken):
                self._turn(turn).add(self._open.pop(number))
        return self._turn(turn)

    def changed_since_collected(self) -> list[int]:
        """Numbers of turns with usage that came after they were collected."""
        return sorted(number for number in self._open if number in self._taken)

    def collect_rest(self, turn: int) -> Metered:
        """Collect all remaining usage into a turn, the last of the call."""
        for number in sorted(self._open):
            if number not in self._taken or number == turn:
                self._turn(turn).add(self._open.pop(number))
        return self.collect(turn)

    def _turn(self, number: int) -> Metered:
        if number not in self._taken:
            self._taken[number] = Metered(vendors=dict(self.vendors), models=self._models_now)
        return self._taken[number]

    def cost_of(self, metered: Metered) -> StageCost:
        """The cost of a turn by stage."""
        return metered.cost(self._tariff)


def _within(reported: Used, most: Used) -> bool:
    """Whether a report can be true."""
    secs = reported.audio_seconds
    heard = math.isfinite(secs) and 0 <= secs <= most.audio_seconds
    return heard and 0 <= reported.characters <= most.characters
