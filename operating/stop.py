"""How a process is asked to stop, and how soon."""

import asyncio
import signal
import sys


class Stop:
    """What signals ask: SIGTERM to stop once the calls are over, SIGINT soon, any further one now.

    Past that, a signal does what it does to any process: it ends it.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.now = asyncio.Event()
        self.patient = False
        self._loop = asyncio.get_running_loop()

    def listen(self) -> None:
        """Take the signals of this process."""
        if sys.platform != "win32":
            self._loop.add_signal_handler(signal.SIGTERM, self.ask, True)
            self._loop.add_signal_handler(signal.SIGINT, self.ask, False)

    def ask(self, patient: bool) -> None:
        """Stop; ``patient``: when the calls are over, if this is the first time."""
        if self.asked.is_set():
            self.now.set()
            self.forget()
        else:
            self.patient = patient
            self.asked.set()

    def forget(self) -> None:
        """Let signals do again what they do to any process."""
        if sys.platform != "win32":
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.remove_signal_handler(number)
