import platform
import subprocess
import sys
import weakref
from types import SimpleNamespace

import psutil
import pytest
import torch

from prom_reward.engines.model.memory import check_fits, is_out_of_memory, unless_out_of_memory
from prom_reward.errors import ConfigError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"),
    ],
)
def test_a_lack_of_memory_is_known_in_all_its_forms(error):
    assert is_out_of_memory(error)

    def fails():
        raise error

    assert unless_out_of_memory(fails, CPU) is None


def test_other_errors_and_results_go_through():
    assert unless_out_of_memory(lambda: [3], CPU) == [3]
    with pytest.raises(RuntimeError, match="shape mismatch"):
        unless_out_of_memory(lambda: (_ for _ in ()).throw(RuntimeError("shape mismatch")), CPU)


def test_memory_is_given_back_once_nothing_holds_it(monkeypatch):
    made, alive = [], []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: alive.extend(one() is not None for one in made))

    def fails():
        large = torch.zeros(10)
        made.append(weakref.ref(large))
        raise torch.OutOfMemoryError("no room")

    assert unless_out_of_memory(fails, CUDA) is None
    assert alive == [False]


def test_weights_larger_than_the_free_memory_are_refused(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=16e9))
    check_fits(7_000_000_000, torch.bfloat16)
    with pytest.raises(ConfigError, match=r"7\.0B .* 28\.0 GB as float32; 16\.0 GB .* dtype='bfloat16'"):
        check_fits(7_000_000_000, torch.float32)
    with pytest.raises(ConfigError, match="a server's URL"):
        check_fits(13_000_000_000, torch.bfloat16)


_COUNT_PAGES = """
import resource

import torch

from prom_reward.engines.model.memory import reuse_freed_memory


def mapped_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        [torch.ones(6 << 18) for _ in range(4)]  # 6 MiB each, all freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


reuse_freed_memory()
mapped_pages()
print(mapped_pages())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators keep memory by rules of their own")
def test_freed_memory_is_used_again():
    found = subprocess.run([sys.executable, "-c", _COUNT_PAGES], capture_output=True, text=True, check=True)
    assert int(found.stdout) < 1000, "without it in most processes over 60,000, as the heap happens to lie"
