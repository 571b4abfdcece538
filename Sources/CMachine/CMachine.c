#define _GNU_SOURCE
#include "CMachine.h"
#include <malloc.h>
#include <sched.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

int machine_available_cpus(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? count : 1;
}

int machine_allowed_cpus(int *cpus, int capacity) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 0;
    int count = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE && count < capacity; cpu++) {
        if (CPU_ISSET(cpu, &set)) cpus[count++] = cpu;
    }
    return count;
}

int machine_bind_thread(const int *cpus, int count) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int i = 0; i < count; i++) {
        if (cpus[i] >= 0 && cpus[i] < CPU_SETSIZE) CPU_SET(cpus[i], &set);
    }
    return sched_setaffinity(0, sizeof set, &set);
}

int machine_has_avx512(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
    return 0;
#endif
}

int machine_has_bfloat16(void) {
#if defined(__x86_64__)
    return machine_has_avx512() && __builtin_cpu_supports("avx512bf16");
#else
    return 0;
#endif
}

long machine_file_system(const char *path) {
    struct statfs status;
    return statfs(path, &status) == 0 ? (long)((unsigned long)status.f_type & 0xFFFFFFFF) : -1;
}

void machine_return_freed_memory(int bytes) { mallopt(M_MMAP_THRESHOLD, bytes); }

const char *machine_compiled_features(void) {
    return ""
#ifdef __AVX2__
        "avx2 "
#endif
#ifdef __FMA__
        "fma "
#endif
#ifdef __AVX512F__
        "avx512f "
#endif
#ifdef __AVX512BW__
        "avx512bw "
#endif
#ifdef __AVX512BF16__
        "avx512bf16 "
#endif
#ifdef __ARM_NEON
        "neon "
#endif
        ;
}

#if defined(__x86_64__)
// Runs before main, in instructions that every x86-64 CPU has, so that a program compiled for a richer CPU
// ends with a sentence instead of an illegal instruction.
__attribute__((target("no-avx,no-avx2,no-avx512f"), noinline)) static void refuse(const char *feature) {
    static const char head[] = "eyrie: this program was compiled for a CPU with ";
    static const char tail[] =
        ", which this one lacks.\n"
        "Build it here, or with EYRIE_CPU=x86-64-v3 (or x86-64 for any): swift build -c release\n";
    (void)!write(2, head, sizeof head - 1);
    (void)!write(2, feature, strlen(feature));
    (void)!write(2, tail, sizeof tail - 1);
    _exit(1);
}

__attribute__((constructor(101), target("no-avx,no-avx2,no-avx512f"))) static void check_cpu(void) {
    __builtin_cpu_init();
#ifdef __AVX2__
    if (!__builtin_cpu_supports("avx2")) refuse("AVX2");
#endif
#ifdef __FMA__
    if (!__builtin_cpu_supports("fma")) refuse("FMA");
#endif
#ifdef __AVX512F__
    if (!__builtin_cpu_supports("avx512f")) refuse("AVX-512F");
#endif
#ifdef __AVX512BW__
    if (!__builtin_cpu_supports("avx512bw")) refuse("AVX-512BW");
#endif
#ifdef __AVX512VL__
    if (!__builtin_cpu_supports("avx512vl")) refuse("AVX-512VL");
#endif
#ifdef __AVX512DQ__
    if (!__builtin_cpu_supports("avx512dq")) refuse("AVX-512DQ");
#endif
#ifdef __AVX512VBMI__
    if (!__builtin_cpu_supports("avx512vbmi")) refuse("AVX-512-VBMI");
#endif
#ifdef __AVX512BF16__
    if (!__builtin_cpu_supports("avx512bf16")) refuse("AVX-512-BF16");
#endif
}
#endif

const void *machine_find(const void *text, size_t count, const void *pattern, size_t pattern_count) {
    return memmem(text, count, pattern, pattern_count);
}
