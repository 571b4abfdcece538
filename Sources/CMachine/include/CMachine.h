#pragma once

#include <stddef.h>

/// The number of CPUs that this process may run on: its affinity mask, which mpirun and taskset narrow.
int machine_available_cpus(void);

/// Writes the CPUs that the calling thread may run on, ascending, and returns how many there are; at most `capacity`.
int machine_allowed_cpus(int *cpus, int capacity);

/// Has the calling thread run on these CPUs alone; 0 if the system agrees.
int machine_bind_thread(const int *cpus, int count);

/// Whether this CPU, and its operating system, have the AVX-512 extensions of Intel's Skylake servers: F, BW, DQ, VL.
int machine_has_avx512(void);

/// Whether this CPU has AVX-512's dot product of bfloat16 pairs.
int machine_has_bfloat16(void);

/// The kind of file system that a path is on, by its number in statfs(2); -1, with errno, if it can't be told.
long machine_file_system(const char *path);

/// Has the allocator give memory back to the operating system as soon as it is freed, of pieces of at least a number of bytes.
void machine_return_freed_memory(int bytes);

/// The vector extensions that this program was compiled to use, as one line of text.
const char *machine_compiled_features(void);

/// Where bytes first occur in others, in time linear in both: memmem(3), which Swift's Glibc doesn't have; NULL if nowhere.
const void *machine_find(const void *text, size_t count, const void *pattern, size_t pattern_count);

/// Tells the CPU that this thread waits for another one, so that it leaves its core's other thread the units.
static inline void machine_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/// Asks for the memory at an address, which may be any, to be brought into the cache.
static inline __attribute__((always_inline)) void machine_prefetch(const void *address) { __builtin_prefetch(address); }

/// Vectors of sixteen, which are Swift's SIMD16: to convert and to look up are instructions that Swift makes calls of, or
/// has no name for.
typedef unsigned char machine_bytes __attribute__((ext_vector_type(16)));
typedef signed char machine_signed_bytes __attribute__((ext_vector_type(16)));
typedef int machine_integers __attribute__((ext_vector_type(16)));
typedef float machine_floats __attribute__((ext_vector_type(16)));
typedef unsigned short machine_halves __attribute__((ext_vector_type(16)));
typedef unsigned machine_words __attribute__((ext_vector_type(16)));

#define MACHINE_INLINE static inline __attribute__((always_inline))

MACHINE_INLINE machine_floats machine_floats_of_bytes(machine_bytes x) {
    return __builtin_convertvector(x, machine_floats);
}

MACHINE_INLINE machine_floats machine_floats_of_signed_bytes(machine_bytes x) {
    return __builtin_convertvector((machine_signed_bytes)x, machine_floats);
}

MACHINE_INLINE machine_integers machine_integers_of_bytes(machine_bytes x) {
    return __builtin_convertvector(x, machine_integers);
}

MACHINE_INLINE machine_floats machine_floats_of_integers(machine_integers x) {
    return __builtin_convertvector(x, machine_floats);
}

MACHINE_INLINE machine_words machine_words_of_halves(machine_halves x) {
    return __builtin_convertvector(x, machine_words);
}

/// Floats as bfloat16: to nearest, ties to even. They aren't NaNs; those below 2^-126 may become zero.
MACHINE_INLINE machine_halves machine_round(machine_floats x) {
#if defined(__AVX512BF16__)
    typedef float floats __attribute__((vector_size(64)));
    typedef __bf16 rounded __attribute__((vector_size(32)));
    const machine_halves zero = {0};
    return (machine_halves)__builtin_ia32_cvtneps2bf16_512_mask((floats)x, (rounded)zero, (unsigned short)-1);
#else
    machine_words bits = (machine_words)x;
    return __builtin_convertvector((bits + 0x7FFF + (bits >> 16 & 1)) >> 16, machine_halves);
#endif
}

/// Has memory that will be written brought to the cache.
MACHINE_INLINE void machine_prefetch_for_writing(const void *address) { __builtin_prefetch(address, 1, 3); }

/// Bytes of a table by index, each below 16.
MACHINE_INLINE machine_bytes machine_look_up(machine_bytes table, machine_bytes index) {
#if defined(__SSSE3__)
    typedef char bytes __attribute__((vector_size(16)));
    return (machine_bytes)__builtin_ia32_pshufb128((bytes)table, (bytes)index);
#else
    machine_bytes found;
    for (int i = 0; i < 16; i++) found[i] = table[index[i] & 15];
    return found;
#endif
}

/// 32 numbers of sixteen bits as sixteen words of two, which is how Swift computes with them as vectors: a number's bits may
/// come into those above its neighbour's by a shift.
typedef unsigned char machine_bytes32 __attribute__((ext_vector_type(32)));
typedef unsigned short machine_halves32 __attribute__((ext_vector_type(32)));

MACHINE_INLINE machine_words machine_halves_of_bytes(machine_bytes32 x) {
    return (machine_words)__builtin_convertvector(x, machine_halves32);
}

/// The low four bits of bytes, and then the high ones.
MACHINE_INLINE machine_words machine_halves_of_nibbles(machine_bytes x) {
    return machine_halves_of_bytes(__builtin_shufflevector(
        x & 15, x >> 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
        28, 29, 30, 31));
}

/// Whether this program was compiled to multiply pairs of bfloat16, which the functions after this one are fast with.
MACHINE_INLINE int machine_multiplies_pairs(void) {
#if defined(__AVX512BF16__) && defined(__AVX512BW__)
    return 1;
#else
    return 0;
#endif
}

/// Numbers of a table by the five lowest bits of each index.
MACHINE_INLINE machine_words machine_look_up_32(machine_words table, machine_words index) {
#if defined(__AVX512BW__)
    typedef short numbers __attribute__((vector_size(64)));
    return (machine_words)__builtin_ia32_permvarhi512((numbers)table, (numbers)index);
#else
    machine_halves32 numbers = (machine_halves32)table, at = (machine_halves32)index, found;
    for (int i = 0; i < 32; i++) found[i] = numbers[at[i] & 31];
    return (machine_words)found;
#endif
}

/// Numbers of a table of two halves by the six lowest bits of each index.
MACHINE_INLINE machine_words machine_look_up_64(machine_words low, machine_words high, machine_words index) {
#if defined(__AVX512BW__)
    typedef short numbers __attribute__((vector_size(64)));
    return (machine_words)__builtin_ia32_vpermi2varhi512((numbers)low, (numbers)index, (numbers)high);
#else
    machine_halves32 upper = (machine_halves32)machine_look_up_32(high, index), at = (machine_halves32)index;
    machine_halves32 found = (machine_halves32)machine_look_up_32(low, index);
    for (int i = 0; i < 32; i++) found[i] = at[i] & 32 ? upper[i] : found[i];
    return (machine_words)found;
#endif
}

/// Adds to each sum the products of a pair of bfloat16 with another.
MACHINE_INLINE machine_floats machine_add_pairs(machine_floats sums, machine_words a, machine_words b) {
#if defined(__AVX512BF16__)
    typedef __bf16 pairs __attribute__((vector_size(64)));
    typedef float floats __attribute__((vector_size(64)));
    return (machine_floats)__builtin_ia32_dpbf16ps_512((floats)sums, (pairs)a, (pairs)b);
#else
    sums += (machine_floats)(a << 16) * (machine_floats)(b << 16);
    return sums + (machine_floats)(a & 0xFFFF0000) * (machine_floats)(b & 0xFFFF0000);
#endif
}

/// Sixteen rows of sixteen words, `stride` bytes apart, as sixteen columns, `target_stride` bytes apart.
MACHINE_INLINE void machine_transpose_words(const void *rows, size_t stride, void *target, size_t target_stride) {
    typedef unsigned words __attribute__((ext_vector_type(16), aligned(4)));
    machine_words a[16], b[16];
    for (size_t i = 0; i < 16; i++) a[i] = *(const words *)((const char *)rows + i * stride);
    // Words of two rows alternate, then pairs of words of four rows: of every fourth column in each quarter of a vector.
    for (int i = 0; i < 16; i += 2) {
        b[i] = __builtin_shufflevector(a[i], a[i + 1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
        b[i + 1] = __builtin_shufflevector(a[i], a[i + 1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
    }
    for (int i = 0; i < 16; i += 4) {
        for (int j = 0; j < 2; j++) {
            a[i + 2 * j] =
                __builtin_shufflevector(b[i + j], b[i + j + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
            a[i + 2 * j + 1] =
                __builtin_shufflevector(b[i + j], b[i + j + 2], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
        }
    }
    // Quarters: those of eight rows, and of all.
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 16; j += 8) {
            b[j + i] = __builtin_shufflevector(
                a[j + i], a[j + i + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
            b[j + i + 4] = __builtin_shufflevector(
                a[j + i], a[j + i + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
        }
    }
    for (int i = 0; i < 8; i++) {
        a[i] = __builtin_shufflevector(b[i], b[i + 8], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
        a[i + 8] = __builtin_shufflevector(b[i], b[i + 8], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    }
    for (size_t i = 0; i < 16; i++) *(words *)((char *)target + i * target_stride) = a[i];
}
