/* A fake libnvidia-ml.so.1 for machines without a GPU: what its parts share.
 *
 * The library answers from a text file, `nvml.state`, that lies in the same directory as the
 * library itself, so that a fake driver is one directory: several can be had in one process, and
 * nothing in the environment makes a program meet one by accident. The file is read again whenever
 * it changed; `build.py` writes it and describes its records.
 *
 * Calls are counted per function in `nvml.calls`, which lies beside it too, if it is there.
 *
 * It does what the real library does as far as it is documented: utilisation is not supported where
 * MIG is on, sensors are not supported on a MIG instance, a lost GPU answers "lost" to everything.
 */
#ifndef FAKE_NVML_H
#define FAKE_NVML_H

#include <stddef.h>
#include <stdint.h>

typedef int ret_t;
typedef unsigned int u32;
typedef unsigned long long u64;

enum {
  OK = 0,
  UNINITIALIZED = 1,
  INVALID_ARGUMENT = 2,
  NOT_SUPPORTED = 3,
  NO_PERMISSION = 4,
  NOT_FOUND = 6,
  INSUFFICIENT_SIZE = 7,
  DRIVER_NOT_LOADED = 9,
  GPU_IS_LOST = 15,
  IN_USE = 19,
  INSUFFICIENT_RESOURCES = 23,
  VERSION_MISMATCH = 25,
};

enum { MAX_GPUS = 64, MAX_INSTANCES = 7, MAX_PROCESSES = 1024 };
enum { MAX_REFUSALS = 64, MAX_XIDS = 64, MAX_PROFILES = 256, MAX_STARTS = 8 };

/* A GPU, or a MIG instance of one: NVML's handles may be either. */
typedef struct Device {
  int present, is_instance, gpu, slot;
  char name[96], uuid[96], bus[32];
  u64 memory, used, reserved, cpus, ecc_corrected, ecc_uncorrected, energy_mj;
  int activity, memory_activity, power_mw, power_limit_mw, temperature, sm_clock, memory_clock;
  int numa, island, mig, lost, pcie_kbps, pcie_counters, nvlink_kbps, throttle, encoder, decoder;
  int remapped_corrected, remapped_uncorrected, remap_pending, remap_failed;
  int gpm, sm, occupancy, tensor, dram;
  int gi, ci, start, size, slices, sms;
} Device;

typedef enum { COMPUTE, GRAPHICS, MPS } ProcessType;

typedef struct {
  int gpu, gi, ci, activity;
  u32 pid;
  u64 bytes;
  ProcessType type;
} Process;

typedef struct {
  char function[96];
  ret_t code;
} Refusal;

typedef struct {
  int gpu, code;
} Xid;

/* A MIG profile of one GPU: `number` is NVML's, `id` the driver's own. */
typedef struct {
  int gpu, start_count;
  u32 number, id, slices, memory_mb, size, starts[MAX_STARTS];
  char name[32];
} Profile;

typedef struct {
  char version[64];
  int cuda, init_code, pcie_delay_ms, generation;
  int gpu_count, process_count, refusal_count, xid_count, profile_count;
  Device gpus[MAX_GPUS];
  Device instances[MAX_GPUS][MAX_INSTANCES];
  Process processes[MAX_PROCESSES];
  Refusal refusals[MAX_REFUSALS];
  Xid xids[MAX_XIDS];
  Profile profiles[MAX_PROFILES];
} Driver;

extern Driver driver;
extern int initialized, generation;

/* Every public function begins with BEGIN or BEGIN_DEVICE: they take the lock until the function
 * returns, read a changed state file, count the call, and answer for a function that is refused. */
typedef struct {
  ret_t code;
} Guard;

Guard enter(const char *function, int needs_init);
void leave(Guard *guard);
ret_t check(const Device *device);
ret_t reload(void);
ret_t copy_text(char *out, u32 size, const char *text);
ret_t fake_unsupported(const char *function);
void count_call(const char *function);
const char *beside_library(const char *name);
double seconds_now(void);

static inline Device *gpu_of(Device *device) { return &driver.gpus[device->gpu]; }

#define BEGIN_ANY(needs_init)                                                    \
  Guard guard __attribute__((cleanup(leave))) = enter(__func__, needs_init);     \
  if (guard.code != OK) return guard.code

#define BEGIN BEGIN_ANY(1)

#define BEGIN_DEVICE(device)                                                     \
  BEGIN;                                                                         \
  if (check(device) != OK) return check(device)

/* For what a MIG instance does not have. */
#define BEGIN_GPU(device)                                                        \
  BEGIN_DEVICE(device);                                                          \
  if ((device)->is_instance) return NOT_SUPPORTED

/* For what a GPU loses while MIG is on. */
#define BEGIN_GPU_WITHOUT_MIG(device)                                            \
  BEGIN_GPU(device);                                                             \
  if ((device)->mig) return NOT_SUPPORTED

#define ALIAS(name, of) __typeof__(of) name __attribute__((alias(#of)))

#endif
