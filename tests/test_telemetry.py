"""What is set for dependencies before they are imported."""

import os
import subprocess
import sys

import pytest

import telemetry


@pytest.mark.skipif(sys.platform != "linux", reason="counts the threads of a process in /proc")
def test_products_of_matrices_use_no_further_thread() -> None:
    count = (
        "import os, telemetry, numpy\n"
        "numpy.ones((80, 201)) @ numpy.ones((201, 800))\n"
        "print(len(os.listdir('/proc/self/task')))"
    )
    inherited = {name: value for name, value in os.environ.items() if name not in telemetry.THREADS}
    told = subprocess.run(
        [sys.executable, "-c", count], env=inherited, capture_output=True, text=True, check=True
    )
    assert told.stdout == "1\n"
