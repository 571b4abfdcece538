#include "CSimdjson.h"
#include <new>
#include <simdjson.h>

struct simdjson_parser {
    simdjson::dom::parser parser;
};

simdjson_parser *simdjson_parser_new(void) { return new (std::nothrow) simdjson_parser; }
void simdjson_parser_free(simdjson_parser *parser) { delete parser; }
size_t simdjson_padding(void) { return simdjson::SIMDJSON_PADDING; }

int simdjson_parse(simdjson_parser *parser, const uint8_t *bytes, size_t length) {
    simdjson::dom::element root;
    return static_cast<int>(parser->parser.parse(bytes, length, false).get(root));
}

const char *simdjson_message(int code) {
    return simdjson::error_message(static_cast<simdjson::error_code>(code));
}

const uint64_t *simdjson_tape(const simdjson_parser *parser) { return parser->parser.doc.tape.get(); }
const uint8_t *simdjson_strings(const simdjson_parser *parser) { return parser->parser.doc.string_buf.get(); }
