import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// Weights that stay packed: their products are those of the numbers that they stand for.
struct PackedWeightTests {
    private let workspace = Workspace()

    private func random(_ rows: Int, _ columns: Int, seed: UInt64, _ workspace: Workspace) -> Matrix {
        var numbers = RandomNumbers(seed: seed)
        let matrix = workspace.matrix(rows: rows, columns: columns)
        numbers.fill(matrix)
        return matrix
    }

    /// A weight of a GGUF file's blocks, its rows in some order, and their numbers.
    private func weight(
        _ quantization: BlockQuantization, _ rows: [Int], _ columns: Range<Int>, _ compute: Compute
    ) throws -> (memory: FrozenWeights, weight: FrozenWeight, numbers: [[Float]]) {
        let tensor = try #require(try GGUFFile(GGUFGoldenTests.path("blocks")).tensors[quantization.rawValue])
        let memory = FrozenWeights(compute)
        let format = try #require(tensor.format(columns: columns))
        let weight = memory.packed([(rows.count - 1, format), (1, format)], columns: columns.count)
        try weight.read(tensor, rows: rows[...], columns: columns)
        let all = try tensor.floats()
        let width = try #require(tensor.shape.last)
        return (memory, weight, rows.map { row in columns.map { all[row * width + $0] } })
    }

    /// Of one row, of few and of many; each row of a few is bit by bit what it is alone.
    @Test(arguments: BlockQuantization.allCases)
    func productsAreThoseOfTheNumbers(quantization: BlockQuantization) throws {
        try expectProducts(quantization, .float32)
    }

    @Test(.needsBFloat16, arguments: BlockQuantization.allCases)
    func productsInBFloat16AreThoseOfTheRoundedNumbers(quantization: BlockQuantization) throws {
        try expectProducts(quantization, .bfloat16)
    }

    private func expectProducts(_ quantization: BlockQuantization, _ precision: MatrixPrecision) throws {
        let compute = Compute(precision: precision, threads: 2)
        let workspace = Workspace(compute)
        let (memory, weight, numbers) = try weight(quantization, [1, 0, 1, 1, 0], 256..<512, compute)
        defer { withExtendedLifetime(memory) {} }
        for count in [1, 2, 7, 16, 17, 40] {
            let x = random(count, 256, seed: UInt64(count), workspace)
            let y = workspace.matrix(rows: count, columns: 5)
            let wanted = (0..<count).flatMap { row in
                numbers.map { w in Float((0..<256).reduce(0.0) { $0 + Double(x[row, $1]) * Double(w[$1]) }) }
            }
            let isRounded = precision == .bfloat16 && count > FewRows.most
            for factor: Float in [1, 2] {
                weight.apply(x, into: y, accumulate: factor > 1)
                expectClose(
                    y.elements, wanted.map { factor * $0 }, tolerance: isRounded ? 2e-2 : 1e-5, "\(count) rows")
            }
            guard count <= FewRows.most else { continue }
            weight.apply(x, into: y)
            for row in 0..<count {
                let alone = workspace.matrix(rows: 1, columns: 5)
                weight.apply(x[rows: row..<row + 1], into: alone)
                #expect(alone.elements == y[rows: row..<row + 1].elements)
            }
        }
        var row = [Float](repeating: 0, count: 256)
        weight[rows: 1..<5].copyRow(2, into: &row)
        #expect(row == numbers[3])
    }

    /// Of weights that fill blocks and of others, into an output of their own and between others.
    @Test(.needsBFloat16, arguments: [BlockQuantization.q4_0, .q4_K, .q8_0], [64, 200])
    func productsOfManyRowsAreThoseOfAnUnpackedWeight(quantization: BlockQuantization, rows: Int) throws {
        let plainMemory = FrozenWeights(Compute(precision: .bfloat16))
        let plain = plainMemory.weight(rows: rows, columns: 512, .bfloat16)
        for compute in [1, 3].map({ Compute(precision: .bfloat16, threads: $0) })
            + [1, 2, 5].map({ Compute(precision: .bfloat16, threads: $0, hasFixedCuts: true) })
        {
            let (memory, weight, numbers) = try weight(
                quantization, (0..<rows).map { $0 % 7 % 2 }, 0..<512, compute)
            guard case .packed(let packed) = weight else { preconditionFailure("a packed weight isn't packed") }
            try #require(compute.blockProducts?.support(packed) == true)
            for row in 0..<rows { for column in 0..<512 { plain.set(row, column, numbers[row][column]) } }
            let workspace = Workspace(compute)
            for count in [17, 40, 300] {
                let x = random(count, 512, seed: 3, workspace)
                let apart = workspace.zeros(rows: count, columns: rows + 64)
                let wanted = workspace.zeros(rows: count, columns: rows)
                for _ in 0..<2 {
                    weight.apply(x, into: apart[columns: 64..<64 + rows], accumulate: true)
                    plain.apply(x, into: wanted, accumulate: true)
                }
                let found = (0..<count).flatMap { row in (0..<rows).map { apart[row, 64 + $0] } }
                expectClose(found, wanted.elements, tolerance: 2e-5, "\(count) rows, \(compute.threads) threads")
            }
            withExtendedLifetime(memory) {}
        }
        withExtendedLifetime(plainMemory) {}
    }

    @Test(.needsBFloat16) func withFixedCutsThreadsMakeNoDifference() throws {
        let products = try [1, 2, 5].map { threads in
            let compute = Compute(precision: .bfloat16, threads: threads, hasFixedCuts: true)
            let (memory, weight, _) = try weight(.q4_K, (0..<200).map { $0 % 2 }, 0..<512, compute)
            defer { withExtendedLifetime(memory) {} }
            let workspace = Workspace(compute)
            let y = workspace.matrix(rows: 300, columns: 200)
            weight.apply(random(300, 512, seed: 3, workspace), into: y)
            return y.elements.map(\.bitPattern)
        }
        #expect(products[0] == products[1] && products[0] == products[2])
    }

    /// Rounded for a product they are what the unpacked weight holds.
    @Test(arguments: BlockQuantization.allCases) func aRoundedPanelIsTheRoundedWeight(
        quantization: BlockQuantization
    ) throws {
        let (memory, weight, numbers) = try weight(quantization, [0, 1], 0..<512, .test)
        defer { withExtendedLifetime(memory) {} }
        guard case .packed(let packed) = weight else { return }
        var bits = [UInt16](repeating: 0, count: 512)
        packed.eachRow(in: 1..<2) { $2.unpack($1, count: 512, into: &bits) }
        // Numbers that have leading zeros in float32 may be taken for 0.
        let wanted = numbers[1].map { abs($0) < .leastNormalMagnitude ? 0 : BFloat16.bits($0) }
        for i in bits.indices where abs(numbers[1][i]) < .leastNormalMagnitude { bits[i] = 0 }
        #expect(bits == wanted)
    }

    @Test func blocksAreNotCut() throws {
        let tensors = try GGUFFile(GGUFGoldenTests.path("blocks")).tensors
        let fine = try #require(tensors["Q4_0"])
        #expect(fine.format(columns: 32..<96) != nil)
        for columns in [16..<48, 32..<80] { #expect(fine.format(columns: columns) == nil) }
        #expect(try #require(tensors["Q4_K"]).format(columns: 0..<128) == nil)
    }
}

/// A target of packed weights, as llama.cpp's Q4_K_M has them: of several types in a layer.
struct PackedTargetTests {
    /// ggml's number of a type, and bytes of a row of random blocks whose scales are small.
    private static func blocks(
        _ type: UInt32, _ quantization: BlockQuantization, count: Int, scales: [Int], _ random: inout RandomNumbers
    ) -> (type: UInt32, bytes: [UInt8]) {
        var bytes: [UInt8] = []
        for _ in 0..<count / quantization.size {
            var block = (0..<quantization.byteCount).map { _ in UInt8(random.below(256)) }
            for offset in scales {
                let bits = Float16(0.001 * (1.5 + random.uniform())).bitPattern
                (block[offset], block[offset + 1]) = (UInt8(bits & 255), UInt8(bits >> 8))
            }
            bytes += block
        }
        return (type, bytes)
    }

    private static let (hidden, intermediate, vocabulary, layers) = (256, 768, 96, 2)

    /// Writes the model.
    ///
    /// - Parameter damage: Whether the first layer's `ffn_down` has a scale that is no number.
    static func write(_ path: String, damage: Bool = false) throws {
        var random = RandomNumbers(seed: 11)
        var tensors: [(name: String, shape: [Int])] = [
            ("token_embd.weight", [vocabulary, hidden]), ("output_norm.weight", [hidden]),
            ("output.weight", [vocabulary, hidden]),
        ]
        for layer in 0..<layers {
            tensors += [
                ("attn_norm", [hidden]), ("attn_q", [hidden, hidden]), ("attn_k", [128, hidden]),
                ("attn_v", [128, hidden]), ("attn_output", [hidden, hidden]), ("ffn_norm", [hidden]),
                ("ffn_gate", [intermediate, hidden]), ("ffn_up", [intermediate, hidden]),
                ("ffn_down", [hidden, intermediate]),
            ].map { ("blk.\(layer).\($0).weight", $1) }
        }
        var packed: [String: (type: UInt32, bytes: [UInt8])] = [:]
        for (name, shape) in tensors where shape.count == 2 {
            let count = shape[0] * shape[1]
            packed[name] =
                if name.contains("attn_v") || name.contains("ffn_down") || name == "output.weight" {
                    blocks(14, .q6_K, count: count, scales: [208], &random)
                } else if name.contains("attn_output") {
                    blocks(2, .q4_0, count: count, scales: [0], &random)
                } else {
                    blocks(12, .q4_K, count: count, scales: [0, 2], &random)
                }
        }
        if damage {
            packed["blk.0.ffn_down.weight"]?.bytes[210 * 5 + 209] = 0x7C
        }
        let keys: [(String, GGUFValue)] = [
            ("embedding_length", .int(hidden)), ("block_count", .int(layers)), ("attention.head_count", .int(4)),
            ("attention.head_count_kv", .int(2)), ("feed_forward_length", .int(intermediate)),
            ("context_length", .int(512)), ("attention.layer_norm_rms_epsilon", .double(1e-5)),
            ("rope.freq_base", .double(10000)), ("vocab_size", .int(vocabulary)),
        ].map { ("llama.\($0)", $1) }
        try GGUFWriter.write(
            path, [("general.architecture", .string("llama"))] + keys, tensors: tensors, packed: packed
        ) {
            name in
            let count = tensors.first { $0.name == name }?.shape.reduce(1, *) ?? 0
            return (0..<count).map { _ in 1 + 0.1 * random.uniform() }
        }
    }

    /// Columns of `attn_output` and `ffn_down` are cut by three ranks within their blocks, and by two of the first alone
    /// in Q4_K's sizes.
    @Test(arguments: [1, 2, 3]) func aPackedTargetComputesWhatTheUnpackedOneDoes(tpSize: Int) throws {
        try expectUnpackedNumbers(tpSize, .float32)
    }

    @Test(.needsBFloat16, arguments: [1, 2, 3]) func inBFloat16Too(tpSize: Int) throws {
        try expectUnpackedNumbers(tpSize, .bfloat16)
    }

    private func expectUnpackedNumbers(_ tpSize: Int, _ precision: MatrixPrecision) throws {
        try withTemporaryDirectory { directory in
            let path = "\(directory)/model.gguf"
            try Self.write(path)
            for count in [3, 40] {
                let ids = (0..<count).map { Int32($0 * 37 % Self.vocabulary) }
                let results = try ThreadCommunicator.run(tpSize) { communicator in
                    try [false, true].map { unpacks in
                        let target = try TargetModelRegistry.load(
                            path, communicator: communicator, positions: count, Compute(precision: precision),
                            unpacks: unpacks)
                        return (target.memory.byteCount, target.logits(of: ids))
                    }
                }
                for result in results {
                    #expect(Double(result[0].0) < 0.7 * Double(result[1].0))
                    expectClose(
                        result[0].1, result[1].1, tolerance: precision == .float32 ? 2e-5 : 6e-2, "\(count) rows")
                }
            }
        }
    }

    @Test func aDamagedScaleIsRefusedByItsTensor() throws {
        try withTemporaryDirectory { directory in
            let path = "\(directory)/model.gguf"
            try Self.write(path, damage: true)
            let error = #expect(throws: WeightsError.self) {
                try TargetModelRegistry.load(path, communicator: AbsentRanks(), positions: 8)
            }
            let text = "\(try #require(error))"
            #expect(text.contains("model.gguf: tensor 'blk.0.ffn_down.weight' has a scale in row 1"), "\(text)")
        }
    }

    /// What is planned is what is taken.
    @Test func aLaidOutTargetHasThePackedSize() throws {
        try withTemporaryDirectory { directory in
            let path = "\(directory)/model.gguf"
            try Self.write(path)
            let planned = try TargetModelRegistry.layOut(path, communicator: AbsentRanks(), positions: 8)
            let loaded = try TargetModelRegistry.load(path, communicator: AbsentRanks(), positions: 8)
            #expect(planned.memory.byteCount == loaded.memory.byteCount)
        }
    }
}
