/* Event sets: critical errors (XID) since a set was made. */
#include "fake_nvml.h"

#include <stdlib.h>
#include <unistd.h>

typedef struct {
  int seen;
  u64 gpus;
} EventSet;

typedef struct {
  Device *device;
  u64 type, data;
  u32 gi, ci;
} EventData;

enum { XID_CRITICAL_ERROR = 8, TIMEOUT = 10 };

ret_t nvmlDeviceGetSupportedEventTypes(Device *device, u64 *types) {
  BEGIN_GPU(device);
  *types = XID_CRITICAL_ERROR;
  return OK;
}

ret_t nvmlEventSetCreate(EventSet **set) {
  BEGIN;
  *set = calloc(1, sizeof **set);
  (*set)->seen = driver.xid_count;
  return OK;
}

ret_t nvmlDeviceRegisterEvents(Device *device, u64 types, EventSet *set) {
  BEGIN_GPU(device);
  if (types & ~(u64)XID_CRITICAL_ERROR) return NOT_SUPPORTED;
  set->gpus |= 1ULL << device->gpu;
  return OK;
}

static ret_t next_event(EventSet *set, EventData *data) {
  Guard guard __attribute__((cleanup(leave))) = enter(NULL, 1);
  if (guard.code != OK) return guard.code;
  while (set->seen < driver.xid_count) {
    const Xid *xid = &driver.xids[set->seen++];
    if ((set->gpus & (1ULL << xid->gpu)) == 0) continue;
    *data = (EventData){&driver.gpus[xid->gpu], XID_CRITICAL_ERROR, (u64)xid->code, ~0U, ~0U};
    return OK;
  }
  return TIMEOUT;
}

ret_t nvmlEventSetWait_v2(EventSet *set, EventData *data, u32 timeout_ms) {
  {
    BEGIN; /* and leaves again: others may call while this one waits */
  }
  double until = seconds_now() + timeout_ms / 1000.0;
  ret_t answer = next_event(set, data);
  while (answer == TIMEOUT && seconds_now() < until) {
    usleep(5000);
    answer = next_event(set, data);
  }
  return answer;
}
ALIAS(nvmlEventSetWait, nvmlEventSetWait_v2);

ret_t nvmlEventSetFree(EventSet *set) {
  BEGIN;
  free(set);
  return OK;
}
