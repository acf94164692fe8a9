"""The machine: processor, cores, memory, clock, disk, and the port that Viva listens on."""

import errno
import http.client
import json
import math
import os
import platform
import shutil
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from ledger.money.prices import Prices
from operating.doctor.finding import Finding, State
from operating.supervisor.workers import supported
from settings import Settings

GIB = 1 << 30
MIB = 1 << 20

WORKER_BYTES = 0.9 * GIB
"""Memory of a worker with the embedded engines (docs/operating.md)."""

LEAST_FREE_BYTES = 200 * MIB
"""With less free disk, a day of calls may find no room to be written down."""

LITTLE_FREE_BYTES = 2 * GIB

ASK_SECS = 1.5
"""Longest wait for whoever holds the port to say who it is."""

COARSE_SECS = 0.005
"""A coarser monotonic clock blurs frames of audio, which are sent every 20 ms."""

STALE_YEARS = 5
"""A clock that is further past every price is wrong, or the prices are."""


def processor() -> list[Finding]:
    """What the processor can do, and which arithmetic quantised models are given because of it."""
    try:
        from models.processor import features
    except ImportError as error:
        detail = f"{platform.machine()}; its features cannot be told: {error}"
        return [Finding("machine", "processor", "problem", detail, "Run `make install`.")]
    found = features()
    listed = ", ".join(sorted(found.features)) or "none that matters here"
    return [
        Finding("machine", "processor", "ok", f"{found.name}: {listed}"),
        Finding("machine", "int8 models", "ok", found.choice),
    ]


def usable_cores(root: Path = Path("/")) -> float:
    """Cores that this process may use: those of the machine, or what a container is given.

    Args:
        root: Where ``sys/fs/cgroup`` is.
    """
    cores: float = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    quota, _, period = _text(root / "sys/fs/cgroup/cpu.max").strip().partition(" ")
    if quota.isdigit() and period.isdigit():
        cores = min(cores, int(quota) / int(period))
    return cores


def cores(settings: Settings, root: Path = Path("/")) -> list[Finding]:
    """How many cores there are for how many workers.

    Args:
        settings: The settings.
        root: Where ``sys/fs/cgroup`` is.
    """
    usable = usable_cores(root)
    detail = f"{usable:g}, WORKERS={settings.workers}"
    if settings.workers > 1 and not supported():
        remedy = "Set WORKERS=1: this system cannot hand connections to another process."
        return [Finding("machine", "cores", "problem", detail, remedy)]
    if settings.workers > max(1, usable):
        remedy = f"Set WORKERS={max(1, math.floor(usable))}: a worker is about one core."
        return [Finding("machine", "cores", "warning", detail, remedy)]
    return [Finding("machine", "cores", "ok", detail)]


def load(
    average: Callable[[], tuple[float, float, float]] | None = None, root: Path = Path("/")
) -> list[Finding]:
    """Whether other programs keep the cores busy, so that all that is measured is too slow.

    Args:
        average: Programs that ran or would have, a mean over 1, 5 and 15 minutes; ``None`` to ask
            the system.
        root: Where ``sys/fs/cgroup`` is.
    """
    average = average or getattr(os, "getloadavg", None)
    if average is None:  # Windows does not tell
        return []
    running, usable = average()[0], usable_cores(root)
    detail = f"{running:.1f} programs want to run, on {usable:g} cores"
    if running <= usable:
        return [Finding("machine", "load", "ok", detail)]
    remedy = "End other programs and look again: what is measured is slower than it could be."
    return [Finding("machine", "load", "warning", detail, remedy)]


def memory(settings: Settings, *, embedded: bool, root: Path = Path("/")) -> list[Finding]:
    """Whether the workers' models fit into what is free.

    Args:
        settings: The settings.
        embedded: Whether any stage but voice activity runs here.
        root: Where ``proc`` and ``sys`` are.
    """
    available = _available_bytes(root)
    if available is None:
        return [Finding("machine", "memory", "ok", "how much is free cannot be told here")]
    each = WORKER_BYTES if embedded else WORKER_BYTES / 2
    needed = settings.workers * each
    takes = f"WORKERS={settings.workers} takes about {needed / GIB:.1f} GB"
    detail = f"{available / GIB:.1f} GB free; {takes}"
    if needed <= available:
        return [Finding("machine", "memory", "ok", detail)]
    fitting = int(available // each)
    remedy = (
        f"Set WORKERS={fitting}."
        if fitting
        else "End other programs, or give the machine or container more memory."
    )
    return [Finding("machine", "memory", "problem", detail, remedy)]


def _available_bytes(root: Path) -> float | None:
    """Memory that is free, in the machine or, if that is less, in this container."""
    lines = dict(
        line.split(":", 1) for line in _text(root / "proc/meminfo").splitlines() if ":" in line
    )
    if "MemAvailable" not in lines:
        return None
    available = int(lines["MemAvailable"].split()[0]) * 1024
    most = _text(root / "sys/fs/cgroup/memory.max").strip()
    used = _text(root / "sys/fs/cgroup/memory.current").strip()
    if most.isdigit() and used.isdigit():
        available = min(available, max(0, int(most) - int(used)))
    return available


def clock(
    prices: Prices, *, now: Callable[[], float] = time.time, resolution_secs: float | None = None
) -> list[Finding]:
    """Whether prices, holds and links can go by this machine's time.

    Args:
        prices: The price table.
        now: Unix seconds.
        resolution_secs: Of the monotonic clock; ``None`` to measure it.
    """
    at = now()
    shown = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    today = datetime.fromtimestamp(at, UTC).date()
    newest = prices.newest
    state: State = "ok"
    remedy = ""
    if today < newest:
        state = "problem"
        shown += f"; there are prices from {newest} on already"
        remedy = (
            "Set the clock (`timedatectl set-ntp true`): by this one prices are not in force, "
            "days' caps count wrongly, and links to sign in are over at once or never."
        )
    elif today.year > newest.year + STALE_YEARS:
        state = "warning"
        shown += f"; the newest price is from {newest}"
        remedy = "Set the clock, or install a newer Viva."
    finest = _resolution() if resolution_secs is None else resolution_secs
    fine = finest <= COARSE_SECS
    return [
        Finding("clock", "time", state, shown, remedy),
        Finding(
            "clock",
            "resolution",
            "ok" if fine else "warning",
            f"the monotonic clock ticks every {_short(finest)}",
            ""
            if fine
            else "Run Viva on a system with a finer clock (Linux, macOS): audio would stutter.",
        ),
    ]


def _resolution() -> float:
    """The smallest step in which the monotonic clock was seen to go, in seconds."""
    steps = []
    for _ in range(20):
        begun = time.monotonic()
        while (now := time.monotonic()) == begun:
            pass
        steps.append(now - begun)
    return min(steps)


def _short(secs: float) -> str:
    return f"{secs * 1000:.1f} ms" if secs >= 0.001 else f"{secs * 1e6:.1f} µs"


def disk(
    settings: Settings, *, free_bytes: Callable[[Path], int] = lambda at: shutil.disk_usage(at).free
) -> list[Finding]:
    """Whether DATA_DIR can be written, has room, and is read by nobody else.

    Args:
        settings: The settings.
        free_bytes: How much is free where a folder is.
    """
    folder = settings.data_dir
    try:
        at = _there(folder)
        # Without a name where the system can do that, so that nothing is left behind.
        with tempfile.TemporaryFile(dir=at) as trial:
            trial.write(b"\0" * 4096)
            trial.flush()
    except OSError as error:
        detail = f"{folder} cannot be written: {error.strerror}"
        remedy = "Set DATA_DIR to a folder of your own, or give this one to whoever runs Viva."
        return [Finding("disk", "DATA_DIR", "problem", detail, remedy)]
    free = free_bytes(at)
    made = "" if at == folder else " (made at the first start)"
    found = [Finding("disk", "DATA_DIR", "ok", f"{folder} can be written{made}")]
    if at == folder:
        found += _permissions(folder)
    detail = f"{free / GIB:.1f} GB free"
    if free >= LITTLE_FREE_BYTES:
        return [*found, Finding("disk", "free space", "ok", detail)]
    remedy = "Make room, or set DATA_DIR to a folder on another disk."
    if settings.record != "off":
        remedy += f" RECORDING_DAYS={settings.recording_days} keeps recordings that long."
    state: State = "problem" if free < LEAST_FREE_BYTES else "warning"
    return [*found, Finding("disk", "free space", state, detail, remedy)]


def _there(folder: Path) -> Path:
    """The folder, or the one that it will be made in.

    Raises:
        OSError: There is a file in its place, or in that of a folder above it.
    """
    for at in (folder, *folder.absolute().parents):
        if at.is_dir():
            return at
        if at.exists() or at.is_symlink():
            raise NotADirectoryError(errno.ENOTDIR, f"{at} is no folder")
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def _permissions(folder: Path) -> list[Finding]:
    """What others may read of it, and what in it is somebody else's."""
    found = []
    if os.name == "posix" and (mode := stat.S_IMODE(folder.stat().st_mode)) & 0o077:
        detail = f"{folder} is open to other users ({mode:o}); it holds what people said"
        found.append(Finding("disk", "permissions", "warning", detail, f"chmod 700 {folder}"))
    try:
        inside = [one for one in folder.iterdir() if not one.is_symlink()]
    except OSError as error:
        detail = f"{folder} cannot be listed: {error.strerror}"
        found.append(Finding("disk", "listing", "problem", detail, f"chmod 700 {folder}"))
        return found
    foreign = sorted(
        one.name for one in inside if one.name != "lost+found" and not os.access(one, os.W_OK)
    )
    if foreign:
        detail = f"{', '.join(foreign[:4])} in {folder} cannot be written by this user"
        remedy = f"Give them to whoever runs Viva: chown -R USER {folder}"
        found.append(Finding("disk", "owner", "problem", detail, remedy))
    return found


def port(settings: Settings) -> list[Finding]:
    """Whether HOST and PORT can be listened on, and if not, who does."""
    where = f"{settings.host}:{settings.port}"
    if settings.port == 0:
        return [Finding("network", "port", "ok", "PORT=0 takes a free one")]
    try:
        addresses = socket.getaddrinfo(
            settings.host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError):
        detail = f"HOST={settings.host}: there is no such address"
        return [Finding("network", "port", "problem", detail, _OTHER_HOST)]
    for family, kind, protocol, _, address in addresses:
        try:
            with socket.socket(family, kind, protocol) as trial:
                if os.name == "posix":
                    trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                trial.bind(address)
                trial.listen(1)
        except OSError as error:
            if error.errno == errno.EAFNOSUPPORT:
                continue
            return [_refused(settings, where, error)]
    return [Finding("network", "port", "ok", f"{where} is free")]


_OTHER_HOST = "Set HOST to an address of this machine: 127.0.0.1, or 0.0.0.0 for all of them."


def _refused(settings: Settings, where: str, error: OSError) -> Finding:
    if error.errno == errno.EADDRNOTAVAIL:
        detail = f"HOST={settings.host} is no address of this machine"
        return Finding("network", "port", "problem", detail, _OTHER_HOST)
    if error.errno != errno.EADDRINUSE:
        detail = f"{where} cannot be listened on: {error.strerror}"
        remedy = (
            "Set PORT to 1024 or more: lower ones are the system's."
            if (error.errno == errno.EACCES)
            else "Set PORT or HOST to another."
        )
        return Finding("network", "port", "problem", detail, remedy)
    if (calls := _viva_there(settings)) is not None:
        detail = f"Viva itself answers at {where}; open calls: {calls}"
        return Finding("network", "port", "ok", detail)
    holder = _holder(settings.port)
    detail = f"{where} is held by {holder or 'another program'}"
    remedy = f"End that program, or set PORT to another, such as {settings.port + 1}."
    return Finding("network", "port", "problem", detail, remedy)


def _viva_there(settings: Settings) -> int | None:
    """How many calls the Viva that listens here has open; ``None`` if it is not Viva."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(settings.host, settings.host)
    connection = http.client.HTTPConnection(host, settings.port, timeout=ASK_SECS)

    def give_up() -> None:
        if connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    # The connection's own timeout begins anew with every byte.
    patience = threading.Timer(ASK_SECS, give_up)
    patience.start()
    try:
        connection.request("GET", "/healthz")
        health = json.loads(connection.getresponse().read(1000))
        return int(health["calls"]) if isinstance(health["ready"], bool) else None
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        patience.cancel()
        connection.close()


def _holder(port: int, root: Path = Path("/proc")) -> str:
    """The name and number of the process that listens on a port, where Linux tells; or nothing."""
    sockets = set()
    for table in ("tcp", "tcp6"):
        for line in _text(root / "net" / table).splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and int(local.rpartition(":")[2], 16) == port:
                sockets.add(f"socket:[{rest[5]}]")
    for process in root.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            if any(_link(one) in sockets for one in (process / "fd").iterdir()):
                return f"{_text(process / 'comm').strip()} (process {process.name})"
    return ""


def _link(path: Path) -> str:
    """What a link leads to; empty where it is gone."""
    try:
        return str(path.readlink())
    except OSError:
        return ""


def _text(path: Path) -> str:
    """A file's text; empty where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
