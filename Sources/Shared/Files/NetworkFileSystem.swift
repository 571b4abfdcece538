import CMachine

/// The kind of file system that shares a directory with other hosts, by name; nil if it is of none that we know.
///
/// What one host maps and locks there, another may change.
public func networkFileSystem(at path: String) throws(FileError) -> String? {
    let type = machine_file_system(path)
    guard type >= 0 else { throw FileError(path, "look at its file system") }
    return networkFileSystems[type]
}

/// By the numbers of `statfs(2)` and of Linux's `magic.h`.
let networkFileSystems: [Int: String] = [
    0x0000_6969: "NFS", 0x0000_517B: "SMB", 0xFE53_4D42: "SMB", 0xFF53_4D42: "SMB", 0x0BD0_0BD0: "Lustre",
    0x4750_4653: "GPFS", 0x00C3_6400: "CephFS", 0x1983_0326: "BeeGFS", 0x5346_414F: "AFS", 0x6B41_4653: "AFS",
]
