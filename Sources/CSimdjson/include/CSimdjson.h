#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A simdjson parser and the document it read last.
typedef struct simdjson_parser simdjson_parser;

simdjson_parser *_Nullable simdjson_parser_new(void);
void simdjson_parser_free(simdjson_parser *_Nonnull parser);

/// Readable bytes that must follow a buffer given to `simdjson_parse`.
size_t simdjson_padding(void);

/// Parses `length` bytes, which `simdjson_padding()` readable bytes must follow. Returns 0, or simdjson's error code.
int simdjson_parse(simdjson_parser *_Nonnull parser, const uint8_t *_Nonnull bytes, size_t length);

/// simdjson's sentence for an error code.
const char *_Nonnull simdjson_message(int code);

/// The document as simdjson's tape of 64-bit words, valid until the next parse. The format is documented in
/// simdjson's doc/tape.md: the type in the top byte, a payload in the other seven.
const uint64_t *_Nonnull simdjson_tape(const simdjson_parser *_Nonnull parser);

/// The strings that the tape points into: 32-bit length, UTF-8 bytes, a zero.
const uint8_t *_Nonnull simdjson_strings(const simdjson_parser *_Nonnull parser);

#ifdef __cplusplus
}
#endif
