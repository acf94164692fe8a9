"""A simulator of OpenAI's chat completions, and of how compatible endpoints differ from them.

* https://platform.openai.com/docs/api-reference/chat-streaming
* https://platform.openai.com/docs/guides/error-codes
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

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
    tokens,
)

__all__ = ["Fault", "Latency", "Model", "OpenAISimulator", "Reply"]

_KINDS = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    402: "insufficient_quota",
    403: "invalid_request_error",
    404: "invalid_request_error",
    422: "invalid_request_error",
    429: "requests",
    500: "server_error",
}
_ERROR = {"error": {"message": "The server had an error", "type": "server_error", "code": None}}
_CACHED_FROM_TOKENS = 1024


class OpenAISimulator(LanguageModelSimulator):
    """Serves ``POST /v1/chat/completions`` and ``GET /v1/models`` while its context is open.

    Parameters:
        model: The answers, their timing and the faults.
        models: The ids of its models.
        rejects: Parameters that it refuses, as some endpoints do; ``"tool_choice"`` refuses only
            the value ``required``.
        reject_status: The HTTP status of that refusal.
        names_rejected: Whether the refusal names the parameter.
        whole: Whether it sends a call's arguments in one piece, as Ollama does.
        caches: Whether it reports cached tokens for repeated prompts.
        host: The address to listen on.
        port: The port to listen on; 0 picks a free one.
    """

    def __init__(
        self,
        model: Model,
        *,
        models: Sequence[str] = ("simulated",),
        rejects: Sequence[str] = (),
        reject_status: int = 400,
        names_rejected: bool = True,
        whole: bool = False,
        caches: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(model)
        self.url = ""
        self._models = models
        self._rejects = rejects
        self._reject_status = reject_status
        self._names_rejected = names_rejected
        self._whole = whole
        self._caches = caches
        self._seen: set[str] = set()
        self._where = (host, port)

    async def __aenter__(self) -> "OpenAISimulator":
        app = web.Application(client_max_size=32 * 1024**2)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._list)
        self.url = f"{await self.start(app, host=self._where[0], port=self._where[1])}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _list(self, request: web.Request) -> web.StreamResponse:
        received = await self.receive(request)
        if refusal := self._refusal(request, received):
            return refusal
        received.ended = "finished"
        listed = [
            {"id": id, "object": "model", "created": 0, "owned_by": "simulator"}
            for id in self._models
        ]
        return web.json_response({"object": "list", "data": listed})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        received = await self.receive(request)
        body = received.body
        if refusal := self._refusal(request, received) or self._invalid(received):
            return refusal
        number, faults = self.next_answer()
        for fault in faults:
            if fault.kind == "status":
                return _error(received, fault.status, "it was refused", fault.retry_after)
        try:
            if body.get("stream"):
                return await self._stream(request, received, number, faults)
            reply = await self.reply(number, conversation(body["messages"]))
            await self.wait_first_token()
            received.ended = "finished"
            return web.json_response(_completion(body, reply, self._usage(body, reply)))
        except (ConnectionError, asyncio.CancelledError):
            log_disconnect(received)
            raise

    async def _stream(
        self, request: web.Request, received: Request, number: int, faults: list[Fault]
    ) -> web.StreamResponse:
        stream = EventStream(request, received, faults)
        await stream.open({"x-request-id": f"req_{secrets.token_hex(12)}"})
        try:
            await stream.apply_faults(None, _ERROR)
            reply = await self.reply(number, conversation(received.body["messages"]))
            await self.wait_first_token()
            await self._stream_reply(stream, received.body, reply)
        except EndedError:
            pass
        except DroppedError:
            received.ended_at = asyncio.get_running_loop().time()
            return stream.response
        return await finish(received, stream)

    async def _stream_reply(
        self, stream: EventStream, body: Mapping[str, Any], reply: Reply
    ) -> None:
        id = f"chatcmpl-{secrets.token_hex(12)}"
        counts = bool((body.get("stream_options") or {}).get("include_usage"))

        async def send(delta: dict[str, Any], name: str, finish: str | None = None) -> None:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            chunk = _chunk(body, id) | {"choices": [choice]}
            await stream.send(chunk | ({"usage": None} if counts else {}), name=name)

        await send({"role": "assistant", "content": None}, "role")
        if reply.text:
            async for piece in self.pieces(reply.text):
                await send({"content": piece}, "content")
        most = body.get("max_tokens") or body.get("max_completion_tokens")
        cut = "length" if most and len(reply.json) > most * CHARS_PER_TOKEN else ""
        index, call = 0, reply if reply.tool else None
        while call is not None:
            source = call.json[: int(most * CHARS_PER_TOKEN)] if most else call.json
            await self._call(send, stream, index, call.tool, source)
            index, call = index + 1, call.also
        stop = reply.stop or cut or ("tool_calls" if reply.tool else "stop")
        await send({}, "finish", stop)
        if counts:
            usage = {"choices": [], "usage": self._usage(body, reply)}
            await stream.send(_chunk(body, id) | usage, name="usage")
        await stream.send("[DONE]", name="done")

    async def _call(
        self, send: Any, stream: EventStream, index: int, tool: str, source: str
    ) -> None:
        begun = {"index": index, "id": f"call_{secrets.token_hex(12)}", "type": "function"}
        if self._whole:
            async for _ in self.pieces(source):
                pass
            function = {"name": tool, "arguments": source}
            await send({"tool_calls": [begun | {"function": function}]}, "arguments")
            await stream.apply_faults(len(source), _ERROR)
            return
        function = {"name": tool, "arguments": ""}
        await send({"tool_calls": [begun | {"function": function}]}, "call")
        async for piece in self.pieces(source):
            part = {"index": index, "function": {"arguments": piece}}
            await send({"tool_calls": [part]}, "arguments")
            await stream.apply_faults(len(piece), _ERROR)

    def _refusal(self, request: web.Request, received: Request) -> web.Response | None:
        wanted = self.model.api_key
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if wanted is None or given == wanted:
            return None
        if not given:
            return _error(received, 401, "You didn't provide an API key.", code="invalid_api_key")
        # OpenAI does quote part of the key.
        quoted = f"Incorrect API key provided: {given[:4]}***{given[-4:]}."
        return _error(received, 401, quoted, code="invalid_api_key")

    def _invalid(self, received: Request) -> web.Response | None:
        body = received.body
        for name in ("model", "messages"):
            if not body.get(name):
                return _error(received, 400, f"you must provide a {name} parameter")
        if body["model"] not in self._models:
            message = f"The model `{body['model']}` does not exist or you do not have access to it."
            return _error(received, 404, message, code="model_not_found")
        if body.get("tool_choice") and not body.get("tools"):
            return _error(received, 400, "'tool_choice' is only allowed when 'tools' are specified")
        if body.get("stream_options") and not body.get("stream"):
            return _error(received, 400, "'stream_options' is only allowed when 'stream' is set")
        for name in self._rejects:
            if name in body and (name != "tool_choice" or body[name] == "required"):
                message = (
                    f"Unsupported parameter: '{name}'." if self._names_rejected else "Bad input."
                )
                if name == "max_tokens" and self._names_rejected:
                    message += " Use 'max_completion_tokens' instead."
                return _error(received, self._reject_status, message, code="unsupported_parameter")
        return None

    def _usage(self, body: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
        prompt = tokens([*(body.get("tools") or []), *body["messages"]])
        prefix = str((body.get("tools"), body["messages"][:1]))
        cached = 0
        if self._caches and tokens(prefix) >= _CACHED_FROM_TOKENS:
            # OpenAI caches in steps of 128 tokens.
            cached = tokens(prefix) // 128 * 128 if prefix in self._seen else 0
            self._seen.add(prefix)
        written = tokens(reply.json + reply.text)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "total_tokens": prompt + written,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        }


def _chunk(body: Mapping[str, Any], id: str) -> dict[str, Any]:
    return {
        "id": id,
        "object": "chat.completion.chunk",
        "created": 0,
        "model": body["model"],
        "system_fingerprint": None,
    }


def _completion(body: Mapping[str, Any], reply: Reply, usage: Mapping[str, Any]) -> dict[str, Any]:
    calls = []
    call: Reply | None = reply if reply.tool else None
    while call is not None:
        function = {"name": call.tool, "arguments": call.json}
        calls.append(
            {"id": f"call_{secrets.token_hex(12)}", "type": "function", "function": function}
        )
        call = call.also
    message = {"role": "assistant", "content": reply.text or None, "tool_calls": calls}
    stop = reply.stop or ("tool_calls" if calls else "stop")
    return {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": stop}],
        "usage": dict(usage),
    }


def _error(
    received: Request, status: int, message: str, retry_after: str = "", *, code: str | None = None
) -> web.Response:
    received.ended = f"status {status}"
    received.sent.append((asyncio.get_running_loop().time(), received.ended))
    error = {
        "message": message,
        "type": _KINDS.get(status, "server_error"),
        "param": None,
        "code": code,
    }
    headers = {"x-request-id": f"req_{secrets.token_hex(12)}"}
    if retry_after:
        headers["retry-after"] = retry_after
    return web.json_response({"error": error}, status=status, headers=headers)
