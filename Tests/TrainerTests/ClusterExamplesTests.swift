import Foundation
import TestSupport
import Testing

@testable import Trainer

/// What users copy for their clusters is well-formed, and its options are `train`'s.
struct ClusterExamplesTests {
    private static let folder = Fixtures.folder.deletingLastPathComponent().appending(path: "Examples/Cluster")

    private static func text(_ file: String) throws -> String {
        try String(contentsOf: folder.appending(path: file), encoding: .utf8)
    }

    /// How a program ends that is given a file.
    private static func status(_ words: String..., file: String) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = words + [folder.appending(path: file).path]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }

    private static let parsesYAML = (try? status("python3", "-c", "import yaml", file: "train.yaml")) == 0

    @Test func slurmsScriptIsAShellScript() throws {
        #expect(try Self.status("bash", "-n", file: "train.slurm") == 0)
        // Without arguments it says how it is used.
        #expect(try Self.status("bash", file: "train.slurm") == 64)
    }

    @Test(.enabled(if: parsesYAML)) func theMPIJobIsYAML() throws {
        let check = """
            import sys, yaml
            job = yaml.safe_load(open(sys.argv[1]))
            replicas = job["spec"]["mpiReplicaSpecs"]
            words = replicas["Launcher"]["template"]["spec"]["containers"][0]["command"]
            ranks = int(words[words.index("-n") + 1])
            threads = int(words[words.index("--map-by") + 1].removeprefix("numa:PE="))
            worker = replicas["Worker"]["template"]["spec"]["containers"][0]
            assert ranks == job["spec"]["slotsPerWorker"] * replicas["Worker"]["replicas"]
            for kind in ("requests", "limits"):
                assert int(worker["resources"][kind]["cpu"]) == job["spec"]["slotsPerWorker"] * threads
            assert all(isinstance(word, str) for word in words)
            """
        #expect(try Self.status("python3", "-c", check, file: "train.yaml") == 0)
    }

    @Test func optionsAreThoseOfTrain() throws {
        let slurm = try Self.text("train.slurm").replacing("\\\n", with: " ").components(separatedBy: "Trainer train ")
        let yaml = try Self.text("train.yaml").components(separatedBy: "- train\n")
        #expect(slurm.count == 2 && yaml.count == 2)
        let words = try [
            #require(slurm.last?.split(separator: "\n").first).split(separator: " ").filter { $0 != "\"$@\"" }.map(
                String.init),
            #require(yaml.last).split(separator: "\n").prefix { $0.contains("- --") }.map {
                $0.trimmingCharacters(in: .whitespaces.union(["-"])).replacing("'", with: "")
            }.map { "--\($0)" },
        ]
        for words in words {
            let options = try TrainOptions.parse(words)
            #expect(options.output.resume && words.count > 5)
        }
    }
}
