#include <zlib.h>

/// `inflateInit2` is a macro, which Swift can't import. 32 more than the window's bits: a gzip or zlib header is found.
static inline int gzip_inflate_init(z_stream *stream) { return inflateInit2(stream, 15 + 32); }
