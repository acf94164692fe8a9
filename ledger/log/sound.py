"""Serves the recordings of calls as audio, for the pages of the call log."""

import asyncio
from collections import OrderedDict
from pathlib import Path

from aiohttp import web
from loguru import logger

from recording.recording import Recording, RecordingError
from recording.sound import stereo_wav

KEPT = 2
"""Decoded recordings kept in memory, since a player requests one range after another."""

_Key = tuple[Path, int, int]


class SoundError(Exception):
    """A recording cannot be played; the message says why."""


class Sound:
    """Serves recordings from a directory.

    Parameters:
        folder: The directory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: OrderedDict[_Key, bytes] = OrderedDict()
        self._making = asyncio.Lock()

    async def exists(self, call: str) -> bool:
        """Whether a call was recorded."""
        return await asyncio.to_thread(self._path(call).is_file)

    async def respond(self, request: web.Request, call: str) -> web.Response | None:
        """A call's recording as WAV, whole or the requested range.

        Returns:
            The response; ``None`` if there is no recording.

        Raises:
            SoundError: The recording cannot be played.
        """
        async with self._making:
            wav = await asyncio.to_thread(self._wav, call)
        if wav is None:
            return None
        headers = {
            "Content-Type": "audio/wav",
            "Accept-Ranges": "bytes",
            "Cache-Control": "no-store",
        }
        try:
            part = request.http_range
        except ValueError:
            part = slice(len(wav), None)
        if part.start is None and part.stop is None:
            return web.Response(body=wav, headers=headers)
        start, stop, _ = part.indices(len(wav))
        if start >= stop:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(wav)}"})
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(wav)}"
        return web.Response(status=206, body=wav[start:stop], headers=headers)

    def _path(self, call: str) -> Path:
        return self._folder / f"{call}.mcap"

    def _wav(self, call: str) -> bytes | None:
        path = self._path(call)
        try:
            found = path.stat()
        except OSError:
            return None
        key = (path, found.st_mtime_ns, found.st_size)
        wav = self._made.pop(key, None)
        if wav is None:
            try:
                wav = stereo_wav(Recording.load(path))
            except RecordingError as error:
                logger.error("{}", error)
                raise SoundError(f"The recording of call {call} cannot be played.") from None
        self._made[key] = wav
        while len(self._made) > KEPT:
            self._made.popitem(last=False)
        return wav
