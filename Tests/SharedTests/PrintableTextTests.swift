import Testing

@testable import Shared

struct PrintableTextTests {
    @Test func whatATerminalObeysIsEscaped() {
        for value in Array(0..<UInt32(0x20)) + Array(0x7F..<0xA0) + [0x2028, 0x2029, 0x202E, 0x2066] {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let text = "a\(String(Character(scalar)))b"
            #expect(printable(text) == "a\\u{\(String(value, radix: 16))}b")
            let isLine = value == 0x0A || value == 0x09
            #expect(printable(text, keepsLines: true) == (isLine ? text : printable(text)))
        }
        #expect(printable("\r\n") == "\\u{d}\\u{a}" && printable("\r\n", keepsLines: true) == "\\u{d}\n")
        #expect(printable("\u{1b}]52;c;x\u{7}") == "\\u{1b}]52;c;x\\u{7}")
    }

    @Test func otherTextStaysAsItIs() {
        for text in ["", "plain", "é 👩‍👧 e\u{301} \u{feff} 中", "\u{a0}"] { #expect(printable(text) == text) }
    }
}
