"""Where GPUs come from: `nvml` for real ones, `simulated` for everywhere else.

Both implement `ports.DeviceBackend` and know the domain only. `processes` finds out which lease a
process belongs to, for both.
"""
