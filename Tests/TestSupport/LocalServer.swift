import Foundation
import Synchronization

/// An HTTP server on this machine, for tests of what asks one: a thread a connection, requests one after the other.
public final class LocalServer: Sendable {
    public struct Request: Sendable {
        public let method: String
        public let path: String
        /// By their names in lower case.
        public let headers: [String: String]
        public let body: String
    }

    public enum Reply: Sendable {
        case json(String, status: Int = 200)
        /// Bytes as they are, after which the connection ends.
        case raw(String)
        /// Nothing, for as long as the server is there.
        case silence
    }

    private let socket: Int32
    public let port: UInt16
    private let state = Mutex((isClosed: false, open: [Int32](), connections: 0))
    private let answer: @Sendable (Request) -> Reply

    public var url: String { "http://127.0.0.1:\(port)" }
    /// How many connections there were so far.
    public var connections: Int { state.withLock(\.connections) }

    /// - Parameter port: A port that another server had; any by default.
    public init(port: UInt16 = 0, _ answer: @escaping @Sendable (Request) -> Reply) throws {
        self.answer = answer
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        var isOn: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &isOn, socklen_t(MemoryLayout<Int32>.size))
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = socket
        let isListening = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && listen(descriptor, 64) == 0
                    && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isListening else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        self.port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { [self] in accept() }
    }

    /// Ends all connections; without it the server lives as long as the program.
    public func close() {
        let open = state.withLock { state in
            state.isClosed = true
            return state.open
        }
        for descriptor in open + [socket] { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }

    private func accept() {
        while true {
            let descriptor = Glibc.accept(socket, nil, nil)
            let isWanted = state.withLock { state in
                guard descriptor >= 0, !state.isClosed else { return false }
                state.open.append(descriptor)
                state.connections += 1
                return true
            }
            guard isWanted else { break }
            Thread.detachNewThread { [self] in
                serve(descriptor)
                state.withLock { $0.open.removeAll { $0 == descriptor } }
                Glibc.close(descriptor)
            }
        }
        Glibc.close(socket)
    }

    private func serve(_ descriptor: Int32) {
        var waiting: [UInt8] = []
        while let request = read(&waiting, descriptor) {
            switch answer(request) {
            case .json(let text, let status):
                send(
                    "HTTP/1.1 \(status) Said\r\nContent-Type: application/json\r\n"
                        + "Content-Length: \(text.utf8.count)\r\n\r\n\(text)", descriptor)
            case .raw(let text):
                send(text, descriptor)
                return
            case .silence:
                var byte: UInt8 = 0
                while recv(descriptor, &byte, 1, 0) > 0 {}
                return
            }
        }
    }

    private func send(_ text: String, _ descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    /// The next request; nil at the connection's end.
    private func read(_ waiting: inout [UInt8], _ descriptor: Int32) -> Request? {
        func more() -> Bool {
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count > 0 { waiting += buffer[..<count] }
            return count > 0
        }
        let end = Array("\r\n\r\n".utf8)
        var head = waiting.firstRange(of: end)
        while head == nil {
            guard more() else { return nil }
            head = waiting.firstRange(of: end)
        }
        guard let head else { return nil }
        let lines = String(decoding: waiting[..<head.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        let words = lines[0].split(separator: " ").map(String.init)
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            headers[parts[0].lowercased()] = parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : ""
        }
        let length = headers["content-length"].flatMap(Int.init) ?? 0
        while waiting.count < head.upperBound + length { guard more() else { return nil } }
        let body = String(decoding: waiting[head.upperBound..<head.upperBound + length], as: UTF8.self)
        waiting.removeFirst(head.upperBound + length)
        return Request(method: words[0], path: words[1], headers: headers, body: body)
    }
}
