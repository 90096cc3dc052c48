"""What tests and doctests share: one thread per process, and an empty folder for what doctests write."""

import os

import pytest
from _pytest.doctest import DoctestItem

# Two workers keep two cores busy; more threads wait for one another, a third of the CPU time of training and
# calibration. Libraries that read these variables are imported later.
for _name in ("OPENBLAS_NUM", "OMP_NUM", "TF_NUM_INTRAOP", "TF_NUM_INTEROP"):
    os.environ.setdefault(f"{_name}_THREADS", "1")


@pytest.fixture(autouse=True)
def _doctests_run_in_an_empty_folder(request, monkeypatch):
    if isinstance(request.node, DoctestItem):
        monkeypatch.chdir(request.getfixturevalue("tmp_path"))
