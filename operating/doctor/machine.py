"""Checks the machine: processor, cores, memory, clock, disk, and Viva's port."""

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

WORKER_BYTES = 0.7 * GIB
"""Memory of a worker with the embedded engines, as measured in docs/sizes.md."""

LEAST_FREE_BYTES = 200 * MIB
"""With less free space, a day of calls may not fit."""

LITTLE_FREE_BYTES = 2 * GIB

ASK_SECS = 1.5
"""Time limit for the program on the port to identify itself."""

COARSE_SECS = 0.005
"""A coarser monotonic clock cannot pace audio frames, which are sent every 20 ms."""

STALE_YEARS = 5
"""A clock this far past the newest price is probably wrong, or the prices are outdated."""


def processor() -> list[Finding]:
    """Processor features, and the quantized arithmetic chosen by them."""
    try:
        from models.processor import features
    except ImportError as error:
        detail = f"{platform.machine()}; its features cannot be determined: {error}"
        return [Finding("machine", "processor", "problem", detail, "Run `make install`.")]
    found = features()
    listed = ", ".join(sorted(found.features)) or "none that matters here"
    return [
        Finding("machine", "processor", "ok", f"{found.name}: {listed}"),
        Finding("machine", "int8 models", "ok", found.choice),
    ]


def usable_cores(root: Path = Path("/")) -> float:
    """Cores that this process may use: the machine's, or the container's limit.

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
    """Whether there are enough cores for the workers.

    Args:
        settings: The settings.
        root: Where ``sys/fs/cgroup`` is.
    """
    usable = usable_cores(root)
    detail = f"{usable:g}, WORKERS={settings.workers}"
    if settings.workers > 1 and not supported():
        remedy = "Set WORKERS=1: this system cannot pass connections to another process."
        return [Finding("machine", "cores", "problem", detail, remedy)]
    if settings.workers > max(1, usable):
        remedy = f"Set WORKERS={max(1, math.floor(usable))}: a worker uses about one core."
        return [Finding("machine", "cores", "warning", detail, remedy)]
    return [Finding("machine", "cores", "ok", detail)]


def load(
    average: Callable[[], tuple[float, float, float]] | None = None, root: Path = Path("/")
) -> list[Finding]:
    """Whether other programs keep the cores busy, which would distort all measurements.

    Args:
        average: Returns the load averages over 1, 5 and 15 minutes; ``None`` to ask the system.
        root: Where ``sys/fs/cgroup`` is.
    """
    average = average or getattr(os, "getloadavg", None)
    if average is None:  # not available on Windows
        return []
    running, usable = average()[0], usable_cores(root)
    detail = f"load average {running:.1f}, on {usable:g} cores"
    if running <= usable:
        return [Finding("machine", "load", "ok", detail)]
    remedy = "Stop other programs and check again: measurements are slower than they could be."
    return [Finding("machine", "load", "warning", detail, remedy)]


def memory(settings: Settings, *, embedded: bool, root: Path = Path("/")) -> list[Finding]:
    """Whether the workers' models fit into free memory.

    Args:
        settings: The settings.
        embedded: Whether any stage other than voice activity is embedded.
        root: Where ``proc`` and ``sys`` are.
    """
    available = _available_bytes(root)
    if available is None:
        return [Finding("machine", "memory", "ok", "free memory cannot be determined here")]
    worker_bytes = WORKER_BYTES if embedded else WORKER_BYTES / 2
    needed = settings.workers * worker_bytes
    takes = f"WORKERS={settings.workers} needs about {needed / GIB:.1f} GB"
    detail = f"{available / GIB:.1f} GB free; {takes}"
    if needed <= available:
        return [Finding("machine", "memory", "ok", detail)]
    fitting = int(available // worker_bytes)
    remedy = (
        f"Set WORKERS={fitting}."
        if fitting
        else "Stop other programs, or give the machine or container more memory."
    )
    return [Finding("machine", "memory", "problem", detail, remedy)]


def _available_bytes(root: Path) -> float | None:
    """Free memory of the machine, or of the container if that is less."""
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
    """Whether the clock is plausible and fine enough for prices, holds, links and audio.

    Args:
        prices: The price table.
        now: Unix seconds.
        resolution_secs: Resolution of the monotonic clock; ``None`` to measure it.
    """
    at = now()
    shown = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    today = datetime.fromtimestamp(at, UTC).date()
    newest = prices.newest
    state: State = "ok"
    remedy = ""
    if today < newest:
        state = "problem"
        shown += f"; but there are prices from {newest} on"
        remedy = (
            "Set the clock (`timedatectl set-ntp true`): with this one prices do not apply, daily "
            "caps count wrongly, and sign-in links expire at once or never."
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
    """The smallest step of the monotonic clock observed, in seconds."""
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
    """Whether DATA_DIR is writable, has room, and is private.

    Args:
        settings: The settings.
        free_bytes: Returns the free bytes at a path.
    """
    folder = settings.data_dir
    try:
        at = _there(folder)
        # Unnamed if the system supports it, so that nothing is left behind.
        with tempfile.TemporaryFile(dir=at) as trial:
            trial.write(b"\0" * 4096)
            trial.flush()
    except OSError as error:
        detail = f"{folder} cannot be written: {error.strerror}"
        remedy = "Set DATA_DIR to a directory of your own, or let Viva's user write to this one."
        return [Finding("disk", "DATA_DIR", "problem", detail, remedy)]
    free = free_bytes(at)
    made = "" if at == folder else " (created at the first start)"
    found = [Finding("disk", "DATA_DIR", "ok", f"{folder} is writable{made}")]
    if at == folder:
        found += _permissions(folder)
    detail = f"{free / GIB:.1f} GB free"
    if free >= LITTLE_FREE_BYTES:
        return [*found, Finding("disk", "free space", "ok", detail)]
    remedy = "Free some space, or set DATA_DIR to a directory on another disk."
    if settings.record != "off":
        remedy += f" RECORDING_DAYS={settings.recording_days} keeps recordings that long."
    state: State = "problem" if free < LEAST_FREE_BYTES else "warning"
    return [*found, Finding("disk", "free space", state, detail, remedy)]


def _there(folder: Path) -> Path:
    """The directory, or its nearest existing parent.

    Raises:
        OSError: A file is in its place, or in a parent's.
    """
    for at in (folder, *folder.absolute().parents):
        if at.is_dir():
            return at
        if at.exists() or at.is_symlink():
            raise NotADirectoryError(errno.ENOTDIR, f"{at} is not a directory")
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def _permissions(folder: Path) -> list[Finding]:
    """Whether other users can read it, and whether files in it belong to others."""
    found = []
    if os.name == "posix" and (mode := stat.S_IMODE(folder.stat().st_mode)) & 0o077:
        detail = f"{folder} is readable by other users ({mode:o}); it holds what people said"
        found.append(Finding("disk", "permissions", "warning", detail, f"chmod 700 {folder}"))
    try:
        inside = [entry for entry in folder.iterdir() if not entry.is_symlink()]
    except OSError as error:
        detail = f"{folder} cannot be listed: {error.strerror}"
        found.append(Finding("disk", "listing", "problem", detail, f"chmod 700 {folder}"))
        return found
    foreign = sorted(
        entry.name
        for entry in inside
        if entry.name != "lost+found" and not os.access(entry, os.W_OK)
    )
    if foreign:
        detail = f"{', '.join(foreign[:4])} in {folder} not writable by this user"
        remedy = f"Give them to the user that runs Viva: chown -R USER {folder}"
        found.append(Finding("disk", "owner", "problem", detail, remedy))
    return found


def port(settings: Settings) -> list[Finding]:
    """Whether HOST and PORT are free, and if not, which program uses them."""
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
        detail = f"HOST={settings.host} is not an address of this machine"
        return Finding("network", "port", "problem", detail, _OTHER_HOST)
    if error.errno != errno.EADDRINUSE:
        detail = f"cannot listen on {where}: {error.strerror}"
        remedy = (
            "Set PORT to 1024 or more: lower ones are reserved."
            if (error.errno == errno.EACCES)
            else "Set PORT or HOST to another."
        )
        return Finding("network", "port", "problem", detail, remedy)
    if (calls := _viva_there(settings)) is not None:
        detail = f"Viva is already running at {where}; open calls: {calls}"
        return Finding("network", "port", "ok", detail)
    holder = _holder(settings.port)
    detail = f"{where} is in use by {holder or 'another program'}"
    remedy = f"Stop that program, or set PORT to another, such as {settings.port + 1}."
    return Finding("network", "port", "problem", detail, remedy)


def _viva_there(settings: Settings) -> int | None:
    """Open calls of the Viva that listens here; ``None`` if it is not Viva."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(settings.host, settings.host)
    connection = http.client.HTTPConnection(host, settings.port, timeout=ASK_SECS)

    def give_up() -> None:
        if connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    # The connection's own timeout restarts with every byte.
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
    """Name and id of the process that listens on a port, on Linux; else empty."""
    sockets = set()
    for table in ("tcp", "tcp6"):
        for line in _text(root / "net" / table).splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and int(local.rpartition(":")[2], 16) == port:
                sockets.add(f"socket:[{rest[5]}]")
    for process in root.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or belongs to another user
            if any(_link(descriptor) in sockets for descriptor in (process / "fd").iterdir()):
                return f"{_text(process / 'comm').strip()} (process {process.name})"
    return ""


def _link(path: Path) -> str:
    """Target of a link; empty if it is gone."""
    try:
        return str(path.readlink())
    except OSError:
        return ""


def _text(path: Path) -> str:
    """Content of a file; empty if there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
