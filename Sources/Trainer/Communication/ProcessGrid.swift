import Shared

/// The world's ranks as data parallel x tensor parallel.
///
/// Ranks of a tensor-parallel group are neighbours: they talk most, and neighbours share a machine. They hold one
/// copy of the target between them, while every rank of the world holds the draft and trains it on sequences of its
/// own.
struct ProcessGrid {
    /// Every rank.
    let world: any Communicator
    /// The ranks that share one copy of the target with this one.
    let tensorParallel: any Communicator
    /// What this rank computes with: as precisely as all others.
    let compute: Compute

    /// - Throws: `OptionsError` if `tpSize` doesn't divide the number of ranks.
    init(world: any Communicator, tpSize: Int, _ compute: Compute) throws(OptionsError) {
        guard tpSize > 0, world.size.isMultiple(of: tpSize) else {
            throw .rule(
                "--tp-size \(tpSize) does not divide the world of \(world.size) rank\(world.size == 1 ? "" : "s"); "
                    + "start a multiple of \(tpSize) ranks, as mpirun -n \(tpSize)")
        }
        self.world = world
        self.compute = compute
        tensorParallel = world.split(color: world.rank / tpSize)
    }

    var tpSize: Int { tensorParallel.size }
    var dpSize: Int { world.size / tensorParallel.size }
}

/// The part of `count` heads, features or vocabulary entries that belongs to `rank` of `size`.
///
/// Parts follow each other and differ by one at most: what doesn't divide is split unevenly.
func shard(_ count: Int, rank: Int, of size: Int) -> Range<Int> {
    count * rank / size..<count * (rank + 1) / size
}
