import COneDNN

/// Products by oneDNN on the calling thread: `Parallel` has cut the work already, so OpenMP, which oneDNN runs on, gets
/// one thread each time.
extension BLAS {
    /// Which kernels the libraries took for this CPU: on another one sums may be added up in another order.
    static var kernels: String {
        let isa = dnnl_cpu_isa2str(dnnl_get_effective_cpu_isa()).map { String(cString: $0) } ?? "unknown"
        return "OpenBLAS \(coreName), oneDNN \(DNNL_VERSION_MAJOR).\(DNNL_VERSION_MINOR) \(isa)"
    }

    /// c = scale op(a) op(b), or c += scale op(a) op(b), in float32.
    static func oneDNNProduct(
        _ a: Matrix, _ isATransposed: Bool, _ b: Matrix, _ isBTransposed: Bool, _ c: Matrix, scale: Float,
        accumulate: Bool
    ) {
        omp_set_num_threads(1)
        let status = dnnl_sgemm(
            letter(isATransposed), letter(isBTransposed), dnnl_dim_t(c.rows), dnnl_dim_t(c.columns),
            dnnl_dim_t(isATransposed ? a.rows : a.columns), scale, a.start, dnnl_dim_t(a.stride), b.start,
            dnnl_dim_t(b.stride), accumulate ? 1 : 0, c.start, dnnl_dim_t(c.stride))
        precondition(status == dnnl_success, "oneDNN refused a product of well-shaped operands")
    }

    /// c = scale op(a) op(b), or c += scale op(a) op(b), of bfloat16 in float32.
    static func product(
        _ a: BFloat16Matrix, transposed isATransposed: Bool, _ b: BFloat16Matrix, transposed isBTransposed: Bool,
        into c: Matrix, scale: Float = 1, accumulate: Bool
    ) {
        omp_set_num_threads(1)
        let status = dnnl_gemm_bf16bf16f32(
            letter(isATransposed), letter(isBTransposed), dnnl_dim_t(c.rows), dnnl_dim_t(c.columns),
            dnnl_dim_t(isATransposed ? a.rows : a.columns), scale, a.start, dnnl_dim_t(a.stride), b.start,
            dnnl_dim_t(b.stride), accumulate ? 1 : 0, c.start, dnnl_dim_t(c.stride))
        precondition(status == dnnl_success, "oneDNN refused a product of well-shaped operands")
    }

    private static func letter(_ isTransposed: Bool) -> CChar { CChar(UInt8(ascii: isTransposed ? "T" : "N")) }
}
