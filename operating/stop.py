"""Stop signals: whether to stop, and how soon."""

import asyncio
import signal
import sys


class Stop:
    """SIGTERM stops once the calls are over, SIGINT soon, any further signal at once.

    After that, signals have their default effect and end the process.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.now = asyncio.Event()
        self.patient = False
        self._loop = asyncio.get_running_loop()

    def install_handlers(self) -> None:
        """Install the signal handlers."""
        if sys.platform != "win32":
            self._loop.add_signal_handler(signal.SIGTERM, self.request, True)
            self._loop.add_signal_handler(signal.SIGINT, self.request, False)

    def request(self, patient: bool) -> None:
        """Request a stop. ``patient``, on the first request, waits for the calls to end."""
        if self.asked.is_set():
            self.now.set()
            self.restore_handlers()
        else:
            self.patient = patient
            self.asked.set()

    def restore_handlers(self) -> None:
        """Restore the default signal handlers."""
        if sys.platform != "win32":
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.remove_signal_handler(number)
