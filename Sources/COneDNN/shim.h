#pragma once
#include <dnnl.h>
#include <dnnl_debug.h>

/// c = alpha op(a) op(b) + beta c; row-major, a and b of bfloat16, c of float32, sums in float32.
///
/// libdnnl exports it beside dnnl_sgemm, whose arguments it has, and its header leaves it out.
dnnl_status_t dnnl_gemm_bf16bf16f32(
    char transpose_a, char transpose_b, dnnl_dim_t m, dnnl_dim_t n, dnnl_dim_t k, float alpha, const uint16_t *a,
    dnnl_dim_t stride_a, const uint16_t *b, dnnl_dim_t stride_b, float beta, float *c, dnnl_dim_t stride_c);

/// How many threads OpenMP, which oneDNN runs on, takes when the calling thread asks it for work.
void omp_set_num_threads(int count);
