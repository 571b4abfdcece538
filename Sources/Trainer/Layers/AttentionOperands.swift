/// Keys and values of attention, in float32 as they are or rounded to bfloat16 once for all blocks that read them.
struct AttentionOperands {
    let keys: Operand
    let values: Operand

    init(_ keyValue: Attention.KeyValue, _ precision: MatrixPrecision, in workspace: Workspace) {
        keys = Operand(keyValue.keys, precision, in: workspace)
        values = Operand(keyValue.values, precision, in: workspace)
    }

    /// Of some rows and one head.
    subscript(rows: Range<Int>, columns: Range<Int>) -> (keys: Operand, values: Operand) {
        (keys[rows: rows][columns: columns], values[rows: rows][columns: columns])
    }
}
