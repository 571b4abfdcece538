import Testing

@testable import Trainer

struct WorkspaceTests {
    @Test func matricesStandBehindEachOtherAndScopesGiveTheirsBack() {
        let workspace = Workspace()
        let first = workspace.matrix(rows: 3, columns: 5)
        first.fill(1)
        workspace.scope { workspace.matrix(rows: 1000, columns: 1000).fill(2) }
        let second = workspace.matrix(rows: 2, columns: 7)
        second.fill(3)
        #expect(second.start == first.start + 16)
        #expect(first.elements.allSatisfy { $0 == 1 })
        #expect(workspace.highWater == 16 + 1_000_000)
    }

    @Test func whatWasNeededOnceServesAgain() {
        let workspace = Workspace()
        let rows = [700, 735, 720]
        let starts = rows.map { rows in
            workspace.scope {
                let matrix = workspace.matrix(rows: rows, columns: 32_000)
                matrix[rows: rows - 1..<rows].fill(1)
                return matrix.start
            }
        }
        #expect(Set(starts).count == 1)
        #expect(workspace.highWater == 735 * 32_000)
    }
}
