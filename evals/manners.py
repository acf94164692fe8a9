"""How the page of a recording played and reported, read off what it said."""

from bisect import bisect_right
from itertools import pairwise
from statistics import median

from recording.message import samples_of
from recording.recording import AGENT_RATE, Recording
from transports.page import Page
from transports.replay import Manner
from transports.rtvi import RtviPage


def manner_of(recording: Recording) -> Manner:
    """Read it off a recording; what it does not show is as usual."""
    reports: list[tuple[float, int, int]] = []
    finals: list[float] = []
    heard: list[tuple[float, float, int, int]] = []  # told, when, epoch, sample
    audible: dict[str, list[int]] = {}
    interrupted: list[float] = []
    sentences: list[tuple[int, int, int, str]] = []
    bursts: list[tuple[float, int, int, str]] = []  # first audio: when, epoch, sample, sentence
    epoch = sent = 0
    for message in recording.topic("/caller/page", "/agent/page", "/agent/audio"):
        data = message.data
        if message.topic == "/agent/audio":
            dry = not bursts or _played_out(message.at, bursts[-1], epoch, sent)
            if dry:
                bursts.append((message.at, epoch, sent, sentences[-1][3] if sentences else ""))
            sent += samples_of(data)
            continue
        match data["type"]:
            case "playback" if data["final"]:
                finals.append(message.at)
            case "playback":
                reports.append((message.at, int(data["epoch"]), int(data["samples"])))
            case "audible":
                at = float(data["at"])
                heard.append((message.at, at, int(data["epoch"]), int(data["sample"])))
                answers = [one for one in sentences if one[0] == data["epoch"] and one[2]]
                first = [one for one in answers if one[1] <= data["sample"]]
                if first:
                    turn = first[-1][2]
                    begun = next(one for one in answers if one[2] == turn)
                    audible.setdefault(begun[3], []).append(int(data["sample"]) - begun[1])
            case "bot-interrupted":
                interrupted.append(message.at)
                epoch, sent = epoch + 1, 0
            case "sentence":
                sentences.append((epoch, int(data["start"]), int(data["turn"]), data["text"]))
            case _:
                pass
    usual = Manner()
    if not reports:
        return Manner(reports=False, lead_secs=RtviPage.lead_secs)
    waits: dict[str, list[float]] = {}
    firsts: list[float] = []
    for at, of, sample, text in bursts:
        told = [one for one in reports if one[1] == of and one[2] > sample and one[0] >= at]
        if told:
            began = told[0][0] - (told[0][2] - sample) / AGENT_RATE
            waits.setdefault(text, []).append(max(0.0, began - at))
            firsts.append(told[0][0] - began)
    periods = [
        after[0] - before[0]
        for before, after in pairwise(reports)
        if before[1] == after[1] and after[0] - before[0] < 0.5
    ]
    late = [
        at - (when + (sample - played) / AGENT_RATE)
        for _, at, of, sample in heard
        for when, played in [
            next(((t, s) for t, e, s in reports if e == of and s > sample), (at, sample))
        ]
    ]
    lags = [
        at - interrupted[index]
        for at in finals
        if (index := bisect_right(interrupted, at) - 1) >= 0
    ]
    return Manner(
        reports=True,
        lead_secs=Page.lead_secs,
        start_secs=median(wait for one in waits.values() for wait in one)
        if waits
        else usual.start_secs,
        starts=waits,
        first_report_secs=max(0.001, median(firsts)) if firsts else usual.first_report_secs,
        report_secs=max(0.02, median(periods)) if periods else usual.report_secs,
        final_secs=median(lags) if lags else usual.final_secs,
        audible_secs=median(told - at for told, at, _, _ in heard) if heard else None,
        heard_secs=median(late) if late else 0.0,
        audible=audible,
    )


def _played_out(at: float, burst: tuple[float, int, int, str], epoch: int, sent: int) -> bool:
    """Whether all that had been sent was played when more of the voice came."""
    began, of, sample, _ = burst
    return of != epoch or at > began + (sent - sample) / AGENT_RATE
