"""`make fuzz FUZZ=onnx COUNT=2000 SEED=0`: load and run mutated model files; exit code 1 if one failed."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.fuzz.campaign import ROOT, run
from tests.fuzz.fuzzers import FUZZERS, find_fuzzer


def main() -> int:
    """Parse the command line, run the campaigns, print the reports and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("names", nargs="+", help=f"`all`, or some of {', '.join(x.name for x in FUZZERS)}")
    parser.add_argument("--count", type=int, default=2000, help="number of mutated files")
    parser.add_argument("--seed", type=int, default=0, help="seed of the mutations")
    parser.add_argument("--case", type=int, help="run only this case")
    parser.add_argument("--strace", type=Path, help="record the system calls of the workers in this file")
    options = parser.parse_args()
    names = [x.name for x in FUZZERS] if options.names == ["all"] else options.names
    cases = range(options.count) if options.case is None else [options.case]
    wrapper = []
    if options.strace:
        calls = (
            "trace=open,openat,creat,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,connect,execve"
        )
        wrapper = ["strace", "-f", "-qq", "-A", "-o", str(options.strace.absolute()), "-e", calls]
    failed = 0
    for fuzzer in map(find_fuzzer, names):
        build = ROOT / "build" / "fuzz"
        folder = build / "bases" / fuzzer.name
        folder.mkdir(parents=True, exist_ok=True)
        bases = fuzzer.module.bases(folder)
        start = time.monotonic()
        report = run(fuzzer, bases, options.seed, cases, wrapper, build / "failed")
        print(f"{fuzzer.name}: {dict(report.counts)} in {time.monotonic() - start:.0f} s")
        for reason, count in report.reasons.most_common(40):
            print(f"  {count:5}  {reason}")
        for failure in report.failures:
            print(f"\nFAILED {failure}")
        failed += len(report.failures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
