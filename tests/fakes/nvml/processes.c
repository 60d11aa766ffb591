/* Processes on a device, and what each of them does there. */
#include "fake_nvml.h"

#include <time.h>

typedef struct {
  u32 pid;
  u64 bytes;
  u32 gi, ci;
} ProcessInfo;

static int runs_on(const Process *process, const Device *device) {
  return process->gpu == device->gpu && (!device->is_instance || process->gi == device->gi);
}

/* NVML's two-step protocol: too small an array answers with the size that is needed. */
static ret_t list(const Device *device, ProcessType type, u32 *count, ProcessInfo *out) {
  u32 room = *count, found = 0;
  for (int i = 0; i < driver.process_count; i++) {
    const Process *process = &driver.processes[i];
    if (process->type != type || !runs_on(process, device)) continue;
    if (out != 0 && found < room)
      out[found] = (ProcessInfo){process->pid, process->bytes, (u32)process->gi, (u32)process->ci};
    found++;
  }
  *count = found;
  return found == 0 || (out != 0 && found <= room) ? OK : INSUFFICIENT_SIZE;
}

ret_t nvmlDeviceGetComputeRunningProcesses_v3(Device *device, u32 *count, ProcessInfo *out) {
  BEGIN_DEVICE(device);
  return list(device, COMPUTE, count, out);
}
ALIAS(nvmlDeviceGetComputeRunningProcesses_v2, nvmlDeviceGetComputeRunningProcesses_v3);

ret_t nvmlDeviceGetGraphicsRunningProcesses_v3(Device *device, u32 *count, ProcessInfo *out) {
  BEGIN_DEVICE(device);
  return list(device, GRAPHICS, count, out);
}
ALIAS(nvmlDeviceGetGraphicsRunningProcesses_v2, nvmlDeviceGetGraphicsRunningProcesses_v3);

ret_t nvmlDeviceGetMPSComputeRunningProcesses_v3(Device *device, u32 *count, ProcessInfo *out) {
  BEGIN_DEVICE(device);
  return list(device, MPS, count, out);
}
ALIAS(nvmlDeviceGetMPSComputeRunningProcesses_v2, nvmlDeviceGetMPSComputeRunningProcesses_v3);

typedef struct {
  u32 pid;
  u64 timestamp_us;
  u32 sm, memory, encode, decode;
} ProcessUtilization;

ret_t nvmlDeviceGetProcessUtilization(Device *device, ProcessUtilization *out, u32 *count,
                                      u64 since_us) {
  BEGIN_GPU_WITHOUT_MIG(device);
  u64 now = (u64)time(NULL) * 1000000 + 999999;
  u32 room = *count, found = 0;
  if (since_us > now) return NOT_FOUND;
  for (int i = 0; i < driver.process_count; i++) {
    const Process *process = &driver.processes[i];
    if (!runs_on(process, device)) continue;
    if (out != 0 && found < room)
      out[found] = (ProcessUtilization){process->pid, now, (u32)process->activity, 0, 0, 0};
    found++;
  }
  *count = found;
  if (found == 0) return NOT_FOUND;
  return out != 0 && found <= room ? OK : INSUFFICIENT_SIZE;
}
