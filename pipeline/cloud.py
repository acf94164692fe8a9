"""The vendors that are services elsewhere, each used when its key is set."""

from collections.abc import Callable
from typing import Any

from pipecat.processors.frame_processor import FrameProcessor
from pydantic import SecretStr

from pipeline.settings import Settings
from pipeline.vendor import Context, Progress, Vendor, needs

GROQ_URL = "https://api.groq.com/openai/v1"
OPENROUTER_URL = "https://openrouter.ai/api/v1"


def _key(setting: str, *modules: str, **others: str) -> Callable[[Settings], str]:
    """A vendor that needs a key, its client, and perhaps further settings."""
    installed = needs(*modules)

    def missing(settings: Settings) -> str:
        absent = [name for name in (setting, *others) if not getattr(settings, name)]
        if absent:
            return f"not set: {', '.join(name.upper() for name in absent)}"
        return installed(settings)

    return missing


def _secret(key: SecretStr | None) -> str:
    return key.get_secret_value() if key is not None else ""


# Deepgram


def _load_deepgram(context: Context, _: Progress) -> Any:
    from processors.deepgram_line import connect_to

    settings = context.settings
    return connect_to(
        api_key=_secret(settings.deepgram_api_key), base_url=settings.deepgram_base_url or None
    )


def _build_deepgram(client: Any, context: Context) -> FrameProcessor:
    from processors.deepgram import DeepgramSTT

    return DeepgramSTT(
        client=client,
        model=context.settings.deepgram_model,
        language=context.settings.deepgram_language,
        keyterms=context.document.proper_nouns(),
    )


# Brains


def _load_claude(context: Context, progress: Progress) -> Any:
    from processors.claude import ClaudeBrain

    progress("Claude's prompt", 0.0)
    settings = context.settings
    return ClaudeBrain.load(
        context.document,
        api_key=_secret(settings.anthropic_api_key),
        model=settings.claude_model,
        base_url=settings.anthropic_base_url or None,
        cache_ttl=settings.claude_cache_ttl,
    )


def _openai(
    name: str, url: Callable[[Settings], str], key: Callable[[Settings], SecretStr | None]
) -> Callable[[Context, Progress], Any]:
    """A brain behind an endpoint that speaks OpenAI's chat completions."""

    def load(context: Context, _: Progress) -> Any:
        from processors.openai_compatible import OpenAICompatibleBrain

        settings = context.settings
        return OpenAICompatibleBrain(
            context.document,
            base_url=url(settings),
            model=settings.brain_model,
            api_key=_secret(key(settings)) or None,
            name=name,
        )

    return load


def _itself(brain: Any, _: Context) -> Any:
    """A brain serves all calls."""
    return brain


# ElevenLabs


def _load_elevenlabs(context: Context, _: Progress) -> Any:
    settings = context.settings
    if settings.tts_mode == "stream":
        return None
    from processors.elevenlabs_whole import client

    address = {"base_url": settings.elevenlabs_base_url} if settings.elevenlabs_base_url else {}
    return client(api_key=_secret(settings.elevenlabs_api_key), **address)


def _build_elevenlabs(client: Any, context: Context) -> FrameProcessor:
    settings = context.settings
    if client is not None:
        from processors.elevenlabs_whole import ElevenLabsWholeTTS

        return ElevenLabsWholeTTS(
            client=client,
            voice_id=settings.elevenlabs_voice_id,
            model=settings.elevenlabs_model,
        )
    from processors.elevenlabs import ElevenLabsTTS

    url = settings.elevenlabs_base_url.replace("http", "ws", 1)
    return ElevenLabsTTS(
        api_key=_secret(settings.elevenlabs_api_key),
        voice_id=settings.elevenlabs_voice_id,
        model=settings.elevenlabs_model,
        **({"url": url} if url else {}),
    )


CLOUD: tuple[Vendor, ...] = (
    Vendor(
        stage="stt",
        name="deepgram",
        label="Deepgram",
        kind="cloud",
        detail="in Deepgram's cloud; your voice is sent there",
        missing=_key("deepgram_api_key", "deepgram"),
        load=_load_deepgram,
        build=_build_deepgram,
        ends_turns=True,
    ),
    Vendor(
        stage="brain",
        name="claude",
        label="Claude",
        kind="cloud",
        detail="a language model in Anthropic's cloud, held to the document",
        missing=_key("anthropic_api_key", "anthropic"),
        load=_load_claude,
        build=_itself,
    ),
    Vendor(
        stage="brain",
        name="openai",
        label="OpenAI-compatible endpoint",
        kind="cloud",
        detail="any endpoint that speaks OpenAI's chat completions: Ollama, vLLM …",
        missing=_key("brain_base_url", "openai", brain_model=""),
        load=_openai("openai", lambda s: s.brain_base_url, lambda s: s.brain_api_key),
        build=_itself,
    ),
    Vendor(
        stage="brain",
        name="groq",
        label="Groq",
        kind="cloud",
        detail="a language model in Groq's cloud, held to the document",
        missing=_key("groq_api_key", "openai", brain_model=""),
        load=_openai("groq", lambda s: s.brain_base_url or GROQ_URL, lambda s: s.groq_api_key),
        build=_itself,
        checked="construction",
    ),
    Vendor(
        stage="brain",
        name="openrouter",
        label="OpenRouter",
        kind="cloud",
        detail="a language model that OpenRouter finds, held to the document",
        missing=_key("openrouter_api_key", "openai", brain_model=""),
        load=_openai(
            "openrouter",
            lambda s: s.brain_base_url or OPENROUTER_URL,
            lambda s: s.openrouter_api_key,
        ),
        build=_itself,
        checked="construction",
    ),
    Vendor(
        stage="tts",
        name="elevenlabs",
        label="ElevenLabs",
        kind="cloud",
        detail="a voice in ElevenLabs' cloud",
        missing=_key("elevenlabs_api_key", "elevenlabs"),
        load=_load_elevenlabs,
        build=_build_elevenlabs,
    ),
)
