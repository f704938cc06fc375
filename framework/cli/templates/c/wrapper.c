/* A wrapper for Larder in C: bytes as hexadecimal digits, for stores that keep only text. Put what
 * you came for in its place; one that compresses or encrypts says so with its model, and stands in
 * the option of that name.
 *
 * Read it from the end: the descriptor names the component, its table names the functions. The
 * rules are those at the top of larder_plugin.h; "R4" below is one of them. */
#include "larder_plugin_easy.h"

static const char digits[] = "0123456789abcdef";

/* Nothing changes in it, so all instances are the same one. */
static int32_t hex_create(const larder_create *args, void **out, larder_error *error) {
    (void)args, (void)error;
    *out = NULL;
    return LARDER_OK;
}

static void hex_destroy(void *instance) { (void)instance; }

static int32_t hex_encode(void *instance, const larder_codec_context *context,
                          const larder_slice *in, larder_output *out, larder_error *error) {
    uint8_t *to = larder_room(out, 2 * in->len);
    (void)instance, (void)context;
    if (!to) return larder_no_memory(error);
    for (size_t at = 0; at < in->len; at++) {
        *to++ = (uint8_t)digits[in->ptr[at] >> 4];
        *to++ = (uint8_t)digits[in->ptr[at] & 15];
    }
    return LARDER_OK;
}

/* What a digit stands for; 16 if it is none. */
static unsigned value_of(uint8_t digit) {
    if (digit >= '0' && digit <= '9') return digit - (unsigned)'0';
    if (digit >= 'a' && digit <= 'f') return digit - (unsigned)'a' + 10;
    return 16;
}

/* The bytes may be anything: what was not written here is an error. */
static int32_t hex_decode(void *instance, const larder_codec_context *context,
                          const larder_slice *in, larder_output *out, larder_error *error) {
    (void)instance;
    if (in->len % 2 != 0 || in->len / 2 > context->max_size)
        return larder_fail(error, LARDER_SERIALIZATION, "the digits are too many or too few", NULL);
    uint8_t *to = larder_room(out, in->len / 2);
    if (!to) return larder_no_memory(error);
    for (size_t at = 0; at < in->len; at += 2) {
        unsigned high = value_of(in->ptr[at]), low = value_of(in->ptr[at + 1]);
        /* The room goes to the host, also with an error (R4). */
        if (high > 15 || low > 15)
            return larder_fail(error, LARDER_SERIALIZATION, "a byte is no digit", NULL);
        *to++ = (uint8_t)(high << 4 | low);
    }
    return LARDER_OK;
}

/* ---- what the library says about itself ------------------------------------------------------ */

static const larder_codec_vt wrapper = {
    .struct_size = sizeof(larder_codec_vt),
    .model = LARDER_CODEC_ENCODE,
    .create = hex_create,
    .destroy = hex_destroy,
    .encode = hex_encode,
    .decode = hex_decode,
};

static const larder_component component = {
    .struct_size = sizeof(larder_component),
    .kind = LARDER_KIND_CODEC,
    .name = LARDER_STR("acme.demo"),
    .summary = LARDER_STR("bytes as hexadecimal digits, in C"),
    .vtable = &wrapper,
};

LARDER_DEFINE_PLUGIN("acme-demo", "0.1.0", &component);
