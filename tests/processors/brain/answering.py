"""The ways in which models behind chat completions answer, each a reply on the wire.

Each was taken from how a server or a model is known to answer: the issues of Ollama, vLLM,
llama.cpp and LM Studio, and the models' own templates.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from simulators.listener import Listener
from tests.processors.brain.deciding import FIRST, RIGHT, SECOND

ANSWER = f"{FIRST} {SECOND}"
ARGUMENTS: dict[str, Any] = {"sections": ["education"], "confidence": "high", "answer": ANSWER}
SOURCE = RIGHT.json
QUOTED = json.dumps(ANSWER)


@dataclass(frozen=True, slots=True)
class Way:
    """One way of answering.

    Parameters:
        name: What it is.
        content: The text of the message.
        calls: Its tool calls, as they are on the wire; the first chunk has them whole.
        finish: The finish reason; none for a stream that ends without.
        body: A whole body in place of a stream.
        kind: Its content type.
        status: Its HTTP status.
        legacy: A ``function_call`` instead of calls.
        repaired: The repairs that are counted.
        answer: The answer that it gives.
    """

    name: str
    content: str = ""
    calls: tuple[dict[str, Any], ...] = ()
    finish: str | None = "stop"
    body: Any = None
    kind: str = "application/json"
    status: int = 200
    legacy: dict[str, Any] = field(default_factory=dict)
    repaired: tuple[str, ...] = ()
    answer: str = ANSWER


def made(arguments: Any = SOURCE, name: str | None = "respond", **more: Any) -> dict[str, Any]:
    """A tool call on the wire."""
    function = {"name": name, "arguments": arguments}
    return {"index": 0, "id": "call_1", "type": "function", "function": function, **more}


def by_call(name: str, arguments: Any, *repaired: str, tool: str | None = "respond") -> Way:
    return Way(name, calls=(made(arguments, tool),), finish="tool_calls", repaired=repaired)


def with_field(name: str, field: str, value: Any, *repaired: str) -> Way:
    return by_call(name, json.dumps({**ARGUMENTS, field: value}), *repaired)


def without(field: str) -> str:
    return json.dumps({key: value for key, value in ARGUMENTS.items() if key != field})


def wrapped(name: str = "respond", key: str = "arguments") -> str:
    return json.dumps({"name": name, key: ARGUMENTS})


UNSTREAMED = {
    "id": "1",
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {"role": "assistant", "content": None, "tool_calls": [made()]},
        }
    ],
    "usage": {"prompt_tokens": 10, "completion_tokens": 20},
}
SINGLE = "{'sections': ['education'], 'confidence': 'high', 'answer': " + repr(ANSWER) + "}"
INNER = SOURCE.replace("Yale University in", 'Yale "University" in')
PYTHON = f'respond(sections=["education"], confidence="high", answer={QUOTED})'
QWEN = (
    '<tool_call>\n<function=respond>\n<parameter=sections>\n["education"]\n</parameter>\n'
    f"<parameter=confidence>\nhigh\n</parameter>\n<parameter=answer>\n{ANSWER}\n</parameter>\n"
    "</function>\n</tool_call>"
)
GLM = (
    '<tool_call>respond\n<arg_key>sections</arg_key>\n<arg_value>["education"]</arg_value>\n'
    "<arg_key>confidence</arg_key>\n<arg_value>high</arg_value>\n"
    f"<arg_key>answer</arg_key>\n<arg_value>{ANSWER}</arg_value>\n</tool_call>"
)
MINIMAX = (
    '<minimax:tool_call>\n<invoke name="respond">\n<parameter name="sections">["education"]'
    '</parameter>\n<parameter name="confidence">high</parameter>\n'
    f'<parameter name="answer">{ANSWER}</parameter>\n</invoke>\n</minimax:tool_call>'
)
GEMMA = (
    '<|tool_call>call:respond{sections:[<|"|>education<|"|>],confidence:<|"|>high<|"|>,'
    f'answer:<|"|>{ANSWER}<|"|>}}<tool_call|>'
)
DEEPSEEK = (
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>respond\n"  # noqa: RUF001
    f"```json\n{SOURCE}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"  # noqa: RUF001
)
KIMI = (
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.respond:0"
    f"<|tool_call_argument_begin|>{SOURCE}<|tool_call_end|><|tool_calls_section_end|>"
)
HARMONY = (
    "<|channel|>analysis<|message|>They ask about {Yale}.<|end|><|start|>assistant<|channel|>"
    f"commentary to=functions.respond <|constrain|>json<|message|>{SOURCE}<|call|>"
)

WAYS: tuple[Way, ...] = (
    by_call("as asked for", SOURCE),
    # In the text.
    Way("the call as JSON in the text", wrapped(), repaired=("text",)),
    Way("with parameters (Llama 3)", wrapped(key="parameters"), repaired=("text",)),
    Way("behind <|python_tag|>", "<|python_tag|>" + wrapped(key="parameters"), repaired=("tags",)),
    Way("arguments ahead of the name (Granite)",
        "<|tool_call|>[" + json.dumps({"arguments": ARGUMENTS, "name": "respond"}) + "]",
        repaired=("tags",)),
    Way("its arguments alone", SOURCE, repaired=("text",)),
    Way("the tool's name as the key", json.dumps({"respond": ARGUMENTS}), repaired=("text",)),
    Way("as a whole tool call", json.dumps({"tool_calls": [made(ARGUMENTS)]}),
        repaired=("text",)),
    Way("beside its name", json.dumps({"name": "respond", **ARGUMENTS}), repaired=("text",)),
    Way("with sentences around it",
        f"Let me answer that.\n\n{wrapped()}\n\nI hope this helps!", repaired=("text",)),
    Way("in <tool_call> tags (Hermes)", f"<tool_call>\n{wrapped()}\n</tool_call>",
        repaired=("tags",)),
    Way("in <tool_call> tags that do not close", f"<tool_call>\n{wrapped()}", repaired=("tags",)),
    Way("in [TOOL_CALLS] (Mistral)", f"[TOOL_CALLS][{wrapped()}]", repaired=("tags",)),
    Way("in [TOOL_CALL] with args (MiniMax)",
        f'[TOOL_CALL] {{"tool": "respond", "args": {SOURCE}}} [/TOOL_CALL]', repaired=("tags",)),
    Way("as <function=respond>{…} (Llama 3)", f"<function=respond>{SOURCE}</function>",
        repaired=("tags",)),
    Way("parameters in tags (Qwen coder)", QWEN, repaired=("tags",)),
    Way("keys and values in tags (GLM)", GLM, repaired=("tags",)),
    Way("an invocation in tags (MiniMax)", MINIMAX, repaired=("tags",)),
    Way("Gemma's own marks", GEMMA, repaired=("quotes", "tags")),
    Way("DeepSeek's own marks", DEEPSEEK, repaired=("fence",)),
    Way("Kimi's own marks", KIMI, repaired=("tags",)),
    Way("gpt-oss's channels", HARMONY, repaired=("tags",)),
    Way("in a code fence", f"```json\n{wrapped()}\n```", repaired=("fence",)),
    Way("as a call in Python (Llama 4)", f"[{PYTHON}]", repaired=("python",)),
    Way("as a call in Python, in tags (LFM)",
        f"<|tool_call_start|>[{PYTHON}]<|tool_call_end|>", repaired=("python",)),
    Way("as a call in Python, in a fence (Gemma 3)", f"```tool_code\n{PYTHON}\n```",
        repaired=("python",)),
    Way("behind its thoughts", f"<think>\nYale. {{}} respond?\n</think>\n{wrapped()}",
        repaired=("text",)),
    Way("behind thoughts that the template began", f"Yale, so {{…}}.\n</think>\n\n{wrapped()}",
        repaired=("text",)),
    # The JSON.
    by_call("a trailing comma", SOURCE[:-1] + ",}", "trailing comma"),
    by_call("a trailing comma among the sections",
            SOURCE.replace('"education"', '"education",'), "trailing comma"),
    by_call("single quotes", SINGLE, "quotes"),
    by_call("quotation marks of a typographer",
            f"{{“sections”: [“education”], “confidence”: “high”, “answer”: “{ANSWER}”}}", "quotes"),
    by_call("keys without quotation marks",
            f'{{sections: ["education"], confidence: "high", answer: {QUOTED}}}', "quotes"),
    Way("quotation marks within the answer", calls=(made(INNER),), finish="tool_calls",
        repaired=("quotes",), answer=ANSWER.replace("Yale University in", 'Yale "University" in')),
    by_call("an escape that JSON does not know",
            SOURCE.replace("master's", "master\\'s"), "escape"),
    by_call("a code fence around the arguments", f"```json\n{SOURCE}\n```", "arguments"),
    by_call("no closing brace", SOURCE[:-1], "unclosed"),
    by_call("one closing brace too many", SOURCE + "}", "arguments"),
    by_call("the arguments twice", SOURCE + SOURCE, "arguments"),
    by_call("the arguments as JSON in JSON", json.dumps(SOURCE), "arguments"),
    by_call("a call within the arguments", wrapped(), "arguments"),
    by_call("the schema's properties", json.dumps({"type": "object", "properties": ARGUMENTS}),
            "arguments"),
    by_call("another order", json.dumps(dict(reversed(ARGUMENTS.items())))),
    # The fields.
    with_field("sections as a string", "sections", "education", "sections"),
    with_field("sections as JSON in a string", "sections", '["education"]', "sections"),
    with_field("sections as a list in a string", "sections", "education, Education", "sections"),
    with_field("sections as objects", "sections", [{"id": "education"}], "sections"),
    with_field("ids in another case", "sections", ["Education"], "ids"),
    with_field("an id in brackets", "sections", ["[education]"], "ids"),
    with_field("an id as a tag", "sections", ['<section id="education">'], "ids"),
    with_field("a numeric confidence", "confidence", 0.95, "confidence"),
    with_field("a confidence in per cent", "confidence", "95%", "confidence"),
    with_field("a confidence in another case", "confidence", "High", "confidence"),
    with_field("keys in another case", "Answer", ANSWER),
    # The call.
    by_call("arguments as an object", ARGUMENTS, "arguments"),
    by_call("functions.respond", SOURCE, "name", tool="functions.respond"),
    by_call("a name with a channel behind it (gpt-oss)", SOURCE, "name",
            tool="respond<|channel|>commentary"),
    by_call("a name in another case", SOURCE, "name", tool="Respond"),
    by_call("no name", SOURCE, "name", tool=None),
    by_call("a call in the arguments, and no name", wrapped(), "name", "arguments", tool=""),
    Way("a call without number and id", finish="tool_calls",
        calls=({"function": {"name": "respond", "arguments": SOURCE}},)),
    Way("the same call twice", finish="tool_calls", repaired=("repeated",),
        calls=(made(), made(index=1, id="call_2"))),
    Way("the same call in the text, too", wrapped(), (made(),), repaired=("text", "repeated")),
    Way("a function_call", legacy={"name": "respond", "arguments": SOURCE},
        finish="function_call"),
    Way("words beside the call", "Let me look that up.", (made(),), finish="tool_calls"),
    # The reply.
    Way("a reply that is not streamed", body=UNSTREAMED, repaired=("unstreamed",)),
    Way("no finish reason", calls=(made(),), finish=None, repaired=("unended",)),
)  # fmt: skip
"""Ways whose meaning is certain: each is the same answer."""

UNCERTAIN: tuple[Way, ...] = (
    Way("free text", "She took her degrees at Yale."),
    Way("a thought, and nothing else", f"<think>I could say {wrapped()}</think>"),
    Way("two different calls in the text",
        wrapped() + json.dumps({"name": "escalate", "arguments": {"reason": "unclear"}})),
    by_call("a text that is cut", SOURCE[:-20]),
    by_call("no sections", without("sections")),
    by_call("no answer", without("answer")),
    Way("a call that only says it is one", "I will call respond() with the section education."),
    by_call("another tool", SOURCE, tool="answer_question"),
    Way("a page of a proxy", body="<html><body>502 Bad Gateway</body></html>", kind="text/html",
        status=502),
    Way("a page of another server", body="<html>Welcome!</html>", kind="text/html"),
    Way("an error as an answer", body={"error": {"message": "CUDA out of memory"}}),
)  # fmt: skip
"""Ways that mean nothing, or nothing certain: a person is asked, and nothing is made up."""


class RawEndpoint:
    """An endpoint that answers in exactly these ways, the last one again and again."""

    def __init__(self, *ways: Way) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.url = ""
        self._ways: Sequence[Way] = ways
        self._listener = Listener(handler_cancellation=True, shutdown_timeout=0.2)

    async def __aenter__(self) -> "RawEndpoint":
        app = web.Application()
        app.router.add_get("/v1/models", self._list)
        app.router.add_post("/v1/chat/completions", self._complete)
        self.url = f"http://{await self._listener.start(app, '127.0.0.1', 0)}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listener.stop()

    async def _list(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"object": "list", "data": []})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        way = self._ways[min(len(self.bodies), len(self._ways) - 1)]
        self.bodies.append(await request.json())
        if way.body is not None:
            text = way.body if isinstance(way.body, str) else json.dumps(way.body)
            return web.Response(text=text, status=way.status, content_type=way.kind)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        with suppress(ConnectionError):  # It has read enough.
            for delta, finish in deltas(way):
                choice = {"index": 0, "delta": delta, "finish_reason": finish}
                chunk = {"id": "1", "object": "chat.completion.chunk", "choices": [choice]}
                await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
            await response.write(b"data: [DONE]\n\n")
        return response


def deltas(way: Way) -> list[tuple[dict[str, Any], str | None]]:
    text = [way.content[at : at + 7] for at in range(0, len(way.content), 7)]
    sent: list[tuple[dict[str, Any], str | None]] = [({"content": part}, None) for part in text]
    for call in way.calls:
        source = call["function"]["arguments"]
        if not isinstance(source, str):
            sent.append(({"tool_calls": [call]}, None))
            continue
        begun = {**call, "function": {**call["function"], "arguments": source[:7]}}
        sent.append(({"tool_calls": [begun]}, None))
        number = {"index": call["index"]} if "index" in call else {}
        for at in range(7, len(source), 7):
            part = {**number, "function": {"arguments": source[at : at + 7]}}
            sent.append(({"tool_calls": [part]}, None))
    if way.legacy:
        sent.append(({"function_call": way.legacy}, None))
    if way.finish:
        sent.append(({}, way.finish))
    return sent
