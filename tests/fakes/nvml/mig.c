/* MIG instances and their place on the GPU. */
#include "fake_nvml.h"

#include <string.h>

ret_t nvmlDeviceGetMigMode(Device *device, u32 *current, u32 *pending) {
  BEGIN_GPU(device);
  *current = *pending = (u32)device->mig;
  return OK;
}

ret_t nvmlDeviceGetMaxMigDeviceCount(Device *device, u32 *count) {
  BEGIN_GPU(device);
  *count = device->mig ? MAX_INSTANCES : 0;
  return OK;
}

ret_t nvmlDeviceGetMigDeviceHandleByIndex(Device *device, u32 index, Device **handle) {
  BEGIN_GPU(device);
  if (index >= MAX_INSTANCES) return INVALID_ARGUMENT;
  const Device *one = &driver.instances[device->gpu][index];
  if (!device->mig || !one->present || one->ci < 0) return NOT_FOUND;
  *handle = &driver.instances[device->gpu][index];
  return OK;
}

ret_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(Device *device, Device **handle) {
  BEGIN_DEVICE(device);
  if (!device->is_instance) return INVALID_ARGUMENT;
  *handle = gpu_of(device);
  return OK;
}

ret_t nvmlDeviceIsMigDeviceHandle(Device *device, u32 *answer) {
  BEGIN_DEVICE(device);
  *answer = (u32)device->is_instance;
  return OK;
}

ret_t nvmlDeviceGetGpuInstanceId(Device *device, u32 *id) {
  BEGIN_DEVICE(device);
  if (!device->is_instance) return NOT_SUPPORTED;
  *id = (u32)device->gi;
  return OK;
}

ret_t nvmlDeviceGetComputeInstanceId(Device *device, u32 *id) {
  BEGIN_DEVICE(device);
  if (!device->is_instance) return NOT_SUPPORTED;
  *id = (u32)device->ci;
  return OK;
}

typedef struct {
  u32 multiprocessors, copy, decode, encode, jpeg, ofa, gpu_slices, compute_slices;
  u64 memory_mb;
} Attributes;

ret_t nvmlDeviceGetAttributes_v2(Device *device, Attributes *attributes) {
  BEGIN_DEVICE(device);
  if (!device->is_instance) return NOT_SUPPORTED;
  memset(attributes, 0, sizeof *attributes);
  attributes->multiprocessors = (u32)device->sms;
  attributes->gpu_slices = attributes->compute_slices = (u32)device->slices;
  attributes->memory_mb = device->memory >> 20;
  return OK;
}
