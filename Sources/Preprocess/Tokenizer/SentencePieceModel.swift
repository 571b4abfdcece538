import Shared

/// A SentencePiece model, `tokenizer.model`: its pieces, and how text is prepared for them.
///
/// A protocol buffer, of which sentencepiece_model.proto gives the fields. Others are passed over.
struct SentencePieceModel {
    struct Piece {
        var text = ""
        var score: Float = 0
        var kind = PieceKind.normal
    }

    /// What a piece stands for, by its number in the file.
    enum PieceKind: UInt64 {
        case normal = 1
        case unknown = 2
        /// A special token, such as `<s>`.
        case control = 3
        /// A token that is looked for in the text itself.
        case userDefined = 4
        case unused = 5
        /// `<0x00>` to `<0xFF>`.
        case byte = 6
    }

    enum Algorithm: UInt64 {
        case unigram = 1
        case bytePairEncoding = 2
        case word = 3
        case character = 4
    }

    private(set) var pieces: [Piece] = []
    private(set) var algorithm = Algorithm.unigram
    /// Whether a character without a piece becomes those of its bytes.
    private(set) var fallsBackToBytes = false
    private(set) var (unknownID, bosID, eosID) = (0, 1, 2)
    /// Whether text begins with a space that it hasn't.
    private(set) var addsSpaceBefore = true
    /// Whether spaces at the ends, and all but one of a run, are left out.
    private(set) var removesExtraSpaces = true
    private(set) var replacesSpaces = true
    private(set) var putsSpacesAfter = false
    /// The name of a normalizer that maps characters; none for `identity`.
    private(set) var characterMap: String?

    /// - Throws: `JSONError` that names the file and what is wrong with it.
    init(_ contents: [UInt8], path: String) throws(JSONError) {
        do throws(ProtocolBufferError) {
            try read(contents[...])
        } catch {
            throw JSONError("is no SentencePiece model: \(error)", at: path)
        }
        guard !pieces.isEmpty else { throw JSONError("is no SentencePiece model: it has no pieces", at: path) }
    }

    private mutating func read(_ message: ArraySlice<UInt8>) throws(ProtocolBufferError) {
        var fields = ProtocolBuffer(message)
        while let field = try fields.next() {
            guard case .bytes(let part) = field.value else { continue }
            switch field.number {
            case 1: pieces.append(try Self.piece(part))
            case 2: try readTrainer(part)
            case 3: try readNormalizer(part)
            default: break
            }
        }
    }

    private static func piece(_ message: ArraySlice<UInt8>) throws(ProtocolBufferError) -> Piece {
        var piece = Piece()
        var fields = ProtocolBuffer(message)
        while let field = try fields.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let text)):
                guard let text = String(validating: text, as: UTF8.self) else {
                    throw ProtocolBufferError("a piece isn't UTF-8")
                }
                piece.text = text
            case (2, .fixed32(let bits)): piece.score = Float(bitPattern: bits)
            case (3, .varint(let number)):
                guard let kind = PieceKind(rawValue: number) else {
                    throw ProtocolBufferError("the piece '\(piece.text)' is of kind \(number)")
                }
                piece.kind = kind
            default: break
            }
        }
        guard !piece.text.isEmpty, piece.score.isFinite else {
            throw ProtocolBufferError("a piece has no text, or the score \(piece.score)")
        }
        return piece
    }

    /// `TrainerSpec`.
    private mutating func readTrainer(_ message: ArraySlice<UInt8>) throws(ProtocolBufferError) {
        var fields = ProtocolBuffer(message)
        while let field = try fields.next() {
            guard case .varint(let value) = field.value else { continue }
            // Negative numbers are written as 64 bits, of which 32 count.
            let id = Int(Int32(truncatingIfNeeded: value))
            switch field.number {
            case 3:
                guard let known = Algorithm(rawValue: value) else {
                    throw ProtocolBufferError("its model_type is \(value)")
                }
                algorithm = known
            case 24: putsSpacesAfter = value != 0
            case 35: fallsBackToBytes = value != 0
            case 40: unknownID = id
            case 41: bosID = id
            case 42: eosID = id
            default: break
            }
        }
    }

    /// `NormalizerSpec`.
    private mutating func readNormalizer(_ message: ArraySlice<UInt8>) throws(ProtocolBufferError) {
        var fields = ProtocolBuffer(message)
        var (name, hasMap) = ("", false)
        while let field = try fields.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let text)): name = String(decoding: text, as: UTF8.self)
            case (2, .bytes(let map)): hasMap = !map.isEmpty
            case (3, .varint(let value)): addsSpaceBefore = value != 0
            case (4, .varint(let value)): removesExtraSpaces = value != 0
            case (5, .varint(let value)): replacesSpaces = value != 0
            default: break
            }
        }
        if hasMap { characterMap = name }
    }
}
