/* PCIe, NVLink, and the counters that many fields are read from at once. */
#include "fake_nvml.h"

#include <stdlib.h>
#include <unistd.h>

/* --- PCIe: the real call looks over a window of 20 ms, and blocks for as long -------------------- */

/* Of the environment where it says so: then every program that is compared waits as long. */
static int pcie_window_ms(void) {
  const char *wanted = getenv("FAKE_NVML_PCIE_MS");
  return wanted ? atoi(wanted) : driver.pcie_delay_ms;
}

ret_t nvmlDeviceGetPcieThroughput(Device *device, u32 counter, u32 *kilobytes_per_second) {
  (void)counter;
  int window = pcie_window_ms();
  if (window > 0) usleep((useconds_t)window * 1000);
  BEGIN_GPU(device);
  *kilobytes_per_second = (u32)device->pcie_kbps;
  return OK;
}

ret_t nvmlDeviceGetMaxPcieLinkGeneration(Device *device, u32 *generation) {
  BEGIN_GPU(device);
  *generation = 5;
  return OK;
}
ALIAS(nvmlDeviceGetCurrPcieLinkGeneration, nvmlDeviceGetMaxPcieLinkGeneration);

ret_t nvmlDeviceGetMaxPcieLinkWidth(Device *device, u32 *width) {
  BEGIN_GPU(device);
  *width = 16;
  return OK;
}
ALIAS(nvmlDeviceGetCurrPcieLinkWidth, nvmlDeviceGetMaxPcieLinkWidth);

/* --- NVLink --------------------------------------------------------------------------------------- */

ret_t nvmlDeviceGetNvLinkState(Device *device, u32 link, u32 *active) {
  BEGIN_GPU(device);
  if (device->island < 0) return NOT_SUPPORTED;
  if (link >= 18) return INVALID_ARGUMENT;
  *active = 1;
  return OK;
}

/* --- bulk readers ------------------------------------------------------------------------------- */

typedef union {
  double d;
  u32 ui;
  u64 ull;
} Value;

typedef struct {
  uint32_t id, scope;
  int64_t timestamp, latency;
  u32 type;
  ret_t code;
  Value value;
} FieldValue;

enum { U32 = 1, U64 = 3 };

/* A counter in `unit`s that grew by `kbps` since the machine started. */
static void count(FieldValue *field, double kbps, double unit) {
  field->type = U64;
  field->value.ull = (u64)(seconds_now() * kbps * 1024.0 / unit);
}

static void set(FieldValue *field, u32 type, u64 value) {
  field->type = type;
  field->value.ull = value;
}

ret_t nvmlDeviceGetFieldValues(Device *device, int how_many, FieldValue *fields) {
  BEGIN_DEVICE(device);
  for (int i = 0; i < how_many; i++) {
    FieldValue *field = &fields[i];
    field->timestamp = (int64_t)(seconds_now() * 1e6);
    field->latency = 0;
    field->value.ull = 0;
    field->code = device->is_instance ? NOT_SUPPORTED : OK;
    switch (field->id) {
      case 3: set(field, U64, device->ecc_corrected); break;
      case 4: set(field, U64, device->ecc_uncorrected); break;
      case 82: set(field, U32, (u64)device->temperature); break; /* of the memory */
      case 83: set(field, U64, device->energy_mj); break;
      case 91: set(field, U32, device->island < 0 ? 0 : 18); break; /* NVLinks */
      case 138:
      case 139:
        count(field, device->nvlink_kbps, 1024);
        if (device->island < 0) field->code = NOT_SUPPORTED;
        break;
      case 142: set(field, U32, (u64)device->remapped_corrected); break;
      case 143: set(field, U32, (u64)device->remapped_uncorrected); break;
      case 144: set(field, U32, (u64)device->remap_pending); break;
      case 145: set(field, U32, (u64)device->remap_failed); break;
      case 186: set(field, U32, (u64)device->power_mw); break;
      case 197:
      case 198:
        count(field, device->pcie_kbps, 1);
        if (!device->pcie_counters) field->code = NOT_SUPPORTED;
        break;
      default: field->code = NOT_SUPPORTED;
    }
  }
  return OK;
}
