"""The vendors that are services elsewhere, each used when its key is set."""

from collections.abc import Callable
from typing import Any

from pipecat.processors.frame_processor import FrameProcessor
from pydantic import SecretStr

from pipeline.vendors.vendor import Context, Progress, Vendor, needs
from settings import Settings

GROQ_URL = "https://api.groq.com/openai/v1"
ELEVENLABS_URL = "https://api.elevenlabs.io"
OPENROUTER_URL = "https://openrouter.ai/api/v1"


def _key(setting: str, *modules: str, also: str = "") -> Callable[[Settings], str]:
    """A vendor that needs a key, its client, and perhaps another setting."""
    installed = needs(*modules)

    def missing(settings: Settings) -> str:
        wanted = (setting, also) if also else (setting,)
        absent = [name for name in wanted if not getattr(settings, name)]
        if absent:
            return f"not set: {', '.join(name.upper() for name in absent)}"
        return installed(settings)

    return missing


def _secret(key: SecretStr | None) -> str:
    return key.get_secret_value() if key is not None else ""


# Deepgram


def _load_deepgram(context: Context, _: Progress) -> Any:
    from processors.stt.deepgram_line import connect_to

    settings = context.settings
    return connect_to(
        api_key=_secret(settings.deepgram_api_key), base_url=settings.deepgram_base_url
    )


def _build_deepgram(client: Any, context: Context) -> FrameProcessor:
    from processors.stt.deepgram import DeepgramSTT

    return DeepgramSTT(
        client=client,
        model=context.settings.deepgram_model,
        language=context.settings.deepgram_language,
        keyterms=context.document.proper_nouns(),
    )


def _build_more(name: str) -> Callable[[Any, Context], FrameProcessor]:
    """A recogniser of pipecat's own."""

    def build(_: Any, context: Context) -> FrameProcessor:
        from processors.stt import pipecat_services

        service: FrameProcessor = getattr(pipecat_services, name)(
            api_key=_secret(getattr(context.settings, f"{name}_api_key")),
            keyterms=context.document.proper_nouns(),
        )
        return service

    return build


def _nothing(_context: Context, _progress: Progress) -> None:
    """Calls share nothing of it."""


# Brains


def _load_claude(context: Context, progress: Progress) -> Any:
    from processors.brain.claude import ClaudeBrain

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
    name: str, *, url: str = "", model: str = "brain_model", key: str = "brain_api_key"
) -> Callable[[Context, Progress], Any]:
    """A brain behind an endpoint that speaks OpenAI's chat completions.

    Args:
        name: The vendor's name.
        url: Its address; empty for the one in the settings. A vendor with an address of its own
            keeps it, so that its key can go nowhere else.
        model: The setting that names the model.
        key: The setting that holds the key.
    """

    def load(context: Context, _: Progress) -> Any:
        from processors.brain.openai_compatible import OpenAICompatibleBrain

        settings = context.settings
        return OpenAICompatibleBrain(
            context.document,
            base_url=url or settings.brain_base_url,
            model=getattr(settings, model),
            api_key=_secret(getattr(settings, key)) or None,
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
    from processors.tts.elevenlabs_whole import client

    return client(
        api_key=_secret(settings.elevenlabs_api_key),
        base_url=settings.elevenlabs_base_url or ELEVENLABS_URL,
    )


def _build_elevenlabs(client: Any, context: Context) -> FrameProcessor:
    settings = context.settings
    if client is not None:
        from processors.tts.elevenlabs_whole import ElevenLabsWholeTTS

        return ElevenLabsWholeTTS(
            client=client,
            voice_id=settings.elevenlabs_voice_id,
            model=settings.elevenlabs_model,
        )
    from processors.tts.elevenlabs import ElevenLabsTTS

    return ElevenLabsTTS(
        api_key=_secret(settings.elevenlabs_api_key),
        voice_id=settings.elevenlabs_voice_id,
        model=settings.elevenlabs_model,
        url=(settings.elevenlabs_base_url or ELEVENLABS_URL).replace("http", "ws", 1),
        # With nobody in reserve, a voice that falls silent is asked once more.
        stall_retries=0 if "," in settings.tts else 1,
    )


# More voices


def _build_cartesia(_: Any, context: Context) -> FrameProcessor:
    from processors.tts.pipecat_services import cartesia

    return cartesia(
        api_key=_secret(context.settings.cartesia_api_key),
        voice_id=context.settings.cartesia_voice_id,
    )


def _build_aura(_: Any, context: Context) -> FrameProcessor:
    from processors.tts.pipecat_services import aura

    return aura(api_key=_secret(context.settings.deepgram_api_key))


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
        model_setting="deepgram_model",
    ),
    Vendor(
        stage="stt",
        name="assemblyai",
        label="AssemblyAI",
        kind="cloud",
        detail="in AssemblyAI's cloud; your voice is sent there",
        missing=_key("assemblyai_api_key", "websockets"),
        load=_nothing,
        build=_build_more("assemblyai"),
        automatic=False,
        checked="construction",
        model="universal-3-6-pro",
    ),
    Vendor(
        stage="stt",
        name="soniox",
        label="Soniox",
        kind="cloud",
        detail="in Soniox' cloud; your voice is sent there",
        missing=_key("soniox_api_key", "websockets"),
        load=_nothing,
        build=_build_more("soniox"),
        automatic=False,
        checked="construction",
        model="stt-rt-v5",
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
        model_setting="claude_model",
    ),
    Vendor(
        stage="brain",
        name="openai",
        label="OpenAI-compatible endpoint",
        kind="cloud",
        detail="any endpoint that speaks OpenAI's chat completions: Ollama, vLLM …",
        missing=_key("brain_base_url", "openai", also="brain_model"),
        load=_openai("openai"),
        build=_itself,
        model_setting="brain_model",
    ),
    Vendor(
        stage="brain",
        name="groq",
        label="Groq",
        kind="cloud",
        detail="a language model in Groq's cloud, held to the document",
        missing=_key("groq_api_key", "openai", also="groq_model"),
        load=_openai("groq", url=GROQ_URL, model="groq_model", key="groq_api_key"),
        build=_itself,
        automatic=False,
        checked="construction",
        model_setting="groq_model",
    ),
    Vendor(
        stage="brain",
        name="openrouter",
        label="OpenRouter",
        kind="cloud",
        detail="a language model that OpenRouter finds, held to the document",
        missing=_key("openrouter_api_key", "openai", also="openrouter_model"),
        load=_openai(
            "openrouter",
            url=OPENROUTER_URL,
            model="openrouter_model",
            key="openrouter_api_key",
        ),
        build=_itself,
        automatic=False,
        checked="construction",
        model_setting="openrouter_model",
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
        model_setting="elevenlabs_model",
    ),
    Vendor(
        stage="tts",
        name="cartesia",
        label="Cartesia",
        kind="cloud",
        detail="a voice in Cartesia's cloud",
        missing=_key("cartesia_api_key", "websockets", also="cartesia_voice_id"),
        load=_nothing,
        build=_build_cartesia,
        automatic=False,
        checked="construction",
        model="sonic-3.6",
    ),
    Vendor(
        stage="tts",
        name="aura",
        label="Deepgram Aura",
        kind="cloud",
        detail="a voice in Deepgram's cloud",
        missing=_key("deepgram_api_key", "websockets"),
        load=_nothing,
        build=_build_aura,
        automatic=False,
        checked="construction",
    ),
)
