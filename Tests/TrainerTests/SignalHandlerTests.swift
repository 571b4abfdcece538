@preconcurrency import Glibc
import Shared
import Synchronization
import Testing

@testable import Trainer

struct SignalHandlerTests {
    private static let signals = Atomic<Int>(0)
    private static let mistakes = Atomic<Int>(0)
    private static let isDone = Atomic<Bool>(false)

    /// A signal in the midst of a product changes nothing: handlers stay off the stack that oneDNN's kernels write to.
    @Test func productsOutliveSignals() {
        var thread = pthread_t()
        pthread_create(&thread, nil, { _ in SignalHandlerTests.multiplyUnderSignals() }, nil)
        while !Self.isDone.load(ordering: .acquiring) {
            pthread_kill(thread, SIGUSR2)
            usleep(50)
        }
        pthread_join(thread, nil)
        #expect(Self.mistakes.load(ordering: .relaxed) == 0)
    }

    private static func multiplyUnderSignals() -> UnsafeMutableRawPointer? {
        SignalHandler.install([SIGUSR2]) { _ in SignalHandlerTests.signals.add(1, ordering: .relaxed) }
        let workspace = Workspace(Compute(library: .onednn))
        var random = RandomNumbers(seed: 7)
        var round = 0
        while round < 20_000 || signals.load(ordering: .relaxed) < 1_000 {
            round += 1
            workspace.scope {
                let (m, n, k) = (1 + round % 24, 1 + round % 140, 1 + round % 139)
                let a = workspace.matrix(rows: m, columns: k)
                let b = workspace.matrix(rows: n, columns: k)
                random.fill(a)
                random.fill(b)
                let results = (0..<2).map { _ in
                    let c = workspace.matrix(rows: m, columns: n)
                    multiply(a, transposed: false, b, transposed: true, into: c, accumulate: false)
                    return c.elements
                }
                if results[0] != results[1] { mistakes.add(1, ordering: .relaxed) }
            }
        }
        isDone.store(true, ordering: .releasing)
        return nil
    }
}
