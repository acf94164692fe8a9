"""A simulator of Anthropic's Messages API, built from its documentation.

* Streaming: https://platform.claude.com/docs/en/build-with-claude/streaming
* Errors: https://platform.claude.com/docs/en/api/errors
* Caching: https://platform.claude.com/docs/en/build-with-claude/prompt-caching
* A model: https://platform.claude.com/docs/en/api/models/retrieve
"""

import asyncio
import dataclasses
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from simulators.anthropic_rules import (
    MORE_TOKENS,
    THOUGHT_TOKENS,
    TOOL_PROMPT_TOKENS,
    TTL_SECS,
    VERSIONS,
    RefusedError,
    all_tokens,
    breakpoints,
    family,
    thinks_first,
    tokens_of,
    validate,
)
from simulators.model import (
    CHARS_PER_TOKEN,
    DroppedError,
    EndedError,
    EventStream,
    Fault,
    LanguageModelSimulator,
    Latency,
    Model,
    Reply,
    Request,
    conversation,
    finish,
    log_disconnect,
)

__all__ = ["AnthropicSimulator", "Fault", "Latency", "Model", "Reply"]

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
_OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


@dataclass
class _Cached:
    tokens: int
    expires: float


class AnthropicSimulator(LanguageModelSimulator):
    """Serves ``/v1/messages``, ``/v1/messages/count_tokens`` and ``/v1/models/{id}``.

    Parameters:
        model: The answers, their timing and the faults.
        host: The address to listen on.
        port: The port to listen on; 0 picks a free one.
    """

    def __init__(self, model: Model, *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(model)
        self.url = ""
        self._where = (host, port)
        self._cache: dict[str, _Cached] = {}

    async def __aenter__(self) -> "AnthropicSimulator":
        app = web.Application(client_max_size=32 * 1024**2)
        app.router.add_post("/v1/messages", self._messages)
        app.router.add_post("/v1/messages/count_tokens", self._count)
        app.router.add_get("/v1/models/{model}", self._describe_model)
        self.url = await self.start(app, host=self._where[0], port=self._where[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def messages(self) -> list[Request]:
        """Requests for an answer: no token counts, and no ``max_tokens: 0`` cache warming."""
        asked = [request for request in self.requests if request.path == "/v1/messages"]
        return [request for request in asked if request.body.get("max_tokens") != 0]

    def expire_cache(self) -> None:
        """Expire every cached prefix."""
        self._cache.clear()

    async def _describe_model(self, request: web.Request) -> web.StreamResponse:
        model = request.match_info["model"]
        try:
            self._authenticate(request)
            family(model)
        except RefusedError as refused:
            return _refusal(None, refused)
        described = {"type": "model", "id": model, "display_name": model.replace("-", " ").title()}
        return web.json_response(described | {"created_at": "2026-10-07T00:00:00Z"})

    async def _count(self, request: web.Request) -> web.StreamResponse:
        received = await self.receive(request)
        try:
            self._authenticate(request)
            validate({"max_tokens": 1, **received.body}, request.headers["anthropic-version"])
        except RefusedError as refused:
            return _refusal(received, refused)
        received.ended = "finished"
        return web.json_response({"input_tokens": all_tokens(received.body)})

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        received = await self.receive(request)
        body = received.body
        try:
            self._authenticate(request)
            validate(body, request.headers["anthropic-version"])
            if body["max_tokens"] == 0:
                received.ended = "finished"
                return web.json_response(_message(body, self._usage(body), [], "max_tokens"))
            number, faults = self.next_answer()
            for fault in faults:
                if fault.kind == "status":
                    kind = _KINDS.get(fault.status, "api_error")
                    raise RefusedError(fault.status, kind.replace("_", " "), fault.retry_after)
            if body.get("stream"):
                return await self._stream(request, received, number, faults)
            reply = await self.reply(number, conversation(body["messages"]))
            await self.wait_first_token()
            usage = self._usage(body) | {
                "output_tokens": tokens_of(body["model"], reply.json + reply.text)
            }
            received.ended = "finished"
            return web.json_response(_message(body, usage, _content(reply), _stop(reply)))
        except RefusedError as refused:
            return _refusal(received, refused)
        except (ConnectionError, asyncio.CancelledError):
            log_disconnect(received)
            raise

    async def _stream(
        self, request: web.Request, received: Request, number: int, faults: list[Fault]
    ) -> web.StreamResponse:
        body = received.body
        stream = EventStream(request, received, faults)
        await stream.open({"request-id": f"req_{secrets.token_hex(12)}"})
        try:
            await stream.apply_faults(None, _OVERLOADED, error_event="error")
            reply = await self.reply(number, conversation(body["messages"]))
            await self.wait_first_token()
            await self._stream_reply(stream, received, reply)
        except EndedError:
            pass
        except DroppedError:
            received.ended_at = asyncio.get_running_loop().time()
            return stream.response
        return await finish(received, stream)

    async def _stream_reply(self, stream: EventStream, received: Request, reply: Reply) -> None:
        body = received.body
        ratio = MORE_TOKENS if family(body["model"]).newer else 1.0
        most = int(body["max_tokens"] * CHARS_PER_TOKEN / ratio)
        if len(reply.json) > most:
            reply = dataclasses.replace(reply, arguments=reply.json[:most], stop="max_tokens")
        usage = self._usage(body)
        started = _message(body, usage | {"output_tokens": 1}, [], None)
        await _event(stream, "message_start", message=started)
        await _event(stream, "ping")
        index, written = 0, 0
        if thinks_first(body):
            await self._thought(stream)
            index, written = 1, THOUGHT_TOKENS
        if reply.text:
            await self._text(stream, index, reply.text)
            index, written = index + 1, written + tokens_of(body["model"], reply.text)
        eager = {
            tool["name"] for tool in body.get("tools", []) if tool.get("eager_input_streaming")
        }
        call: Reply | None = reply if reply.tool else None
        while call is not None:
            await self._call(stream, index, call, eager=call.tool in eager)
            written += tokens_of(body["model"], call.json)
            index, call = index + 1, call.also
        delta = {"stop_reason": _stop(reply), "stop_sequence": None}
        await _event(stream, "message_delta", delta=delta, usage=usage | {"output_tokens": written})
        await _event(stream, "message_stop")

    async def _thought(self, stream: EventStream) -> None:
        """A thought as it is sent by default: empty, and signed."""
        block = {"type": "thinking", "thinking": "", "signature": ""}
        await _event(stream, "content_block_start", index=0, content_block=block)
        delta = {"type": "signature_delta", "signature": secrets.token_hex(16)}
        await _event(stream, "content_block_delta", index=0, delta=delta)
        await _event(stream, "content_block_stop", index=0)

    async def _text(self, stream: EventStream, index: int, text: str) -> None:
        block = {"type": "text", "text": ""}
        await _event(stream, "content_block_start", index=index, content_block=block)
        async for piece in self.pieces(text):
            delta = {"type": "text_delta", "text": piece}
            await _event(stream, "content_block_delta", index=index, delta=delta)
        await _event(stream, "content_block_stop", index=index)

    async def _call(self, stream: EventStream, index: int, call: Reply, *, eager: bool) -> None:
        block = {"type": "tool_use", "id": f"toolu_{secrets.token_hex(12)}", "name": call.tool}
        block |= {"input": {}, "caller": {"type": "direct"}}  # type: ignore[dict-item]
        await _event(stream, "content_block_start", index=index, content_block=block)
        await self._json(stream, index, "")
        withheld = ""
        async for piece in self.pieces(call.json):
            if eager:
                await self._json(stream, index, piece)
            else:
                withheld += piece
            await stream.apply_faults(len(piece), _OVERLOADED, error_event="error")
        if withheld:
            await self._json(stream, index, withheld)
        await _event(stream, "content_block_stop", index=index)

    async def _json(self, stream: EventStream, index: int, piece: str) -> None:
        delta = {"type": "input_json_delta", "partial_json": piece}
        await _event(stream, "content_block_delta", index=index, delta=delta)

    def _authenticate(self, request: web.Request) -> None:
        # SDK 2.0 and later send the key as a bearer token; the API accepts both headers.
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        key = request.headers.get("x-api-key") or bearer
        if not key:
            raise RefusedError(401, "x-api-key header is required")
        if self.model.api_key is not None and key != self.model.api_key:
            raise RefusedError(401, "invalid x-api-key")
        version = request.headers.get("anthropic-version")
        if not version:
            raise RefusedError(400, "anthropic-version: header is required")
        if version not in VERSIONS:
            raise RefusedError(400, f"anthropic-version: {version} is not a valid version")

    def _usage(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The request's ``usage``. Reads and fills the prompt cache, as the vendor does."""
        now = asyncio.get_running_loop().time()
        self._cache = {key: entry for key, entry in self._cache.items() if entry.expires > now}
        least = family(body["model"]).caches_from
        longest, written = 0, {"5m": 0, "1h": 0}
        for prefix, ttl in breakpoints(body):
            length = tokens_of(body["model"], prefix) + TOOL_PROMPT_TOKENS * bool(body.get("tools"))
            if length < least:
                continue
            key = hashlib.sha256(f"{body['model']}\n{prefix}".encode()).hexdigest()
            if key in self._cache:
                longest = max(longest, length)
            else:
                written[ttl] = length - longest
            self._cache[key] = _Cached(length, now + TTL_SECS[ttl])
        return {
            "input_tokens": max(0, all_tokens(body) - longest - sum(written.values())),
            "cache_read_input_tokens": longest,
            "cache_creation_input_tokens": sum(written.values()),
            "cache_creation": {
                "ephemeral_5m_input_tokens": written["5m"],
                "ephemeral_1h_input_tokens": written["1h"],
            },
            "output_tokens": 0,
            "service_tier": "standard",
        }


def _message(
    body: Mapping[str, Any], usage: Mapping[str, Any], content: list[Any], stop: str | None
) -> dict[str, Any]:
    return {
        "id": f"msg_{secrets.token_hex(12)}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": dict(usage),
    }


def _content(reply: Reply) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = [{"type": "text", "text": reply.text}] if reply.text else []
    call: Reply | None = reply if reply.tool else None
    while call is not None:
        made = {"type": "tool_use", "id": f"toolu_{secrets.token_hex(12)}", "name": call.tool}
        content.append(made | {"input": json.loads(call.json)})
        call = call.also
    return content


def _stop(reply: Reply) -> str:
    return reply.stop or ("tool_use" if reply.tool else "end_turn")


async def _event(stream: EventStream, kind: str, **rest: Any) -> None:
    await stream.send({"type": kind, **rest}, event=kind)


def _refusal(received: Request | None, refused: RefusedError) -> web.Response:
    if received is not None:
        received.ended = f"status {refused.status}"
        received.sent.append((asyncio.get_running_loop().time(), received.ended))
    request_id = f"req_{secrets.token_hex(12)}"
    error = {"type": _KINDS.get(refused.status, "api_error"), "message": str(refused)}
    headers = {"request-id": request_id}
    if refused.retry_after:
        headers["retry-after"] = refused.retry_after
    return web.json_response(
        {"type": "error", "error": error, "request_id": request_id},
        status=refused.status,
        headers=headers,
    )
