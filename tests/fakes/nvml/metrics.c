/* Memory, rates, sensors, and where a device is: what a sampler asks for. */
#include "fake_nvml.h"

#include <string.h>

/* --- memory ------------------------------------------------------------------------------------- */

typedef struct {
  u64 total, free, used;
} Memory;

typedef struct {
  u32 version;
  u64 total, reserved, free, used;
} MemoryV2;

ret_t nvmlDeviceGetMemoryInfo(Device *device, Memory *memory) {
  BEGIN_DEVICE(device);
  memory->total = device->memory;
  memory->used = device->used + device->reserved;
  memory->free = memory->total - memory->used;
  return OK;
}

ret_t nvmlDeviceGetMemoryInfo_v2(Device *device, MemoryV2 *memory) {
  BEGIN_DEVICE(device);
  if (memory->version != 0x02000028) return VERSION_MISMATCH;
  memory->total = device->memory;
  memory->reserved = device->reserved;
  memory->used = device->used;
  memory->free = memory->total - memory->used - memory->reserved;
  return OK;
}

ret_t nvmlDeviceGetBAR1MemoryInfo(Device *device, Memory *memory) {
  BEGIN_DEVICE(device);
  memory->total = gpu_of(device)->memory;
  memory->used = 2 << 20;
  memory->free = memory->total - memory->used;
  return OK;
}

/* --- rates: not supported where MIG is on ------------------------------------------------------- */

typedef struct {
  u32 gpu, memory;
} Utilization;

ret_t nvmlDeviceGetUtilizationRates(Device *device, Utilization *rates) {
  BEGIN_GPU_WITHOUT_MIG(device);
  rates->gpu = (u32)device->activity;
  rates->memory = (u32)device->memory_activity;
  return OK;
}

ret_t nvmlDeviceGetEncoderUtilization(Device *device, u32 *percent, u32 *period_us) {
  BEGIN_GPU_WITHOUT_MIG(device);
  *percent = (u32)device->encoder;
  *period_us = 100000;
  return OK;
}

ret_t nvmlDeviceGetDecoderUtilization(Device *device, u32 *percent, u32 *period_us) {
  BEGIN_GPU_WITHOUT_MIG(device);
  *percent = (u32)device->decoder;
  *period_us = 100000;
  return OK;
}

/* --- sensors ------------------------------------------------------------------------------------ */

ret_t nvmlDeviceGetPowerUsage(Device *device, u32 *milliwatts) {
  BEGIN_GPU(device);
  *milliwatts = (u32)device->power_mw;
  return OK;
}

ret_t nvmlDeviceGetPowerManagementLimit(Device *device, u32 *milliwatts) {
  BEGIN_GPU(device);
  *milliwatts = (u32)device->power_limit_mw;
  return OK;
}
ALIAS(nvmlDeviceGetEnforcedPowerLimit, nvmlDeviceGetPowerManagementLimit);

ret_t nvmlDeviceGetTotalEnergyConsumption(Device *device, u64 *millijoules) {
  BEGIN_GPU(device);
  *millijoules = device->energy_mj;
  return OK;
}

typedef struct {
  u32 version, sensor;
  int temperature;
} Temperature;

ret_t nvmlDeviceGetTemperature(Device *device, u32 sensor, u32 *celsius) {
  (void)sensor;
  BEGIN_GPU(device);
  *celsius = (u32)device->temperature;
  return OK;
}

ret_t nvmlDeviceGetTemperatureV(Device *device, Temperature *reading) {
  BEGIN_GPU(device);
  if (reading->version != 0x100000C) return VERSION_MISMATCH;
  reading->temperature = device->temperature;
  return OK;
}

ret_t nvmlDeviceGetClockInfo(Device *device, u32 type, u32 *mhz) {
  BEGIN_GPU(device);
  *mhz = (u32)(type == 2 ? device->memory_clock : device->sm_clock);
  return OK;
}
ALIAS(nvmlDeviceGetMaxClockInfo, nvmlDeviceGetClockInfo);

ret_t nvmlDeviceGetCurrentClocksEventReasons(Device *device, u64 *reasons) {
  BEGIN_GPU(device);
  *reasons = (u64)device->throttle;
  return OK;
}
ALIAS(nvmlDeviceGetCurrentClocksThrottleReasons, nvmlDeviceGetCurrentClocksEventReasons);

ret_t nvmlDeviceGetPerformanceState(Device *device, u32 *state) {
  BEGIN_GPU(device);
  *state = 0;
  return OK;
}

ret_t nvmlDeviceGetPersistenceMode(Device *device, u32 *mode) {
  BEGIN_GPU(device);
  *mode = 1;
  return OK;
}

ret_t nvmlDeviceGetComputeMode(Device *device, u32 *mode) {
  BEGIN_DEVICE(device);
  *mode = 0;
  return OK;
}
ALIAS(nvmlDeviceGetDisplayActive, nvmlDeviceGetComputeMode);
ALIAS(nvmlDeviceGetDisplayMode, nvmlDeviceGetComputeMode);

static u64 ecc_count(const Device *device, u32 type) {
  return type == 0 ? device->ecc_corrected : device->ecc_uncorrected;
}

ret_t nvmlDeviceGetTotalEccErrors(Device *device, u32 type, u32 counter, u64 *count) {
  BEGIN_GPU(device);
  *count = counter == 0 ? ecc_count(device, type) : 0;
  return OK;
}

/* --- where a device is -------------------------------------------------------------------------- */

ret_t nvmlDeviceGetCpuAffinity(Device *device, u32 words, unsigned long *set) {
  BEGIN_DEVICE(device);
  memset(set, 0, words * sizeof *set);
  if (words > 0) set[0] = (unsigned long)gpu_of(device)->cpus;
  return OK;
}

ret_t nvmlDeviceGetMemoryAffinity(Device *device, u32 words, unsigned long *set, u32 scope) {
  (void)scope;
  BEGIN_DEVICE(device);
  if (gpu_of(device)->numa < 0) return NOT_SUPPORTED;
  memset(set, 0, words * sizeof *set);
  if (words > 0) set[0] = 1UL << gpu_of(device)->numa;
  return OK;
}

ret_t nvmlDeviceGetTopologyCommonAncestor(Device *one, Device *other, u32 *level) {
  BEGIN_DEVICE(one);
  *level = one == other ? 0 : one->numa == other->numa ? 40 : 50;
  return OK;
}

/* GPUs of one island reach each other over NVLink. */
ret_t nvmlDeviceGetP2PStatus(Device *one, Device *other, u32 what, u32 *status) {
  enum { NVLINK = 2, P2P_OK = 0, P2P_NOT_SUPPORTED = 5 };
  BEGIN_GPU(one);
  if (check(other) != OK) return check(other);
  int linked = one->island >= 0 && one->island == other->island;
  *status = what != NVLINK || linked ? P2P_OK : P2P_NOT_SUPPORTED;
  return OK;
}
