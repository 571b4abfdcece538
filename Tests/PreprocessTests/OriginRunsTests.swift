import TestSupport
import Testing

@testable import Preprocess

/// Origins in runs are those that a list of them would be.
struct OriginRunsTests {
    /// A text with its origins, and the same as a list.
    private final class Pair {
        let text = AlignedText()
        var list: [Range<Int32>] = []

        func append(_ source: AlignedView, _ origins: [Range<Int32>], _ range: Range<Int>) {
            text.append(source, range)
            list += origins[range]
        }

        func append(_ count: Int, _ origin: Range<Int32>) {
            text.append(Array(repeating: 0x78, count: count), origin: origin)
            list += Array(repeating: origin, count: count)
        }
    }

    private func rewrite(
        _ source: AlignedView, _ origins: [Range<Int32>], _ generator: inout SplitMix64
    ) -> Pair {
        let pair = Pair()
        var position = 0
        while position < source.range.count {
            let end = min(source.range.count, position + Int.random(in: 1...6, using: &generator))
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: pair.append(Int.random(in: 1...4, using: &generator), source.origin(position..<end))
            case 1: break
            default: pair.append(source, origins, position..<end)
            }
            position = end
        }
        return pair
    }

    @Test func everyByteComesFromWhereAListSays() throws {
        try Fuzzing("OriginRuns", iterations: 300).run { generator in
            let bytes = [UInt8](repeating: 0x61, count: Int.random(in: 1...200, using: &generator))
            bytes.withUnsafeBufferPointer { bytes in
                guard let start = bytes.baseAddress else { return }
                let plain = AlignedView(start: start, range: 0..<bytes.count, origins: nil)
                let own = bytes.indices.map { Int32($0)..<Int32($0 + 1) }
                let once = rewrite(plain, own, &generator)
                let twice = rewrite(once.text.view, once.list, &generator)
                for pair in [once, twice] {
                    let view = pair.text.view
                    #expect(view.range.count == pair.list.count)
                    #expect(pair.list.indices.map { view.origin($0) } == pair.list)
                    for _ in 0..<50 where !pair.list.isEmpty {
                        let i = Int.random(in: pair.list.indices, using: &generator)
                        #expect(view.origin(i) == pair.list[i])
                    }
                }
                // What was emptied begins again.
                once.text.removeAll()
                once.text.append([0x61], origin: 3..<5)
                #expect(once.text.view.origin(0) == 3..<5)
            }
        }
    }
}
