import Shared

/// Rates as `Trainer measure --json` prints them: under `rates`, beside what else it measured.
extension MachineRates {
    /// The version of what is printed.
    static let format = 1

    var json: JSONText {
        .object(
            [
                ("format", .int(Self.format)), ("threads", .int(threads)), ("ranks", .int(ranks)),
                (
                    "products",
                    .array(
                        products.map { product in
                            .object([
                                ("shape", .string(product.shape.rawValue)),
                                ("rows", .int(product.shape.size.rows)), ("inputs", .int(product.shape.size.inputs)),
                                ("outputs", .int(product.shape.size.outputs)),
                                ("dtype", .string(product.precision.rawValue)),
                                ("operations_per_second", .number(product.rate)),
                            ])
                        })
                ),
                (
                    "attention_operations_per_second",
                    .object(
                        MatrixPrecision.allCases.compactMap { precision in
                            attention[precision].map { (precision.rawValue, .number($0)) }
                        })
                ),
                ("memory_bytes_per_second", .number(memory)),
            ] + (exchange.map { [("all_reduce_bytes_per_second", .number($0))] } ?? []))
    }

    /// Reads the rates of a file that `Trainer measure --json` wrote.
    ///
    /// - Throws: `JSONError` that names the key that is missing or isn't a rate.
    init(_ path: String) throws {
        let rates = try JSONFile(path).root.required("rates")
        let format = try rates.int("format")
        guard format == Self.format else {
            throw try rates.required("format").error("is \(format), this version reads rates of \(Self.format)")
        }
        func positive(_ node: JSONNode) throws(JSONError) -> Double {
            let rate = try node.asDouble()
            guard rate > 0, rate.isFinite else { throw node.error("is \(rate), should be above 0") }
            return rate
        }
        func count(_ key: String) throws(JSONError) -> Int {
            let count = try rates.int(key)
            guard count > 0 else { throw try rates.required(key).error("is \(count), should be above 0") }
            return count
        }
        (threads, ranks) = (try count("threads"), try count("ranks"))
        products = try rates.required("products").elements.map { product in
            let (shape, precision) = (try product.required("shape"), try product.required("dtype"))
            guard let known = Shape(rawValue: try shape.asString()) else {
                let all = Shape.allCases.map(\.rawValue).joined(separator: ", ")
                throw shape.error("is '\(try shape.asString())', should be one of \(all)")
            }
            guard let type = MatrixPrecision(rawValue: try precision.asString()) else {
                throw precision.error("is '\(try precision.asString())', should be float32 or bfloat16")
            }
            return Product(
                shape: known, precision: type, rate: try positive(product.required("operations_per_second")))
        }
        attention = [:]
        for (name, rate) in try rates.required("attention_operations_per_second").members {
            guard let precision = MatrixPrecision(rawValue: name) else {
                throw rate.error("has the name '\(name)', should be float32 or bfloat16")
            }
            attention[precision] = try positive(rate)
        }
        memory = try positive(rates.required("memory_bytes_per_second"))
        exchange = try rates["all_reduce_bytes_per_second"].map { node throws(JSONError) in try positive(node) }
    }
}
