/* Initialising, the system's own facts, and handles. */
#include "fake_nvml.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

ret_t nvmlInitWithFlags(u32 flags) {
  (void)flags;
  BEGIN_ANY(0);
  if (driver.init_code != OK) return driver.init_code;
  initialized++;
  generation = driver.generation;
  return OK;
}

ret_t nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
ret_t nvmlInit(void) { return nvmlInitWithFlags(0); }

ret_t nvmlShutdown(void) {
  BEGIN_ANY(0);
  if (initialized == 0) return UNINITIALIZED;
  initialized--;
  return OK;
}

const char *nvmlErrorString(ret_t code) {
  switch (code) {
    case OK: return "Success";
    case UNINITIALIZED: return "Uninitialized";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NO_PERMISSION: return "Insufficient Permissions";
    case NOT_FOUND: return "Not Found";
    case INSUFFICIENT_SIZE: return "Insufficient Size";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case GPU_IS_LOST: return "GPU is lost";
    case 18: return "Driver/library version mismatch";
    case VERSION_MISMATCH: return "Argument version mismatch";
    default: return "Unknown Error";
  }
}

ret_t nvmlSystemGetDriverVersion(char *out, u32 size) {
  BEGIN;
  return copy_text(out, size, driver.version);
}

ret_t nvmlSystemGetNVMLVersion(char *out, u32 size) {
  BEGIN;
  char text[80];
  snprintf(text, sizeof text, "13.%s", driver.version);
  return copy_text(out, size, text);
}

ret_t nvmlSystemGetCudaDriverVersion_v2(int *version) {
  BEGIN;
  *version = driver.cuda;
  return OK;
}
ALIAS(nvmlSystemGetCudaDriverVersion, nvmlSystemGetCudaDriverVersion_v2);

ret_t nvmlSystemGetProcessName(u32 pid, char *out, u32 size) {
  BEGIN;
  char path[64];
  snprintf(path, sizeof path, "/proc/%u/comm", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return NOT_FOUND;
  ssize_t length = read(fd, out, size - 1);
  close(fd);
  if (length < 1) return NOT_FOUND;
  out[length - 1] = 0;
  return OK;
}

/* --- handles ------------------------------------------------------------------------------------ */

ret_t nvmlDeviceGetCount_v2(u32 *count) {
  BEGIN;
  *count = (u32)driver.gpu_count;
  return OK;
}
ALIAS(nvmlDeviceGetCount, nvmlDeviceGetCount_v2);

ret_t nvmlDeviceGetHandleByIndex_v2(u32 index, Device **handle) {
  BEGIN;
  if ((int)index >= driver.gpu_count) return INVALID_ARGUMENT;
  *handle = &driver.gpus[index];
  return check(*handle);
}
ALIAS(nvmlDeviceGetHandleByIndex, nvmlDeviceGetHandleByIndex_v2);

ret_t nvmlDeviceGetHandleByUUID(const char *uuid, Device **handle) {
  BEGIN;
  for (int i = 0; i < driver.gpu_count; i++) {
    if (strcmp(driver.gpus[i].uuid, uuid) == 0) {
      *handle = &driver.gpus[i];
      return check(*handle);
    }
    for (int j = 0; j < MAX_INSTANCES; j++)
      if (driver.instances[i][j].present && strcmp(driver.instances[i][j].uuid, uuid) == 0) {
        *handle = &driver.instances[i][j];
        return check(*handle);
      }
  }
  return NOT_FOUND;
}

ret_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus, Device **handle) {
  BEGIN;
  for (int i = 0; i < driver.gpu_count; i++)
    if (strcasecmp(driver.gpus[i].bus, bus) == 0 || strcasecmp(driver.gpus[i].bus + 4, bus) == 0) {
      *handle = &driver.gpus[i];
      return check(*handle);
    }
  return NOT_FOUND;
}
ALIAS(nvmlDeviceGetHandleByPciBusId, nvmlDeviceGetHandleByPciBusId_v2);

/* --- who a device is ---------------------------------------------------------------------------- */

ret_t nvmlDeviceGetIndex(Device *device, u32 *index) {
  BEGIN_DEVICE(device);
  *index = (u32)(device->is_instance ? device->slot : device->gpu);
  return OK;
}

ret_t nvmlDeviceGetMinorNumber(Device *device, u32 *number) {
  BEGIN_GPU(device);
  *number = (u32)device->gpu;
  return OK;
}

ret_t nvmlDeviceGetName(Device *device, char *out, u32 size) {
  BEGIN_DEVICE(device);
  return copy_text(out, size, device->name);
}

ret_t nvmlDeviceGetUUID(Device *device, char *out, u32 size) {
  BEGIN_DEVICE(device);
  return copy_text(out, size, device->uuid);
}

ret_t nvmlDeviceGetSerial(Device *device, char *out, u32 size) {
  BEGIN_DEVICE(device);
  char text[32];
  snprintf(text, sizeof text, "FAKE%08d", device->gpu);
  return copy_text(out, size, text);
}

ret_t nvmlDeviceGetBrand(Device *device, u32 *brand) {
  BEGIN_DEVICE(device);
  *brand = 13;
  return OK;
}

ret_t nvmlDeviceGetArchitecture(Device *device, u32 *architecture) {
  BEGIN_DEVICE(device);
  *architecture = 9; /* Hopper */
  return OK;
}

ret_t nvmlDeviceGetCudaComputeCapability(Device *device, int *major, int *minor) {
  BEGIN_DEVICE(device);
  *major = 9;
  *minor = 0;
  return OK;
}

typedef struct {
  char legacy_id[16];
  u32 domain, bus, device, device_id, subsystem_id;
  char id[32];
} PciInfo;

ret_t nvmlDeviceGetPciInfo_v3(Device *device, PciInfo *info) {
  BEGIN_DEVICE(device);
  const char *bus = gpu_of(device)->bus;
  memset(info, 0, sizeof *info);
  sscanf(bus, "%x:%x:%x", &info->domain, &info->bus, &info->device);
  snprintf(info->legacy_id, sizeof info->legacy_id, "%.15s", strlen(bus) > 4 ? bus + 4 : bus);
  snprintf(info->id, sizeof info->id, "%s", bus);
  info->device_id = 0x233010de;
  return OK;
}
ALIAS(nvmlDeviceGetPciInfo_v2, nvmlDeviceGetPciInfo_v3);
