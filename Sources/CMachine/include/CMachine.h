#pragma once

/// The number of CPUs that this process may run on: its affinity mask, which mpirun and taskset narrow.
int machine_available_cpus(void);

/// The vector extensions that this program was compiled to use, as one line of text.
const char *machine_compiled_features(void);
