/* Which MIG profiles there are, where they may stand, and making and removing instances.
 *
 * What is made lives until the state file changes. The real library wants root for most of these;
 * a test refuses them by name. */
#include "fake_nvml.h"

#include <stdio.h>
#include <string.h>

typedef struct {
  u32 start, size;
} Placement;

typedef struct {
  Device *device;
  u32 id, profile;
  Placement placement;
} GpuInstanceInfo;

typedef struct {
  u32 version, id, p2p, slices, instances, sms, copy, decode, encode, jpeg, ofa;
  u64 memory_mb;
  char name[96];
} ProfileInfo;

typedef struct {
  u32 version, id, slices, instances, sms, copy, decode, encode, jpeg, ofa;
  char name[96];
} ComputeProfileInfo;

static const Profile *by_id(const Device *device, u32 id) {
  for (int i = 0; i < driver.profile_count; i++) {
    const Profile *one = &driver.profiles[i];
    if (one->gpu == device->gpu && one->id == id) return one;
  }
  return NULL;
}

static int is_of(const Device *instance, const Profile *profile) {
  const char *name = strstr(instance->name, "MIG ");
  return name != NULL && strcmp(name + 4, profile->name) == 0;
}

ret_t nvmlDeviceGetGpuInstanceProfileInfoV(Device *device, u32 number, ProfileInfo *info) {
  BEGIN_GPU(device);
  for (int i = 0; i < driver.profile_count; i++) {
    const Profile *one = &driver.profiles[i];
    if (one->gpu != device->gpu || one->number != number) continue;
    info->id = one->id;
    info->slices = one->slices;
    info->instances = (u32)one->start_count;
    info->memory_mb = one->memory_mb;
    snprintf(info->name, sizeof info->name, "MIG %s", one->name);
    return OK;
  }
  return NOT_SUPPORTED;
}

ret_t nvmlDeviceGetGpuInstancePossiblePlacements_v2(Device *device, u32 id, Placement *places,
                                                    u32 *count) {
  BEGIN_GPU(device);
  const Profile *profile = by_id(device, id);
  if (profile == NULL) return NOT_SUPPORTED;
  *count = (u32)profile->start_count;
  if (places != NULL)
    for (int i = 0; i < profile->start_count; i++)
      places[i] = (Placement){profile->starts[i], profile->size};
  return OK;
}

/* A GPU instance's handle is the Device of the MIG instance that stands on it. */
ret_t nvmlDeviceGetGpuInstanceById(Device *device, u32 id, Device **instance) {
  BEGIN_GPU(device);
  for (int i = 0; i < MAX_INSTANCES; i++) {
    Device *one = &driver.instances[device->gpu][i];
    if (one->present && (u32)one->gi == id) {
      *instance = one;
      return OK;
    }
  }
  return NOT_FOUND;
}

ret_t nvmlDeviceGetGpuInstances(Device *device, u32 id, Device **instances, u32 *count) {
  BEGIN_GPU(device);
  const Profile *profile = by_id(device, id);
  if (profile == NULL) return INVALID_ARGUMENT;
  *count = 0;
  for (int i = 0; i < MAX_INSTANCES; i++) {
    Device *one = &driver.instances[device->gpu][i];
    if (one->present && is_of(one, profile)) instances[(*count)++] = one;
  }
  return OK;
}

ret_t nvmlGpuInstanceGetInfo(Device *instance, GpuInstanceInfo *info) {
  BEGIN_DEVICE(instance);
  memset(info, 0, sizeof *info);
  info->device = gpu_of(instance);
  info->id = (u32)instance->gi;
  info->placement = (Placement){(u32)instance->start, (u32)instance->size};
  return OK;
}

ret_t nvmlDeviceCreateGpuInstanceWithPlacement(Device *device, u32 id, const Placement *place,
                                               Device **instance) {
  BEGIN_GPU(device);
  const Profile *profile = by_id(device, id);
  if (profile == NULL) return INVALID_ARGUMENT;
  int allowed = 0, slot = -1, gi = 0;
  for (int i = 0; i < profile->start_count; i++) allowed |= profile->starts[i] == place->start;
  if (!allowed || place->size != profile->size) return INVALID_ARGUMENT;
  for (int i = MAX_INSTANCES - 1; i >= 0; i--) {
    const Device *one = &driver.instances[device->gpu][i];
    if (!one->present) {
      slot = i;
      continue;
    }
    if (one->gi > gi) gi = one->gi;
    if ((u32)one->start < place->start + place->size &&
        place->start < (u32)(one->start + one->size))
      return INSUFFICIENT_RESOURCES;
  }
  if (slot < 0) return INSUFFICIENT_RESOURCES;
  static int made;
  Device *one = &driver.instances[device->gpu][slot];
  *one = (Device){.present = 1, .is_instance = 1, .gpu = device->gpu, .slot = slot, .ci = -1};
  one->gi = gi + 1;
  one->start = (int)place->start;
  one->size = (int)place->size;
  one->slices = (int)profile->slices;
  one->memory = (u64)profile->memory_mb << 20;
  snprintf(one->name, sizeof one->name, "MIG %s", profile->name);
  snprintf(one->uuid, sizeof one->uuid, "MIG-made-%d", ++made);
  *instance = one;
  return OK;
}

ret_t nvmlGpuInstanceDestroy(Device *instance) {
  BEGIN_DEVICE(instance);
  if (instance->ci >= 0) return IN_USE;
  instance->present = 0;
  return OK;
}

/* One compute instance profile per number of slices, as large as the GPU instance at most. */
ret_t nvmlGpuInstanceGetComputeInstanceProfileInfoV(Device *instance, u32 number, u32 engines,
                                                    ComputeProfileInfo *info) {
  (void)engines;
  BEGIN_DEVICE(instance);
  static const u32 slices[] = {1, 2, 3, 4, 7};
  if (number >= sizeof slices / sizeof *slices) return NOT_SUPPORTED;
  if (slices[number] > (u32)instance->slices) return NOT_SUPPORTED;
  info->id = number;
  info->slices = slices[number];
  return OK;
}

ret_t nvmlGpuInstanceGetComputeInstances(Device *instance, u32 id, Device **found, u32 *count) {
  BEGIN_DEVICE(instance);
  static const u32 slices[] = {1, 2, 3, 4, 7};
  *count = 0;
  if (instance->ci >= 0 && id < 5 && slices[id] == (u32)instance->slices) found[(*count)++] = instance;
  return OK;
}

ret_t nvmlComputeInstanceDestroy(Device *instance) {
  BEGIN_DEVICE(instance);
  for (int i = 0; i < driver.process_count; i++)
    if (driver.processes[i].gpu == instance->gpu && driver.processes[i].gi == instance->gi)
      return IN_USE;
  instance->ci = -1;
  return OK;
}

ret_t nvmlGpuInstanceCreateComputeInstance(Device *instance, u32 id, Device **made) {
  (void)id;
  BEGIN_DEVICE(instance);
  if (instance->ci >= 0) return INSUFFICIENT_RESOURCES;
  instance->ci = 0;
  *made = instance;
  return OK;
}
