"""Which CPUs are beside a GPU, as NVML tells. Knows nothing of slices and holders."""

from __future__ import annotations

_WORDS = 64  # of 64 CPUs each


def cpus_near(gpu: str) -> tuple[int, ...]:
    """CPUs beside the GPU with this UUID; none where nobody tells.

    Of the GPU, never of a MIG instance: that has no affinity of its own.
    """
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(gpu)
        words = pynvml.nvmlDeviceGetCpuAffinity(handle, _WORDS)
    except Exception:  # NVML says "not supported" in several ways
        return ()
    bits = range(64)
    return tuple(64 * at + bit for at, word in enumerate(words) for bit in bits if word >> bit & 1)
