"""A room of PulseAudio's: a loudspeaker, a microphone, and what of the one reaches the other."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

PULSEAUDIO = shutil.which("pulseaudio")
MISSING = "PulseAudio is missing: apt-get install pulseaudio pulseaudio-utils"
START_SECS = 20.0
AIR_MS = 30
"""How long sound takes from the loudspeaker to the microphone, with what the devices buffer."""


class Room:
    """A sound server of its own, with one loudspeaker and one microphone.

    Parameters:
        folder: For its socket.
        rate: Of both devices, in Hz.
        echo_db: Level at which the microphone hears the loudspeaker; ``None`` if it does not.
    """

    def __init__(self, folder: Path, *, rate: int = 48_000, echo_db: float | None = None) -> None:
        self._folder = folder
        self._rate = rate
        self._echo_db = echo_db

    @property
    def environment(self) -> dict[str, str]:
        """The environment of whoever is in the room."""
        own = {"PULSE_SERVER": f"unix:{self._folder}/sound", "HOME": str(self._folder)}
        return {**os.environ, **own, "XDG_RUNTIME_DIR": str(self._folder)}

    def __enter__(self) -> Self:
        form = f"rate={self._rate} channels=1"
        modules = [
            f"module-native-protocol-unix socket={self._folder}/sound auth-anonymous=1",
            f"module-null-sink sink_name=loudspeaker {form}",
            f"module-null-sink sink_name=air {form}",
            "module-remap-source source_name=microphone master=air.monitor",
        ]
        command = [PULSEAUDIO or "", "-n", "--daemonize=no", "--use-pid-file=no"]
        command += ["--exit-idle-time=-1", *(f"--load={module}" for module in modules)]
        self._process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        give_up = time.monotonic() + START_SECS
        while not self._listens():
            assert self._process.poll() is None, "PulseAudio has ended"
            assert time.monotonic() < give_up, "PulseAudio does not listen"
            time.sleep(0.05)
        self._tell("set-default-sink", "loudspeaker")
        self._tell("set-default-source", "microphone")
        if self._echo_db is not None:
            way = "source=loudspeaker.monitor sink=air source_dont_move=true sink_dont_move=true"
            self._tell("load-module", "module-loopback", *way.split(), f"latency_msec={AIR_MS}")
            inputs = self._tell("list", "short", "sink-inputs").split()
            self._tell("set-sink-input-volume", inputs[0], f"{self._echo_db:g}dB")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(START_SECS)

    def speak(self, wav: Path) -> None:
        """Have somebody in the room say a recording, to its end."""
        command = ["paplay", "--device=air", str(wav)]
        subprocess.run(command, env=self.environment, check=True, timeout=60)

    def _listens(self) -> bool:
        info = ["pactl", "info"]
        done = subprocess.run(info, env=self.environment, check=False, capture_output=True)
        return done.returncode == 0

    def _tell(self, *command: str) -> str:
        done = subprocess.run(
            ["pactl", *command],
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=START_SECS,
        )
        return done.stdout
