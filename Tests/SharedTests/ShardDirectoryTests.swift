import Foundation
import TestSupport
import Testing

@testable import Shared

struct ShardDirectoryTests {
    @Test func aDirectoryStandsForItsShardsInOrder() throws {
        let scratch = try ScratchDirectory()
        let shards = ["a.jsonl", "b.json.gz", "c-10.jsonl.zst", "c-9.ndjson", "d.JSON"]
        for name in shards + ["README.md", "data.parquet", ".hidden.jsonl", "a.jsonl.tmp"] {
            _ = try scratch.write(name, "{}")
        }
        try makeDirectory(scratch.file("sub.jsonl"))
        _ = try scratch.write("sub.jsonl/e.jsonl", "{}")
        let folder = scratch.file("")
        let parent = folder.hasSuffix("/") ? folder : "\(folder)/"
        #expect(StoreLocation.expand([folder]) == shards.map { parent + $0 })
        #expect(StoreLocation.expand([folder]) == StoreLocation.expand([parent]))
        #expect(
            try ShardDirectory.contents(of: folder).others == ["README.md", "a.jsonl.tmp", "data.parquet", "sub.jsonl"])
        #expect(try StoreLocation.files([folder]).count == shards.count)
        // The store's name is that of its files, given one by one or as a directory.
        #expect(StoreLocation.key([folder]) == StoreLocation.key(shards.map { parent + $0 }))
    }

    @Test func aDirectoryWithoutShardsIsRefusedWithWhatIsInIt() throws {
        let scratch = try ScratchDirectory()
        #expect { try StoreLocation.files([scratch.file("")]) } throws: { "\($0)".contains("it is empty") }
        _ = try scratch.write("train.parquet", "PAR1")
        #expect { try StoreLocation.files([scratch.file("")]) } throws: { "\($0)".contains("in it are train.parquet") }
        try makeDirectory(scratch.file("data"))
        #expect { try StoreLocation.files([scratch.file("")]) } throws: {
            "\($0)".hasSuffix("in it are data, train.parquet; directories within it aren't entered")
        }
        // As huggingface_hub's cache has datasets.
        try makeDirectory(scratch.file("snapshots/abc"))
        #expect { try StoreLocation.files([scratch.file("")]) } throws: { "\($0)".hasSuffix("/snapshots/abc") }
    }
}
