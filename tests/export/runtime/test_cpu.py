"""Features of the CPU, from texts of /proc/cpuinfo."""

import pytest

from tfyolo.benchmark.run import slow_int8_notes
from tfyolo.export.runtime import cpu

CASES = {
    "AMD EPYC with AVX-512": ("x86_64", "flags\t\t: fpu avx2 avx512f avx512_vnni\n", True),
    "Intel Alder Lake": ("AMD64", "model name : x\nflags : fpu avx2 avx_vnni\nbugs : none\n", True),
    "AMD EPYC with AVX2": ("x86_64", "vendor_id : AuthenticAMD\nflags : fpu avx avx2 fma\n", False),
    "named in another line": ("x86_64", "model name : avx_vnni\nflags : avx2\n", False),
    "Raspberry Pi 5": ("aarch64", "Features\t: fp asimd aes crc32 asimddp\n", True),
    "Raspberry Pi 4": ("aarch64", "Features\t: fp asimd evtstrm crc32 cpuid\n", False),
    "no flags": ("x86_64", "processor : 0\n", None),
    "RISC-V": ("riscv64", "isa : rv64imafdc\nflags : avx2\n", None),
    "no /proc": ("arm64", None, None),
}


@pytest.mark.parametrize("case", CASES)
def test_int8_dot_products(case, monkeypatch, tmp_path):
    machine, text, expected = CASES[case]
    monkeypatch.setattr(cpu.platform, "machine", lambda: machine)
    monkeypatch.setattr(cpu, "CPUINFO", tmp_path / "cpuinfo")
    if text is not None:
        cpu.CPUINFO.write_text(text)
    assert cpu.has_int8_dot_products() is expected
    notes = slow_int8_notes()
    assert len(notes) == (expected is False)
    if notes:
        assert ("VNNI" if machine == "x86_64" else "asimddp") in notes[0]
        assert "quarter of the size" in notes[0]
