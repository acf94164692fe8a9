"""A process that records a call, says that it is written, and waits to be killed.

``python -m tests.recording.writing_process PATH``
"""

import asyncio
import sys
from pathlib import Path

from recording.writer import RecordingWriter
from tests.recording.call import about, messages


async def main(path: Path) -> None:
    writer = RecordingWriter(drain_secs=0.01)
    file = writer.open(path, about())
    for at_ns, topic, data in messages(5.5):
        file.write(at_ns, topic, data)
    while writer.waiting_bytes:
        await asyncio.sleep(0.001)
    sys.stdout.write("written\n")
    sys.stdout.flush()
    await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
