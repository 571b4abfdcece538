import Shared

/// The tree of tokens that EAGLE-2 has a target verify at once (Li and others 2024): each step goes on from the likeliest
/// paths of the step before, and in the end the likeliest of all that were drafted are kept.
struct DraftTree {
    /// Its size, as `--draft-tree` and SGLang's options say it.
    struct Shape: Equatable, Sendable {
        /// Paths that go on in each step, and tokens that are drafted after each (`--speculative-eagle-topk`).
        var branches: Int
        /// Tokens of the longest path (`--speculative-num-steps`).
        var steps: Int
        /// Tokens that are verified at once, the target's own newest one included (`--speculative-num-draft-tokens`).
        var tokens: Int
    }

    private let paths: Set<[Int32]>

    /// Drafted tokens.
    var count: Int { paths.count }

    /// Whether tokens are a path from the root.
    func contains(_ path: [Int32]) -> Bool { paths.contains(path) }

    private struct Path {
        let tokens: [Int32]
        let logProbability: Float

        func extended(by token: DraftedToken) -> Path {
            Path(tokens: tokens + [token.id], logProbability: logProbability + token.logProbability)
        }

        /// The likelier first; a path before those that go on from it.
        static func isBefore(_ one: Path, _ other: Path) -> Bool {
            one.logProbability != other.logProbability
                ? one.logProbability > other.logProbability : one.tokens.count < other.tokens.count
        }
    }

    /// - Parameter continuations: The likeliest tokens after a path, as `TreeDrafting` has them.
    init(_ shape: Shape, continuations: ([Int32], Int) -> [DraftedToken]) {
        var (newest, all) = ([Path(tokens: [], logProbability: 0)], [Path]())
        for _ in 0..<shape.steps {
            let next = newest.flatMap { path in
                continuations(path.tokens, shape.branches).map(path.extended)
            }
            all += next
            newest = Array(next.sorted(by: Path.isBefore).prefix(shape.branches))
        }
        paths = Set(all.sorted(by: Path.isBefore).prefix(shape.tokens - 1).map(\.tokens))
    }
}

extension DraftTree.Shape: OptionValue {
    static let ranges = (branches: 1...64, steps: 1...16, tokens: 2...1024)

    init?(argument: String) {
        let numbers = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
        guard numbers.count == 3, let branches = numbers[0], let steps = numbers[1], let tokens = numbers[2],
            Self.ranges.branches ~= branches, Self.ranges.steps ~= steps, Self.ranges.tokens ~= tokens
        else { return nil }
        self.init(branches: branches, steps: steps, tokens: tokens)
    }

    static var expected: String { "TOPK,STEPS,TOKENS" }
    var shown: String { "\(branches),\(steps),\(tokens)" }
}
