import CCurl

/// Requests to one server over HTTP, which wait for their answers.
///
/// ```swift
/// let client = try HTTPClient("http://localhost:8080")
/// let models = try client.get("/v1/models").json().root
/// ```
///
/// It keeps its connection for the next request, and belongs to one thread: threads that ask at the same time have a
/// client each. Redirects aren't followed.
public final class HTTPClient {
    /// What bounds a request.
    public struct Limits: Sendable {
        /// Seconds until a connection must be there.
        public var connecting: Int
        /// Seconds until the answer must be whole.
        public var answering: Int
        /// Bytes of an answer.
        public var bytes: Int

        public init(connecting: Int = 10, answering: Int = 600, bytes: Int = 64 << 20) {
            (self.connecting, self.answering, self.bytes) = (connecting, answering, bytes)
        }
    }

    /// The server's URL, without a slash at its end.
    public let server: String
    private let limits: Limits
    private let headers: [String]
    private let check: () throws(Interrupted) -> Void
    private let handle: UnsafeMutableRawPointer

    private static let isReady = curl_global_init(Int(CURL_GLOBAL_ALL)) == CURLE_OK

    /// - Parameters:
    ///   - server: Its URL, which begins with http:// or https://.
    ///   - token: What the server's `--api-key` asks for.
    ///   - check: Asked about once a second while a request waits; what it throws ends the request.
    /// - Throws: `HTTPError` if it is no such URL.
    public init(
        _ server: String, token: String? = nil, limits: Limits = Limits(),
        check: @escaping () throws(Interrupted) -> Void = Interrupt.check
    ) throws(HTTPError) {
        let host = ["http://", "https://"].first(where: server.hasPrefix).map { server.dropFirst($0.count) }
        guard let host, !host.isEmpty, host.first != "/", server.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            throw HTTPError(server, .url, "should be a URL that begins with http:// or https://")
        }
        guard Self.isReady, let handle = curl_easy_init() else {
            throw HTTPError(server, .url, "libcurl doesn't start")
        }
        self.handle = handle
        self.server = String(server[..<(server.lastIndex { $0 != "/" }.map(server.index(after:)) ?? server.endIndex)])
        (self.limits, self.check) = (limits, check)
        headers = ["Content-Type: application/json", "Expect:"] + (token.map { ["Authorization: Bearer \($0)"] } ?? [])
    }

    deinit { curl_easy_cleanup(handle) }

    /// - Parameter path: What follows the server's URL, with its slash.
    /// - Throws: `HTTPError`, also for an answer whose status isn't 200 to 299; `Interrupted`.
    public func get(_ path: String) throws -> HTTPAnswer { try perform(path, body: nil) }

    /// Sends JSON.
    ///
    /// - Parameter path: What follows the server's URL, with its slash.
    /// - Throws: `HTTPError`, also for an answer whose status isn't 200 to 299; `Interrupted`.
    public func post(_ path: String, _ body: JSONText) throws -> HTTPAnswer {
        try perform(path, body: Array(body.compact.utf8))
    }

    private func perform(_ path: String, body: [UInt8]?) throws -> HTTPAnswer {
        try check()
        let url = server + path
        let transfer = Transfer(limit: limits.bytes, check: check)
        var list: UnsafeMutablePointer<curl_slist>?
        for header in headers { list = curl_slist_append(list, header) }
        defer { curl_slist_free_all(list) }
        var message = [CChar](repeating: 0, count: Int(CURL_ERROR_SIZE))
        var (status, connecting) = (0, curl_off_t(0))
        let code = message.withUnsafeMutableBufferPointer { message in
            // Options go, the connection stays.
            curl_easy_reset(handle)
            for (option, number) in [
                (CURLOPT_NOSIGNAL, 1), (CURLOPT_NOPROGRESS, 0), (CURLOPT_CONNECTTIMEOUT, limits.connecting),
                (CURLOPT_TIMEOUT, limits.answering), (CURLOPT_TCP_KEEPALIVE, 1),
            ] { curl_set_number(handle, option, number) }
            curl_set_text(handle, CURLOPT_USERAGENT, "eyrie")
            curl_set_headers(handle, list)
            curl_set_error_buffer(handle, message.baseAddress)
            let context = Unmanaged.passUnretained(transfer).toOpaque()
            curl_set_receiver(handle, { Transfer.at($3).receive($0, $1 * $2) }, context)
            curl_set_progress(handle, { context, _, _, _, _ in Transfer.at(context).goesOn() ? 0 : 1 }, context)
            if let body { curl_set_bytes(handle, body, curl_off_t(body.count)) }
            let problem = curl_set_text(handle, CURLOPT_URL, url)
            let code = problem == CURLE_OK ? curl_easy_perform(handle) : problem
            curl_status(handle, &status)
            curl_connecting_time(handle, &connecting)
            curl_easy_reset(handle)
            return code
        }
        if let interruption = transfer.interruption { throw interruption }
        guard !transfer.isTooLong else {
            throw HTTPError(url, .answer, "answers with more than \(limits.bytes) bytes")
        }
        guard code == CURLE_OK else { throw HTTPError(url, code, message, wasConnected: connecting > 0, limits) }
        let answer = HTTPAnswer(url: url, status: status, body: transfer.bytes)
        guard 200...299 ~= status else { throw HTTPError(answer) }
        return answer
    }
}

/// What a server answered.
public struct HTTPAnswer: Sendable {
    /// What was asked for: where errors are.
    public let url: String
    public let status: Int
    public let body: [UInt8]

    /// - Throws: `JSONError` that names the URL.
    public func json() throws(JSONError) -> JSONFile { try JSONFile(contents: body, path: url) }
}

/// A request that got no answer, or one that says that it failed.
public struct HTTPError: Error, CustomStringConvertible, Sendable {
    public enum Kind: Equatable, Sendable {
        /// The URL itself.
        case url
        /// No connection.
        case connection
        /// No answer in time.
        case time
        /// An answer that is none.
        case answer
        /// An answer with this status.
        case status(Int)
    }

    public let url: String
    public let kind: Kind
    private let problem: String

    init(_ url: String, _ kind: Kind, _ problem: String) { (self.url, self.kind, self.problem) = (url, kind, problem) }

    /// What libcurl says: a message of its own, if it has one for the case at hand.
    fileprivate init(
        _ url: String, _ code: CURLcode, _ message: [CChar], wasConnected: Bool, _ limits: HTTPClient.Limits
    ) {
        let own = String(decoding: message.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        let text = own.isEmpty ? String(cString: curl_easy_strerror(code)) : own
        switch code {
        case CURLE_OPERATION_TIMEDOUT where !wasConnected:
            self.init(
                url, .connection, "can't be reached in time: \(text) (at most \(limits.connecting) s to connect)")
        case CURLE_OPERATION_TIMEDOUT:
            self.init(
                url, .time,
                "doesn't answer in time: \(text) (at most \(limits.answering) s in all)")
        case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_SSL_CONNECT_ERROR:
            self.init(url, .connection, "can't be reached: \(text)")
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL: self.init(url, .url, "is no URL of a server: \(text)")
        default: self.init(url, .answer, "doesn't answer: \(text)")
        }
    }

    /// An answer with a status that says that it failed: with what servers write into it.
    fileprivate init(_ answer: HTTPAnswer) {
        let root = (try? answer.json())?.root
        let said =
            (try? root?["error"]?["message"]?.asString()) ?? (try? root?["error"]?.asString())
            ?? (try? root?["detail"]?.asString()) ?? String(decoding: answer.body.prefix(300), as: UTF8.self)
        let text = said.split { $0.isWhitespace }.joined(separator: " ")
        self.init(
            answer.url, .status(answer.status),
            "answers with status \(answer.status)" + (text.isEmpty ? "" : ": \(printable(text))"))
    }

    /// Whether the same request may get an answer later.
    public var isWorthRepeating: Bool {
        switch kind {
        case .url: false
        case .connection, .time, .answer: true
        case .status(let status): status == 408 || status == 429 || status >= 500 && status != 501
        }
    }

    public var description: String { "\(url): \(problem)" }
}

/// An answer as it comes in, and what ends it early.
private final class Transfer {
    private(set) var bytes: [UInt8] = []
    private(set) var isTooLong = false
    private(set) var interruption: Interrupted?
    private let limit: Int
    private let check: () throws(Interrupted) -> Void

    init(limit: Int, check: @escaping () throws(Interrupted) -> Void) { (self.limit, self.check) = (limit, check) }

    /// The transfer that libcurl hands to a callback.
    static func at(_ context: UnsafeMutableRawPointer?) -> Transfer {
        guard let context else { preconditionFailure("libcurl's callback without what it was given") }
        return Unmanaged.fromOpaque(context).takeUnretainedValue()
    }

    /// - Returns: How many bytes were taken: fewer than there are end the transfer.
    func receive(_ data: UnsafeMutablePointer<CChar>?, _ count: Int) -> Int {
        isTooLong = count > limit - bytes.count
        guard !isTooLong, let data else { return 0 }
        bytes.append(contentsOf: UnsafeRawBufferPointer(start: data, count: count))
        return count
    }

    func goesOn() -> Bool {
        do { try check() } catch { interruption = error }
        return interruption == nil
    }
}
