"""A judge at the simulator of an OpenAI-compatible endpoint."""

from evals.judge.judge import ModelJudge
from evals.judge.vendors import judge_of
from settings import Settings
from simulators.openai import OpenAISimulator


def openai_judge(vendor: OpenAISimulator) -> ModelJudge:
    endpoint = {"brain_base_url": vendor.url, "brain_model": "simulated"}
    return judge_of("openai", Settings(_env_file=None, **endpoint))  # type: ignore[call-arg, arg-type]
