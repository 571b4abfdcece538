import Testing

@testable import Shared

/// How far long work is: on a terminal and in a log.
struct ProgressTests {
    @Test func saysRateAndTimeLeft() {
        let progress = Progress("reading", total: 200, unit: "MB")
        #expect(
            progress.line(done: 50, elapsed: 10, note: "")
                == "reading [######------------------] 25% 5 MB/s, 30 s left")
        #expect(
            progress.line(done: 50, elapsed: 10, note: "3 rejected", hasBar: false)
                == "reading 25% 5 MB/s, 30 s left | 3 rejected")
        #expect(progress.line(done: 0, elapsed: 0, note: "", hasBar: false) == "reading 0% 0 MB/s")
    }

    /// What was done before a run that resumes isn't this run's rate.
    @Test func theRateIsOfThisRunAlone() {
        let progress = Progress("answering", total: 1000, unit: "records", from: 900)
        #expect(
            progress.line(done: 950, elapsed: 10, note: "", hasBar: false)
                == "answering 95% 5 records/s, 10 s left")
    }

    @Test func workOfUnknownSizeHasARateAlone() {
        #expect(
            Progress("reading", total: 0, unit: "MB").line(done: 50, elapsed: 10, note: "") == "reading 5 MB/s")
    }
}
