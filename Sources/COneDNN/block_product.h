#pragma once
#include <dnnl.h>
#include <stdint.h>
#include <string.h>

// Products with weights that are held in memory as oneDNN's kernels read them, which its matrix product without a
// primitive arranges each time. oneDNN 2 and 3 name the same things in two ways.

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t onednn_described;
#define ONEDNN_DESCRIBED(description) (description)
#define onednn_describe dnnl_memory_desc_create_with_tag
#define onednn_append_sum(operations) dnnl_post_ops_append_sum(operations, 1, 0, dnnl_data_type_undef)
#else
typedef const dnnl_memory_desc_t *onednn_described;
#define ONEDNN_DESCRIBED(description) (&(description))
#define onednn_describe dnnl_memory_desc_init_by_tag
#define onednn_append_sum(operations) dnnl_post_ops_append_sum(operations, 1)
#endif

/// y = x W, or y += x W, for `rows` rows of x.
typedef struct {
    dnnl_engine_t engine;
    dnnl_primitive_t primitive;
    dnnl_memory_desc_t x, w, y, scratchpad;
    /// Whether its kernel multiplies by AMX.
    int has_amx;
} onednn_block_product;

/// What one thread runs a product with.
typedef struct {
    dnnl_stream_t stream;
    dnnl_memory_t x, w, y, scratchpad;
} onednn_block_call;

/// Makes a product; it is never freed.
///
/// x: [rows, depth] of bfloat16; W: [depth, columns] of bfloat16 in blocks of 32 x 64 (dnnl_BA16a64b2a), filled up with
/// zeros; y: [rows, columns] of float32; no elements between rows of x and y.
/// Returns dnnl_unimplemented if oneDNN has no kernel that takes W as it is.
static inline dnnl_status_t onednn_block_product_make(
    dnnl_engine_t engine, dnnl_dim_t rows, dnnl_dim_t depth, dnnl_dim_t columns, int accumulates,
    onednn_block_product *product) {
    dnnl_dims_t size_x = {rows, depth}, size_w = {depth, columns}, size_y = {rows, columns};
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_post_ops_t operations = NULL;
    dnnl_primitive_desc_t description = NULL;
    const char *name = "";
    product->engine = engine;
    dnnl_status_t status = onednn_describe(&product->x, 2, size_x, dnnl_bf16, dnnl_ab);
    if (status == dnnl_success) status = onednn_describe(&product->w, 2, size_w, dnnl_bf16, dnnl_BA16a64b2a);
    if (status == dnnl_success) status = onednn_describe(&product->y, 2, size_y, dnnl_f32, dnnl_ab);
    if (status == dnnl_success) status = dnnl_primitive_attr_create(&attributes);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
    if (status == dnnl_success && accumulates) {
        status = dnnl_post_ops_create(&operations);
        if (status == dnnl_success) status = onednn_append_sum(operations);
        if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(attributes, operations);
    }
    if (status == dnnl_success) {
#if DNNL_VERSION_MAJOR >= 3
        status = dnnl_matmul_primitive_desc_create(
            &description, engine, product->x, product->w, NULL, product->y, attributes);
#else
        dnnl_matmul_desc_t matmul;
        status = dnnl_matmul_desc_init(&matmul, &product->x, &product->w, NULL, &product->y);
        if (status == dnnl_success)
            status = dnnl_primitive_desc_create(&description, &matmul, attributes, engine, NULL);
#endif
    }
    if (status == dnnl_success) status = dnnl_primitive_desc_query(description, dnnl_query_impl_info_str, 0, &name);
    // Others than its block kernels copy W first.
    if (status == dnnl_success && strncmp(name, "brg", 3) != 0) status = dnnl_unimplemented;
    product->has_amx = strstr(name, "amx") != NULL;
    if (status == dnnl_success) {
        onednn_described scratchpad = dnnl_primitive_desc_query_md(description, dnnl_query_scratchpad_md, 0);
#if DNNL_VERSION_MAJOR >= 3
        status = dnnl_memory_desc_clone(&product->scratchpad, scratchpad);
#else
        product->scratchpad = *scratchpad;
#endif
    }
    if (status == dnnl_success) status = dnnl_primitive_create(&product->primitive, description);
    if (description) dnnl_primitive_desc_destroy(description);
    if (operations) dnnl_post_ops_destroy(operations);
    if (attributes) dnnl_primitive_attr_destroy(attributes);
    return status;
}

/// Makes what one thread runs a product with; it is never freed.
static inline dnnl_status_t onednn_block_call_make(const onednn_block_product *product, onednn_block_call *call) {
    dnnl_engine_t engine = product->engine;
    dnnl_status_t status = dnnl_stream_create(&call->stream, engine, dnnl_stream_default_flags);
    if (status == dnnl_success)
        status = dnnl_memory_create(&call->x, ONEDNN_DESCRIBED(product->x), engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success)
        status = dnnl_memory_create(&call->w, ONEDNN_DESCRIBED(product->w), engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success)
        status = dnnl_memory_create(&call->y, ONEDNN_DESCRIBED(product->y), engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success)
        status = dnnl_memory_create(&call->scratchpad, ONEDNN_DESCRIBED(product->scratchpad), engine, DNNL_MEMORY_ALLOCATE);
    return status;
}

/// Runs a product on the calling thread.
static inline dnnl_status_t onednn_block_product_run(
    const onednn_block_product *product, const onednn_block_call *call, const uint16_t *x, const uint16_t *w, float *y) {
    dnnl_status_t status = dnnl_memory_set_data_handle(call->x, (void *)x);
    if (status == dnnl_success) status = dnnl_memory_set_data_handle(call->w, (void *)w);
    if (status == dnnl_success) status = dnnl_memory_set_data_handle(call->y, y);
    if (status != dnnl_success) return status;
    dnnl_exec_arg_t arguments[] = {
        {DNNL_ARG_SRC, call->x},
        {DNNL_ARG_WEIGHTS, call->w},
        {DNNL_ARG_DST, call->y},
        {DNNL_ARG_SCRATCHPAD, call->scratchpad},
    };
    return dnnl_primitive_execute(product->primitive, call->stream, 4, arguments);
}
