"""Two workers on loopback learn what one learns of the same batches."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import MICRO

SCRIPT = Path(__file__).with_name("worker.py")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def launch(data, *strategies, config=MICRO, **environment):
    variables = {
        **os.environ,
        "PYTHONPATH": str(SCRIPT.parents[2]),
        "CUDA_VISIBLE_DEVICES": "-1",
        **environment,
    }
    command = [sys.executable, str(SCRIPT), str(data), config, *strategies]
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def answers(process):
    """What a worker prints for each of its strategies."""
    out, err = process.communicate()
    assert process.returncode == 0, err[-3000:]
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def one_process(shapes):
    return answers(launch(shapes, "none", "two-devices"))


def test_two_devices_of_one_process_learn_what_one_does(one_process):
    alone, pair = one_process
    np.testing.assert_allclose(pair["losses"], alone["losses"], rtol=1e-4)
    np.testing.assert_allclose(pair["weights"], alone["weights"], rtol=1e-3)


def test_two_workers_learn_what_one_does(shapes, one_process):
    alone, _ = one_process
    cluster = {"worker": [f"127.0.0.1:{free_port()}" for _ in range(2)]}
    configs = [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": i}}) for i in range(2)]
    pair = [launch(shapes, "multiworker", TF_CONFIG=config) for config in configs]
    for (found,) in map(answers, pair):
        np.testing.assert_allclose(found["losses"], alone["losses"], rtol=1e-4)
        np.testing.assert_allclose(found["weights"], alone["weights"], rtol=1e-3)
