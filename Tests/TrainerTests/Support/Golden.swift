import Foundation
import Shared
import Testing
import TestSupport

@testable import Trainer

/// A tensor of reference numbers.
struct GoldenTensor {
    let shape: [Int]
    let values: [Float]
}

enum Golden {
    static func file(_ path: String) throws -> SafetensorsFile {
        try SafetensorsFile(Fixtures.goldens.appending(path: path).path)
    }

    /// The cases in a folder: `EYRIE_GOLDENS` may bring more than the fixtures.
    static func cases(_ folder: String, where isWanted: (String) -> Bool) -> [String] {
        let path = Fixtures.goldens.appending(path: folder).path
        return ((try? listDirectory(path)) ?? []).filter(isWanted)
    }
}

extension SafetensorsFile {
    func golden(_ name: String) throws -> GoldenTensor {
        let tensor = try tensor(name)
        return GoldenTensor(shape: tensor.shape, values: try tensor.floats())
    }
}

extension Workspace {
    func matrix(_ tensor: GoldenTensor) -> Matrix {
        let columns = tensor.shape.last ?? 1
        let matrix = matrix(rows: tensor.values.count / max(1, columns), columns: columns)
        for (i, value) in tensor.values.enumerated() { matrix.start[i] = value }
        return matrix
    }
}

/// Checks that all numbers are within `tolerance` of the expected ones, relative to the largest of those.
func expectClose(
    _ found: [Float], _ expected: [Float], tolerance: Float, _ name: String,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(found.count == expected.count, "\(name)", sourceLocation: sourceLocation)
    let scale = expected.reduce(Float(1e-12)) { max($0, abs($1)) }
    let worst = zip(found, expected).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
    #expect(worst <= tolerance * scale, "\(name): off by \(worst) of \(scale)", sourceLocation: sourceLocation)
}
