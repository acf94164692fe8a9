"""The files of the pages: compressed, and kept by browsers for as long as they do not change.

A page refers to ``/web/@VERSION/…``, where the version is of all files: such an address never means
another content, so that browsers keep it without asking. ``/web/…`` is asked for each time.
``NAME.bundle.js`` and ``NAME.bundle.css`` are the modules and the stylesheets of ``NAME.html``,
joined.
"""

import asyncio
import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from transports.web_bundle import join_modules, join_stylesheets

FOREVER = "public, max-age=31536000, immutable"
"""How long a browser keeps a file of a version."""

MIN_COMPRESSED_BYTES = 512
"""Smaller files are not worth it."""

_COMPRESSED = ("text/", "application/javascript", "image/svg+xml")
_STYLESHEET = re.compile(r'<link rel="stylesheet" href="(?:\.\./)?web/([^"]+)">')
_MODULE = re.compile(r'<script type="module" src="(?:\.\./)?web/([^"]+)"></script>')
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
        self._bundles: dict[tuple[str, str], tuple[str, WebFile]] = {}

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
        stem, bundle, kind = name.partition(".bundle.")
        if bundle and kind in ("css", "js"):
            return self._bundle(stem, kind)
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

    def page(self, name: str) -> str:
        """A page that loads its modules and stylesheets as bundles. Blocks.

        Args:
            name: Its path, ``FOLDER/NAME.html``.

        Raises:
            FileNotFoundError: There is no such file below the folder.
        """
        html, stem = self._text(name), name.removesuffix(".html")
        for pattern, kind in ((_STYLESHEET, "css"), (_MODULE, "js")):
            first, *others = pattern.finditer(html)
            for other in others:
                html = html.replace(f"  {other[0]}\n", "")
            html = html.replace(first[0], first[0].replace(first[1], f"{stem}.bundle.{kind}"))
        return html

    def _bundle(self, stem: str, kind: str) -> WebFile:
        version = self.version()
        known = self._bundles.get((stem, kind))
        if known is not None and known[0] == version:
            return known[1]
        html = self._text(f"{stem}.html")
        if kind == "css":
            content = join_stylesheets(_STYLESHEET.findall(html), self._text)
        else:
            content = "".join(join_modules(entry, self._text) for entry in _MODULE.findall(html))
        file = as_file(content.encode(), _kind(f"{stem}.bundle.{kind}"))
        self._bundles[stem, kind] = version, file
        return file

    def _text(self, name: str) -> str:
        return self.read(name).content.decode()

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
    return as_file(path.read_bytes(), _kind(path.name))


def _kind(name: str) -> str:
    kind = _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0]
    kind = kind or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
