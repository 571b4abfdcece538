import Foundation
import Shared
import Synchronization
import TestSupport
import Testing

struct HTTPClientTests {
    private static let limits = HTTPClient.Limits(connecting: 5, answering: 30)

    @Test func whatIsPostedArrivesAndWhatIsAnsweredComesBack() throws {
        let server = try LocalServer { request in
            let sent = JSONText.object([
                ("method", .string(request.method)), ("path", .string(request.path)), ("body", .string(request.body)),
                ("type", .string(request.headers["content-type"] ?? "")),
                ("authorization", .string(request.headers["authorization"] ?? "none")),
            ])
            return .json(sent.compact)
        }
        defer { server.close() }
        for (url, token) in [(server.url, nil), (server.url + "//", "key")] {
            let client = try HTTPClient(url, token: token, limits: Self.limits)
            let body = JSONText.object([("text", .string("\"ä\u{0}\n☃")), ("n", .int(3))])
            let posted = try client.post("/v1/completions", body).json()
            #expect(try posted.root.string("method") == "POST")
            #expect(try posted.root.string("path") == "/v1/completions")
            #expect(try posted.root.string("body") == body.compact)
            #expect(try posted.root.string("type") == "application/json")
            #expect(try posted.root.string("authorization") == (token.map { "Bearer \($0)" } ?? "none"))
            let got = try client.get("/health?x=1").json()
            #expect(try got.root.string("method") == "GET")
            #expect(try got.root.string("path") == "/health?x=1")
            #expect(try got.root.string("body") == "")
        }
    }

    @Test func aClientKeepsItsConnection() throws {
        let server = try LocalServer { _ in .json("{}") }
        defer { server.close() }
        let client = try HTTPClient(server.url, limits: Self.limits)
        for _ in 0..<5 { _ = try client.get("/") }
        #expect(server.connections == 1)
    }

    // Bodies larger than curl's 1 MiB threshold for `Expect: 100-continue`, and answers in many pieces.
    @Test func largeBodiesGoBothWays() throws {
        let server = try LocalServer { .json("\"\($0.body.utf8.count)\"" + String(repeating: " ", count: 3 << 20)) }
        defer { server.close() }
        let text = String(repeating: "x", count: 5 << 20)
        let answer = try HTTPClient(server.url, limits: Self.limits).post("/", .string(text))
        #expect(try answer.json().root.asString() == "\(text.count + 2)")
        #expect(answer.body.count > 3 << 20)
    }

    @Test func threadsWithClientsOfTheirOwnAskAtTheSameTime() throws {
        let server = try LocalServer { .json($0.body) }
        defer { server.close() }
        let wrong = Atomic<Int>(0)
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            for number in 0..<20 {
                let sent = 100 * thread + number
                let got = try? HTTPClient(server.url, limits: Self.limits).post("/", .int(sent)).json().root.asInt()
                if got != sent { wrong.add(1, ordering: .relaxed) }
            }
        }
        #expect(wrong.load(ordering: .relaxed) == 0)
    }

    @Test(arguments: [
        (400, #"{"error": {"message": "the prompt is too long", "type": "x"}}"#, "status 400: the prompt is too long"),
        (401, #"{"error": "no key"}"#, "status 401: no key"),
        (404, #"{"detail": "Not Found"}"#, "status 404: Not Found"),
        (500, "<html>\n  broken \u{1b}[31m</html>", #"status 500: <html> broken \u{1b}[31m</html>"#),
        (503, "", "status 503"),
        (302, "", "status 302"),
    ])
    func aStatusThatFailsIsAnErrorWithWhatTheServerSays(status: Int, body: String, message: String) throws {
        let server = try LocalServer { _ in .json(body, status: status) }
        defer { server.close() }
        let client = try HTTPClient(server.url, limits: Self.limits)
        let error = try #require(#expect(throws: HTTPError.self) { try client.get("/v1/models") })
        #expect(error.kind == .status(status))
        #expect("\(error)" == "\(server.url)/v1/models: answers with \(message)")
        #expect(error.isWorthRepeating == [500, 503].contains(status))
    }

    @Test(arguments: ["", "localhost:8080", "ftp://host", "file:///etc/passwd", "http://", "http:///v1", "http://a b"])
    func aServerIsAnHTTPURL(url: String) throws {
        let error = try #require(#expect(throws: HTTPError.self) { try HTTPClient(url) })
        #expect(error.kind == .url && !error.isWorthRepeating)
        #expect("\(error)".contains("http:// or https://"))
    }

    /// Of a host that is off, or a firewall, nothing comes back; a server that is slow is something else.
    @Test func aHostThatDoesNotConnectIsNotThere() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let port = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { own -> UInt16 in
                guard bind(listener, own, size) == 0, listen(listener, 0) == 0,
                    getsockname(listener, own, &size) == 0
                else { return 0 }
                return own.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                    UInt16(bigEndian: $0.pointee.sin_port)
                }
            }
        }
        try #require(port > 0)
        // Nobody accepts: once connections wait for that, the system leaves further ones without a reply.
        let limits = HTTPClient.Limits(connecting: 1, answering: 3)
        let kinds = try (0..<4).map { _ in
            let client = try HTTPClient("http://127.0.0.1:\(port)", limits: limits)
            return try #require(#expect(throws: HTTPError.self) { try client.get("/health") }).kind
        }
        #expect(kinds.first == .time && kinds.last == .connection)
    }

    @Test func aServerThatIsNotThereIsNamed() throws {
        let server = try LocalServer { _ in .silence }
        server.close()
        Thread.sleep(forTimeInterval: 0.1)
        let client = try HTTPClient(server.url, limits: Self.limits)
        let error = try #require(#expect(throws: HTTPError.self) { try client.get("/health") })
        #expect(error.kind == .connection && error.isWorthRepeating)
        #expect("\(error)".hasPrefix("\(server.url)/health: can't be reached: "))
    }

    @Test func anAnswerThatDoesNotComeIsGivenUp() throws {
        let server = try LocalServer { _ in .silence }
        defer { server.close() }
        let client = try HTTPClient(server.url, limits: .init(connecting: 5, answering: 1))
        let error = try #require(#expect(throws: HTTPError.self) { try client.get("/") })
        #expect(error.kind == .time && error.isWorthRepeating)
        #expect("\(error)".contains("at most 1 s in all"))
    }

    @Test(arguments: [
        "", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ])
    func anAnswerThatBreaksOffIsNone(text: String) throws {
        let server = try LocalServer { _ in .raw(text) }
        defer { server.close() }
        let client = try HTTPClient(server.url, limits: Self.limits)
        let error = try #require(#expect(throws: HTTPError.self) { try client.get("/") })
        #expect(error.kind == .answer || error.kind == .url)
        #expect("\(error)".hasPrefix("\(server.url)/: "))
    }

    @Test(arguments: [true, false])
    func anAnswerIsBounded(hasLength: Bool) throws {
        let text = String(repeating: "x", count: 5000)
        let server = try LocalServer { _ in hasLength ? .json(text) : .raw("HTTP/1.0 200 OK\r\n\r\n" + text) }
        defer { server.close() }
        let bounded = { try HTTPClient(server.url, limits: .init(bytes: $0)) }
        let error = try #require(#expect(throws: HTTPError.self) { try bounded(4999).get("/") })
        #expect("\(error)".contains("more than 4999 bytes"))
        #expect(try bounded(5000).get("/").body.count == 5000)
    }

    @Test func anAnswerThatIsNoJSONNamesTheURL() throws {
        let server = try LocalServer { _ in .json("<html>") }
        defer { server.close() }
        let answer = try HTTPClient(server.url, limits: Self.limits).get("/props")
        let error = try #require(#expect(throws: JSONError.self) { try answer.json() })
        #expect("\(error)".contains("\(server.url)/props"))
    }

    @Test func aRequestEndsWhenTheProgramIsInterrupted() throws {
        let hasArrived = Atomic<Bool>(false)
        let server = try LocalServer { _ in
            hasArrived.store(true, ordering: .relaxed)
            return .silence
        }
        defer { server.close() }
        let client = try HTTPClient(server.url, limits: Self.limits) { () throws(Interrupted) in
            if hasArrived.load(ordering: .relaxed) { throw Interrupted() }
        }
        #expect(throws: Interrupted.self) { try client.get("/") }
        // Once interrupted, nothing is sent.
        #expect(throws: Interrupted.self) { try client.get("/") }
        #expect(server.connections == 1)
    }

    @Test(arguments: [
        ("http://a:8080", "http://a:8080"), ("http://a:8080/", "http://a:8080"), ("http://a/v1", "http://a"),
        ("http://a/v1//", "http://a"), ("http://a/api/v1/", "http://a/api"), ("http://a/v12", "http://a/v12"), ("", ""),
    ])
    func aBaseURLMayEndWithItsVersion(url: String, plain: String) {
        #expect(HTTPClient.withoutVersion(url) == plain)
    }
}
