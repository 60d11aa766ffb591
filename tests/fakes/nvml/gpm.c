/* GPM: what happened between two samples, of a GPU or of one MIG instance. Hopper and later. */
#include "fake_nvml.h"

#include <stdlib.h>

typedef struct {
  double taken;
  int activity, sm, occupancy, tensor, dram, pcie_kbps, nvlink_kbps;
} Sample;

typedef struct {
  u32 id;
  ret_t code;
  double value;
  const char *short_name, *long_name, *unit;
} Metric;

typedef struct {
  u32 version, count;
  Sample *first, *second;
  Metric metrics[];
} MetricsRequest;

typedef struct {
  u32 version, supported;
} Support;

static Sample sample_of(const Device *device) {
  return (Sample){seconds_now(),  device->activity,  device->sm,        device->occupancy,
                  device->tensor, device->dram,      device->pcie_kbps, device->nvlink_kbps};
}

ret_t nvmlGpmQueryDeviceSupport(Device *device, Support *support) {
  BEGIN_DEVICE(device);
  support->supported = (u32)gpu_of(device)->gpm;
  return OK;
}

ret_t nvmlGpmSampleAlloc(Sample **sample) {
  BEGIN;
  *sample = calloc(1, sizeof **sample);
  return OK;
}

ret_t nvmlGpmSampleFree(Sample *sample) {
  BEGIN;
  free(sample);
  return OK;
}

ret_t nvmlGpmSampleGet(Device *device, Sample *sample) {
  BEGIN_GPU(device);
  if (!device->gpm) return NOT_SUPPORTED;
  *sample = sample_of(device);
  return OK;
}

ret_t nvmlGpmMigSampleGet(Device *device, u32 gi, Sample *sample) {
  BEGIN_GPU(device);
  if (!device->gpm) return NOT_SUPPORTED;
  for (int i = 0; i < MAX_INSTANCES; i++) {
    Device *one = &driver.instances[device->gpu][i];
    if (!one->present || (u32)one->gi != gi) continue;
    *sample = sample_of(one);
    return OK;
  }
  return NOT_FOUND;
}

static ret_t metric_of(const Sample *sample, u32 id, double *value) {
  switch (id) {
    case 1: *value = sample->activity; return OK;
    case 2: *value = sample->sm; return OK;
    case 3: *value = sample->occupancy; return OK;
    case 5: *value = sample->tensor; return OK;
    case 10: *value = sample->dram; return OK;
    case 20:
    case 21: *value = sample->pcie_kbps / 1024.0; return OK;
    case 60:
    case 61: *value = sample->nvlink_kbps / 1024.0; return OK;
    default: *value = 0; return NOT_SUPPORTED;
  }
}

/* The mean of both samples; the real library refuses two that are less than 100 ms apart. */
ret_t nvmlGpmMetricsGet(MetricsRequest *request) {
  BEGIN;
  if (request->version != 1) return VERSION_MISMATCH;
  if (request->second->taken - request->first->taken < 0.1) return INVALID_ARGUMENT;
  for (u32 i = 0; i < request->count; i++) {
    Metric *metric = &request->metrics[i];
    double before, now;
    metric_of(request->first, metric->id, &before);
    metric->code = metric_of(request->second, metric->id, &now);
    metric->value = (before + now) / 2;
  }
  return OK;
}
