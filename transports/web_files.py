"""The files of the pages: compressed, and kept by browsers for as long as they do not change.

A page refers to ``/web/@VERSION/…``, where the version is of all files: such an address never means
another content, so that browsers keep it without asking. ``/web/…`` is asked for each time.
"""

import asyncio
import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

FOREVER = "public, max-age=31536000, immutable"
"""How long a browser keeps a file of a version."""

MIN_COMPRESSED_BYTES = 512
"""Smaller files are not worth it."""

_COMPRESSED = ("text/", "application/javascript", "image/svg+xml")
_IMPORT = re.compile(r"""^(?:import|export)\b[^;]*?["'](\.{1,2}/[^"']+)["'];?$""", re.MULTILINE)
_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file as it is served.

    Parameters:
        content: Its bytes.
        compressed: The same in gzip; empty where that is not worth it.
        kind: Its media type.
        etag: Identifies the content.
    """

    content: bytes
    compressed: bytes
    kind: str
    etag: str


class WebFiles:
    """The files below a folder, read once and again when they change.

    Parameters:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, tuple[tuple[int, int], WebFile]] = {}

    def setup(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/web/@{version}/{path:.+}", self._serve)
        app.router.add_get("/web/{path:.+}", self._serve)

    def version(self) -> str:
        """The version of all files. Blocks."""
        digest = hashlib.sha256()
        for path in sorted(self._folder.rglob("*")):
            if path.is_file():
                name = path.relative_to(self._folder).as_posix()
                digest.update(f"{name}\n{self.read(name).etag}\n".encode())
        return digest.hexdigest()[:16]

    def read(self, name: str) -> WebFile:
        """Read a file. Blocks.

        Raises:
            FileNotFoundError: There is no such file below the folder.
        """
        path = (self._folder / name).resolve()
        if not path.is_relative_to(self._folder.resolve()) or not path.is_file():
            raise FileNotFoundError(name)
        stat = path.stat()
        known = self._files.get(name)
        if known is not None and known[0] == (stat.st_mtime_ns, stat.st_size):
            return known[1]
        file = _file(path)
        self._files[name] = (stat.st_mtime_ns, stat.st_size), file
        return file

    def modules(self, name: str) -> list[str]:
        """The modules that a module imports, with theirs, in the order in which they are met.

        Blocks.
        """
        found = [name]
        for module in found:
            folder = module.rpartition("/")[0]
            for target in _IMPORT.findall(self.read(module).content.decode()):
                path = (self._folder / folder / target).resolve()
                imported = path.relative_to(self._folder.resolve()).as_posix()
                if imported not in found:
                    found.append(imported)
        return found[1:]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        try:
            file = await asyncio.to_thread(self.read, request.match_info["path"])
            given = request.match_info.get("version", "")
            current = bool(given) and given == await asyncio.to_thread(self.version)
        except (OSError, ValueError):
            raise web.HTTPNotFound from None
        return respond(request, file, cache=FOREVER if current else "no-cache")


def respond(request: web.Request, file: WebFile, *, cache: str) -> web.Response:
    """Respond with a file, compressed if the browser takes it, or say that it has it already."""
    headers = {"Cache-Control": cache, "ETag": f'"{file.etag}"', "Vary": "Accept-Encoding"}
    if any(tag.value == file.etag for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    body = file.content
    if file.compressed and "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = file.compressed
    headers["Content-Type"] = file.kind
    return web.Response(body=body, headers=headers)


def as_file(content: bytes, kind: str) -> WebFile:
    """What is rendered, as a file."""
    worth = kind.startswith(_COMPRESSED) and len(content) >= MIN_COMPRESSED_BYTES
    compressed = gzip.compress(content, 6, mtime=0) if worth else b""
    return WebFile(content, compressed, kind, hashlib.sha256(content).hexdigest()[:16])


def _file(path: Path) -> WebFile:
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    kind = kind or "application/octet-stream"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    return as_file(path.read_bytes(), kind)
